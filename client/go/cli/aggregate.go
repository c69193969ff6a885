// The command aggregate of calculator.v1.

package main

import (
	"context"
	"fmt"
	"iter"
	"slices"
	"strings"

	"github.com/spf13/cobra"
	"google.golang.org/grpc"

	pb "calculator/proto/calculator/v1/calculatorpb"
)

// numbersPerMessage is about 40 kB per message: large enough for throughput, and far below gRPC's message size limit.
const numbersPerMessage = 5000

func newAggregate(global *options) *cobra.Command {
	return withOperands(newCommand(global, "aggregate [NUMBERS]...",
		`Print count, sum, mean, variance and range of NUMBERS. Pass "-" to read them from standard input.`, aggregate))
}

func aggregate(ctx context.Context, caller *caller, words []string) error {
	if slices.Equal(words, []string{"-"}) {
		return aggregateInput(ctx, caller)
	}
	var numbers []float64
	for place, word := range words {
		number, err := parseNumber(word)
		if err != nil {
			return fmt.Errorf("number %d: %w", place+1, err)
		}
		numbers = append(numbers, number)
	}
	return caller.withDeadline(ctx, func(ctx context.Context, channel *grpc.ClientConn) error {
		response, err := sendNumbers(ctx, channel, slices.Values(numbers))
		if err != nil {
			return err
		}
		return caller.show(response, summary(response))
	})
}

func aggregateInput(ctx context.Context, caller *caller) error {
	input := newStandardInput()
	return caller.withChannel(ctx, func(ctx context.Context, channel *grpc.ClientConn) error {
		response, err := sendNumbers(ctx, channel, withProgress(words(input, parseNumber)))
		if err == nil {
			err = input.problem()
		}
		if err != nil {
			return err
		}
		return caller.show(response, summary(response))
	})
}

// sendNumbers calls Aggregate. The numbers are read while it waits for the response, so that a call that fails ends at
// once.
func sendNumbers(
	ctx context.Context, channel *grpc.ClientConn, numbers iter.Seq[float64],
) (*pb.AggregateResponse, error) {
	stream, err := pb.NewCalculatorClient(channel).Aggregate(ctx)
	if err != nil {
		return nil, err
	}
	go func() {
		for batch := range batches(numbers) {
			if stream.Send(&pb.AggregateRequest{Numbers: batch}) != nil {
				return // receiving the response returns the reason
			}
		}
		_ = stream.CloseSend() // always nil
	}()
	response := &pb.AggregateResponse{}
	return response, stream.RecvMsg(response)
}

func batches(numbers iter.Seq[float64]) iter.Seq[[]float64] {
	return func(yield func([]float64) bool) {
		batch := make([]float64, 0, numbersPerMessage)
		for number := range numbers {
			batch = append(batch, number)
			if len(batch) == numbersPerMessage {
				if !yield(batch) {
					return
				}
				batch = make([]float64, 0, numbersPerMessage)
			}
		}
		if len(batch) > 0 {
			yield(batch)
		}
	}
}

func summary(response *pb.AggregateResponse) string {
	lines := []string{
		fmt.Sprintf("count     %d", response.Count),
		"sum       " + formatNumber(response.Sum),
	}
	for _, statistic := range []struct {
		name  string
		value *float64
	}{
		{"mean", response.Mean},
		{"variance", response.Variance},
		{"minimum", response.Minimum},
		{"maximum", response.Maximum},
	} {
		if statistic.value != nil {
			lines = append(lines, fmt.Sprintf("%-9s %s", statistic.name, formatNumber(*statistic.value)))
		}
	}
	return strings.Join(lines, "\n")
}
