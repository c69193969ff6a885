// Command client is the command line of the client in Go: bazel run //client/go -- add 2 3.
package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/signal"
	"syscall"

	"github.com/spf13/cobra"
	"google.golang.org/grpc/grpclog"
)

const example = `    ./bazelw run //client/go -- add 2 3
    ./bazelw run //client/go -- eval '2*(3+4)^2'
    ./bazelw run //client/go -- --target localhost:8080 calc 7 / -2
    ./bazelw run //client/go -- --target my-service-abc.a.run.app add 2 3`

func main() {
	// Silence gRPC's log: the status of a call has the same information.
	grpclog.SetLoggerV2(grpclog.NewLoggerV2(io.Discard, io.Discard, io.Discard))
	signal.Ignore(syscall.SIGPIPE) // so that an answer that cannot be written is an error
	os.Exit(run())
}

// run runs the command line, and returns the exit status.
func run() int {
	// `bazel run` starts programs in another folder than the one in which it was typed, to which file names are relative.
	if folder := os.Getenv("BUILD_WORKING_DIRECTORY"); folder != "" {
		if err := os.Chdir(folder); err != nil {
			fmt.Fprintf(os.Stderr, "Error: %v\n", err)
			return 1
		}
	}
	command, err := newRoot().ExecuteContextC(context.Background())
	var ended *exitError
	var global *globalError
	switch {
	case err == nil:
		return 0
	case errors.As(err, &ended):
		if ended.message != "" {
			fmt.Fprintf(os.Stderr, "Error: %s\n", ended.message)
		}
		return ended.status
	case errors.As(err, &global):
		command = command.Root()
	}
	fmt.Fprintf(os.Stderr, "%sTry '%s --help' for help.\n\n", usageLine(command), command.CommandPath())
	fmt.Fprintf(os.Stderr, "Error: %s\n", usageProblem(err))
	return 2
}

func newRoot() *cobra.Command {
	global := &options{}
	root := newGroup("client", "Call a calculator over gRPC.")
	root.Example = example
	root.TraverseChildren = true
	global.add(root.Flags())
	root.AddCommand(
		newAdd(global),
		newSubtract(global),
		newCalc(global),
		newEval(global),
		newAggregate(global),
		newConverse(global),
		newRouteGuide(global),
		newHealth(global),
		newList(global),
	)
	return root
}
