// The commands of the tutorial's 32-bit calculator: add and subtract.

package main

import (
	"context"

	"github.com/spf13/cobra"
	"google.golang.org/grpc"

	"calculator/proto/tutorialpb"
)

func newAdd(global *options) *cobra.Command {
	return newTutorial(global, "add", "Print FIRST + SECOND.", tutorialpb.Operation_ADD)
}

func newSubtract(global *options) *cobra.Command {
	return newTutorial(global, "subtract", "Print FIRST - SECOND.", tutorialpb.Operation_SUBTRACT)
}

// newTutorial returns a command of the tutorial's 32-bit calculator.
func newTutorial(global *options, name, short string, operation tutorialpb.Operation) *cobra.Command {
	calculate := func(ctx context.Context, caller *caller, words []string) error {
		first, err := parseNumber32(words[0])
		if err != nil {
			return invalid("FIRST", err)
		}
		second, err := parseNumber32(words[1])
		if err != nil {
			return invalid("SECOND", err)
		}
		return caller.withDeadline(ctx, func(ctx context.Context, channel *grpc.ClientConn) error {
			request := &tutorialpb.BinaryOperation{FirstOperand: first, SecondOperand: second, Operation: operation}
			result, err := tutorialpb.NewCalculatorClient(channel).Calculate(ctx, request)
			if err != nil {
				return err
			}
			return caller.show(result, formatNumber32(result.Result))
		})
	}
	return withOperands(newCommand(global, name+" FIRST SECOND", short, calculate))
}
