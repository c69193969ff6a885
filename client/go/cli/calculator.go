// The commands calc, eval and converse of calculator.v1.

package main

import (
	"context"
	"errors"
	"fmt"
	"io"

	"github.com/spf13/cobra"
	"google.golang.org/grpc"

	"calculator/client"
	pb "calculator/proto/calculator/v1/calculatorpb"
)

func newCalc(global *options) *cobra.Command {
	return withOperands(newCommand(global, "calc FIRST "+signChoice+" SECOND",
		"Print the result of one operation, such as 7 / 2.", calc))
}

func calc(ctx context.Context, caller *caller, words []string) error {
	first, err := parseNumber(words[0])
	if err != nil {
		return invalid("FIRST", err)
	}
	if err := checkChoice(words[1], signs); err != nil {
		return invalid(signChoice, err)
	}
	second, err := parseNumber(words[2])
	if err != nil {
		return invalid("SECOND", err)
	}
	request := &pb.CalculateRequest{Operation: operations[words[1]], FirstOperand: first, SecondOperand: second}
	return caller.withDeadline(ctx, func(ctx context.Context, channel *grpc.ClientConn) error {
		response, err := pb.NewCalculatorClient(channel).Calculate(ctx, request)
		if err != nil {
			return err
		}
		return caller.show(response, formatNumber(response.Result))
	})
}

func newEval(global *options) *cobra.Command {
	return withOperands(newCommand(global, "eval EXPRESSION",
		"Print the steps of evaluating EXPRESSION, such as '2*(3+4)^2' or 'sqrt(9)*pi', and then its value.", evaluate))
}

func evaluate(ctx context.Context, caller *caller, words []string) error {
	if err := checkUTF8(words[0]); err != nil {
		return invalid("EXPRESSION", err)
	}
	return caller.withDeadline(ctx, func(ctx context.Context, channel *grpc.ClientConn) error {
		stream, err := pb.NewCalculatorClient(channel).Evaluate(ctx, &pb.EvaluateRequest{Expression: words[0]})
		if err != nil {
			return err
		}
		return showAll(stream.Recv, func(response *pb.EvaluateResponse) error {
			return caller.show(response, formatProgress(response))
		})
	})
}

// showAll shows the messages of a stream until it ends.
func showAll[T any](receive func() (T, error), show func(T) error) error {
	for {
		message, err := receive()
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return err
		}
		if err := show(message); err != nil {
			return err
		}
	}
}

func formatProgress(response *pb.EvaluateResponse) string {
	step := response.GetStep()
	if step == nil {
		return formatNumber(response.GetResult())
	}
	return fmt.Sprintf("%s = %s    %s", describeStep(step), formatNumber(step.Result), step.Remaining)
}

func newConverse(global *options) *cobra.Command {
	return newCommand(global, "converse",
		`Evaluate one operation per input line, such as "3 + 4"; "* 2" continues from the last result.`, converse)
}

func converse(ctx context.Context, caller *caller, _ []string) error {
	input := newStandardInput()
	return caller.withChannel(ctx, func(ctx context.Context, channel *grpc.ClientConn) error {
		requests := make(chan *pb.ConverseRequest)
		go func() {
			defer close(requests)
			for request := range lines(input, parseOperation) {
				requests <- request
			}
		}()
		for response, err := range client.Converse(ctx, pb.NewCalculatorClient(channel), requests) {
			if err != nil {
				return err
			}
			if err := caller.show(response, outcome(response)); err != nil {
				return err
			}
		}
		return input.problem()
	})
}

func outcome(response *pb.ConverseResponse) string {
	if failure := response.GetFailure(); failure != nil {
		return fmt.Sprintf("%s: %s", failure.Reason, failure.Message)
	}
	return formatNumber(response.GetResult())
}
