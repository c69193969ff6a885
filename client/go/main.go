// Command go is the client in Go: bazel run //client/go -- add 2 3. It has the commands of //client for the tutorial's
// calculator, without authentication.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"strings"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/status"

	"calculator/proto/tutorialpb"
)

const (
	defaultTarget  = "localhost:50051"
	defaultTimeout = 5.0
	longestTimeout = 24 * 3600
)

const usage = `Usage: client [OPTIONS] COMMAND FIRST SECOND

Call a calculator over gRPC.

Commands:
  add       print FIRST + SECOND
  subtract  print FIRST - SECOND

Options:
`

var operations = map[string]tutorialpb.Operation{
	"add":      tutorialpb.Operation_ADD,
	"subtract": tutorialpb.Operation_SUBTRACT,
}

// call is a call of the server, as the command line describes it.
type call struct {
	target  string
	timeout time.Duration
	request *tutorialpb.BinaryOperation
}

func main() {
	call, err := parse(os.Args[1:])
	if errors.Is(err, flag.ErrHelp) {
		return
	}
	exitOn(err, 2)
	result, err := call.run(context.Background())
	exitOn(err, 1)
	_, err = fmt.Println(formatNumber32(result))
	exitOn(err, 1)
}

func exitOn(err error, code int) {
	if err != nil {
		fmt.Fprintf(os.Stderr, "Error: %v\n", err)
		os.Exit(code)
	}
}

// parse parses the arguments of the command line. It prints the usage and returns flag.ErrHelp if they ask for it.
func parse(arguments []string) (*call, error) {
	options := flag.NewFlagSet("client", flag.ContinueOnError)
	options.SetOutput(io.Discard) // main prints the errors
	target := options.String("target", defaultTarget, "`HOST:PORT` of the server, which is called without TLS")
	timeout := options.String("timeout", fmt.Sprint(defaultTimeout), "timeout of a call, in `SECONDS`")
	if err := options.Parse(arguments); err != nil {
		if errors.Is(err, flag.ErrHelp) {
			fmt.Print(usage)
			options.SetOutput(os.Stdout)
			options.PrintDefaults()
		}
		return nil, err
	}
	seconds, err := parseNumber(*timeout)
	if err != nil {
		return nil, fmt.Errorf("--timeout: %w", err)
	}
	if !(seconds > 0 && seconds <= longestTimeout) {
		return nil, fmt.Errorf("--timeout: %s is not in the range 0<x<=%d", *timeout, longestTimeout)
	}
	request, err := parseCommand(options.Args())
	return &call{*target, time.Duration(seconds * float64(time.Second)), request}, err
}

// parseCommand parses the words of a command, such as add 2 3.
func parseCommand(words []string) (*tutorialpb.BinaryOperation, error) {
	if len(words) == 0 {
		return nil, errors.New("no command: give one such as add 2 3, or --help")
	}
	operation, ok := operations[words[0]]
	if !ok {
		return nil, fmt.Errorf("no such command '%s': must be add or subtract", words[0])
	}
	operands := words[1:]
	if len(operands) != 2 {
		return nil, fmt.Errorf("%s takes two arguments, 'FIRST' and 'SECOND', but got %d", words[0], len(operands))
	}
	first, err := parseNumber32(operands[0])
	if err != nil {
		return nil, err
	}
	second, err := parseNumber32(operands[1])
	return &tutorialpb.BinaryOperation{FirstOperand: first, SecondOperand: second, Operation: operation}, err
}

// run calls the server, and returns the result.
func (c *call) run(ctx context.Context) (float32, error) {
	ctx, cancel := context.WithTimeout(ctx, c.timeout)
	defer cancel()
	channel, err := grpc.NewClient(c.target, grpc.WithTransportCredentials(insecure.NewCredentials()))
	if err != nil {
		return 0, fmt.Errorf("--target: '%s' is invalid: %w", c.target, err)
	}
	defer channel.Close()
	answer, err := tutorialpb.NewCalculatorClient(channel).Calculate(ctx, c.request)
	if err != nil {
		return 0, describe(err, c.target)
	}
	return answer.Result, nil
}

// describe returns an error that describes the failure of a call in one line.
func describe(err error, target string) error {
	failure := status.Convert(err)
	details := strings.Join(strings.Fields(failure.Message()), " ")
	return fmt.Errorf("%v from %s: %s", failure.Code(), target, details)
}
