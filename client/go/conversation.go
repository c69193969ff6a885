// Conversations with the calculator that continue after a stream ends.

package client

import (
	"context"
	"errors"
	"io"
	"iter"
	"slices"
	"strings"
	"sync"
	"time"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/status"

	pb "calculator/proto/calculator/v1/calculatorpb"
)

// Converse yields the answer to each request in order, over as many streams as necessary.
//
// Cloud Run ends a stream at its request timeout and expects the client to reconnect, possibly to another instance:
// https://cloud.google.com/run/docs/configuring/request-timeout. Therefore each request is kept until it is answered,
// and a new stream starts by sending the last result, which the new instance does not know.
//
// The conversation ends when the channel of requests is closed and all of them are answered. A request may depend on
// earlier answers. The last pair is an error if a stream failed with a permanent error, if five streams in a row ended
// without an answer, or if ctx is done.
func Converse(
	ctx context.Context, calculator pb.CalculatorClient, requests <-chan *pb.ConverseRequest,
) iter.Seq2[*pb.ConverseResponse, error] {
	return func(yield func(*pb.ConverseResponse, error) bool) {
		c := &conversation{calculator: calculator, requests: requests, yield: yield}
		if err := c.run(ctx); err != nil && !errors.Is(err, errStopped) {
			yield(nil, err)
		}
	}
}

// errStopped tells that the caller does not want more answers.
var errStopped = errors.New("the caller has stopped")

type conversation struct {
	calculator pb.CalculatorClient
	requests   <-chan *pb.ConverseRequest
	yield      func(*pb.ConverseResponse, error) bool

	// reminder is the first request of a new stream, which sets the server's last result; nil before the first result.
	// If an operation fails, the reminder stays the same, because the server also keeps its last result.
	reminder *pb.ConverseRequest
	// failedAttempts counts the streams that have ended since the last answer, including the current one.
	failedAttempts int
	// trailer has the trailing metadata of the last stream, if it failed.
	trailer metadata.MD

	// The sender of the current stream appends to unanswered, which is also read and shortened when answers arrive.
	mu         sync.Mutex
	unanswered []*pb.ConverseRequest
}

func (c *conversation) run(ctx context.Context) error {
	for c.hasRequest(ctx) { // an open stream without requests would keep an instance busy
		c.failedAttempts++
		err := c.stream(ctx)
		if err == nil && c.failedAttempts == policy.MaxAttempts {
			return status.Error(codes.Internal, "the server ended the stream without an answer")
		}
		if err != nil && (c.failedAttempts == policy.MaxAttempts || !isTransient(err, c.trailer)) {
			return err
		}
		select {
		case <-time.After(policy.backoff(c.failedAttempts)):
		case <-ctx.Done():
		}
	}
	if ctx.Err() != nil {
		return status.FromContextError(ctx.Err()).Err()
	}
	return nil
}

// hasRequest waits for a request without an answer. It returns false if there are no more requests, or if ctx is done.
func (c *conversation) hasRequest(ctx context.Context) bool {
	return ctx.Err() == nil && (len(c.unanswered) > 0 || c.receive(ctx) != nil)
}

// receive waits for the next request and keeps it. It returns nil if there are no more requests, or if ctx is done.
func (c *conversation) receive(ctx context.Context) *pb.ConverseRequest {
	select {
	case request := <-c.requests: // nil if the channel is closed
		if request != nil {
			c.mu.Lock()
			c.unanswered = append(c.unanswered, request)
			c.mu.Unlock()
		}
		return request
	case <-ctx.Done():
		return nil
	}
}

// stream converses over one stream until it ends. A server that breaks the rules ends it before all requests are
// answered, without an error.
func (c *conversation) stream(ctx context.Context) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	c.trailer = nil
	stream, err := c.calculator.Converse(ctx)
	if err != nil {
		return err
	}
	var first []*pb.ConverseRequest
	isReminder := c.reminder != nil
	if isReminder {
		first = append(first, c.reminder)
	}
	first = append(first, c.unanswered...)
	sent := make(chan struct{})
	go func() {
		defer close(sent)
		c.send(ctx, stream, first)
	}()
	defer func() {
		cancel() // which ends the sender
		<-sent
	}()
	for ; ; isReminder = false {
		response, err := stream.Recv()
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			c.trailer = stream.Trailer()
			return err
		}
		if isReminder {
			continue
		}
		if err := c.answer(response); err != nil {
			return err
		}
	}
}

// send sends the first requests, and then those that arrive. If it fails, receiving the answers returns the reason.
func (c *conversation) send(ctx context.Context, stream pb.Calculator_ConverseClient, first []*pb.ConverseRequest) {
	for _, request := range first {
		if stream.Send(request) != nil {
			return
		}
	}
	for {
		request := c.receive(ctx)
		if request == nil {
			_ = stream.CloseSend() // always nil
			return
		}
		if stream.Send(request) != nil {
			return
		}
	}
}

// answer takes the answer to the first request that is not answered.
func (c *conversation) answer(response *pb.ConverseResponse) error {
	c.mu.Lock()
	if len(c.unanswered) == 0 {
		c.mu.Unlock()
		return status.Error(codes.Internal, "the server sent more answers than there were requests")
	}
	c.unanswered = c.unanswered[1:]
	c.mu.Unlock()
	c.failedAttempts = 0
	if result, ok := response.Outcome.(*pb.ConverseResponse_Result); ok {
		c.reminder = reminderOf(result.Result)
	}
	if !c.yield(response, nil) {
		return errStopped
	}
	return nil
}

// reminderOf returns a request whose result is the number, so that the server knows it as the last result.
func reminderOf(number float64) *pb.ConverseRequest {
	return &pb.ConverseRequest{Operation: pb.Operation_OPERATION_MULTIPLY, FirstOperand: &number, SecondOperand: 1}
}

// isTransient returns whether another stream may succeed. A front end that cuts a stream off between answers resets it,
// which gRPC reports as INTERNAL. A server forbids retries by a negative pushback:
// https://github.com/grpc/proposal/blob/master/A6-client-retries.md#pushback
func isTransient(err error, trailer metadata.MD) bool {
	if slices.Contains(trailer.Get("grpc-retry-pushback-ms"), "-1") {
		return false
	}
	failure := status.Convert(err)
	isCutOff := failure.Code() == codes.Internal && strings.Contains(failure.Message(), "RST_STREAM")
	return isCutOff || failure.Code() == codes.DeadlineExceeded || policy.isRetryable(failure.Code())
}
