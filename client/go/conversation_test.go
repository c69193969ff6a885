// Tests of conversations over streams that end early.

package client

import (
	"context"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"testing"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/status"

	pb "calculator/proto/calculator/v1/calculatorpb"
)

// cut is how a stream ends: after how many answers, with which status, and whether it reads one more request first.
type cut struct {
	answers      int
	code         codes.Code
	details      string
	readsOneMore bool
}

const cutOff = "stream terminated by RST_STREAM with error code: INTERNAL_ERROR"

// servicer adds and multiplies. It cuts its streams off: cuts are the ends of the next ones, later ones are not cut off.
type servicer struct {
	pb.UnimplementedCalculatorServer
	cuts    []cut
	streams int
}

// compute returns the answer to a request, and the result that the server remembers.
func compute(last float64, request *pb.ConverseRequest) (*pb.ConverseResponse, float64) {
	first := last
	if request.FirstOperand != nil {
		first = *request.FirstOperand
	}
	switch request.Operation {
	case pb.Operation_OPERATION_MULTIPLY:
		first *= request.SecondOperand
	case pb.Operation_OPERATION_ADD:
		first += request.SecondOperand
	default:
		failure := &pb.ConverseResponse_Failure{Reason: "UNKNOWN_OPERATION"}
		return &pb.ConverseResponse{Outcome: &pb.ConverseResponse_Failure_{Failure: failure}}, last
	}
	return &pb.ConverseResponse{Outcome: &pb.ConverseResponse_Result{Result: first}}, first
}

func (s *servicer) Converse(stream pb.Calculator_ConverseServer) error {
	s.streams++
	end := cut{answers: -1}
	if len(s.cuts) > 0 {
		end, s.cuts = s.cuts[0], s.cuts[1:]
	}
	var last float64
	for answers := 0; answers != end.answers; answers++ {
		request, err := stream.Recv()
		if errors.Is(err, io.EOF) && end.answers < 0 {
			return nil
		}
		if err != nil {
			break // the cut comes after the last request
		}
		var answer *pb.ConverseResponse
		answer, last = compute(last, request)
		if err := stream.Send(answer); err != nil {
			return err
		}
	}
	if end.readsOneMore {
		_, _ = stream.Recv() // whatever it returns, the stream is cut off
	}
	return status.Error(end.code, end.details)
}

// listen listens on a free port.
func listen(t *testing.T) net.Listener {
	t.Helper()
	listener, err := net.Listen("tcp", "localhost:0")
	if err != nil {
		t.Fatal(err)
	}
	return listener
}

// start starts a server, and returns its address.
func start(t *testing.T, listener net.Listener, servicer pb.CalculatorServer) string {
	t.Helper()
	server := grpc.NewServer()
	pb.RegisterCalculatorServer(server, servicer)
	go func() { _ = server.Serve(listener) }() // it fails when the test stops it
	t.Cleanup(server.Stop)
	return fmt.Sprintf("localhost:%d", listener.Addr().(*net.TCPAddr).Port)
}

// connect returns a client of a server.
func connect(t *testing.T, target string) pb.CalculatorClient {
	t.Helper()
	channel, err := Connect(t.Context(), target, Access{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { channel.Close() })
	return pb.NewCalculatorClient(channel)
}

// serve starts a server, and returns a client of it.
func serve(t *testing.T, servicer pb.CalculatorServer) pb.CalculatorClient {
	t.Helper()
	return connect(t, start(t, listen(t), servicer))
}

func add(number float64) *pb.ConverseRequest {
	return &pb.ConverseRequest{Operation: pb.Operation_OPERATION_ADD, SecondOperand: number}
}

// atOnce returns a channel with all requests.
func atOnce(requests []*pb.ConverseRequest) <-chan *pb.ConverseRequest {
	channel := make(chan *pb.ConverseRequest, len(requests))
	for _, request := range requests {
		channel <- request
	}
	close(channel)
	return channel
}

// converse returns the answers as text, and the error that ended the conversation.
func converse(
	ctx context.Context, calculator pb.CalculatorClient, requests <-chan *pb.ConverseRequest,
) ([]string, error) {
	var answers []string
	for answer, err := range Converse(ctx, calculator, requests) {
		if err != nil {
			return answers, err
		}
		answers = append(answers, answer.String())
	}
	return answers, nil
}

// inTurn returns the same as converse, but sends each request only after the answer to the previous one.
func inTurn(ctx context.Context, calculator pb.CalculatorClient, all <-chan *pb.ConverseRequest) ([]string, error) {
	requests := make(chan *pb.ConverseRequest, 1)
	next := func() {
		if request, ok := <-all; ok {
			requests <- request
		} else {
			close(requests)
		}
	}
	next()
	var answers []string
	for answer, err := range Converse(ctx, calculator, requests) {
		if err != nil {
			return answers, err
		}
		answers = append(answers, answer.String())
		next()
	}
	return answers, nil
}

// withoutBackoff replaces the backoff for a test.
func withoutBackoff(t *testing.T) {
	t.Helper()
	usual := policy
	policy.InitialBackoff, policy.MaxBackoff = 0, 0
	t.Cleanup(func() { policy = usual })
}

func randomRequests(random *rand.Rand) []*pb.ConverseRequest {
	var requests []*pb.ConverseRequest
	for range random.IntN(12) {
		request := add(float64(random.IntN(100)))
		request.Operation = pb.Operation(random.IntN(4))
		if random.IntN(2) == 0 {
			first := float64(random.IntN(100))
			request.FirstOperand = &first
		}
		requests = append(requests, request)
	}
	return requests
}

func randomCuts(random *rand.Rand) []cut {
	ends := []codes.Code{
		codes.Canceled, codes.DeadlineExceeded, codes.Internal, codes.OK, codes.ResourceExhausted, codes.Unavailable,
	}
	var cuts []cut
	for range random.IntN(policy.MaxAttempts) {
		cuts = append(cuts, cut{random.IntN(5), ends[random.IntN(len(ends))], cutOff, random.IntN(2) == 0})
	}
	return cuts
}

func TestTheAnswersEqualThoseOfOneStreamWhereverItIsCutOff(t *testing.T) {
	withoutBackoff(t)
	servicer := &servicer{}
	calculator := serve(t, servicer)
	for name, ask := range map[string]func(
		context.Context, pb.CalculatorClient, <-chan *pb.ConverseRequest,
	) ([]string, error){"at once": converse, "in turn": inTurn} {
		for seed := range uint64(100) {
			random := rand.New(rand.NewPCG(seed, 0))
			requests, cuts := randomRequests(random), randomCuts(random)
			var want []string
			var last float64
			for _, request := range requests {
				var answer *pb.ConverseResponse
				answer, last = compute(last, request)
				want = append(want, answer.String())
			}
			servicer.cuts = cuts
			got, err := ask(t.Context(), calculator, atOnce(requests))
			if err != nil || fmt.Sprint(got) != fmt.Sprint(want) {
				t.Fatalf("requests %v %s, cut off at %v: got %v, error %v; want %v", requests, name, cuts, got, err, want)
			}
		}
	}
}

// recording is a listener that passes on the connections that it accepts.
type recording struct {
	net.Listener
	accepted chan net.Conn
}

func (r recording) Accept() (net.Conn, error) {
	connection, err := r.Listener.Accept()
	if err == nil {
		r.accepted <- connection
	}
	return connection, err
}

func TestAConversationContinuesOnAnotherConnectionIfItsConnectionIsLost(t *testing.T) {
	listener := recording{listen(t), make(chan net.Conn, 10)}
	servicer := &servicer{}
	calculator := connect(t, start(t, listener, servicer))
	requests := make(chan *pb.ConverseRequest, 1)
	requests <- add(1)
	var want float64
	for answer, err := range Converse(t.Context(), calculator, requests) {
		want++
		if err != nil || answer.GetResult() != want {
			t.Fatalf("answer %v, error %v; want %v", answer, err, want)
		}
		if want == 3 {
			close(requests)
			continue
		}
		if err := (<-listener.accepted).Close(); err != nil {
			t.Fatal(err)
		}
		requests <- add(1)
	}
	if want != 3 || servicer.streams != 3 {
		t.Errorf("%v answers over %d streams", want, servicer.streams)
	}
}

func TestTheNumberOfStreamsIsNotLimitedIfEachHasAnAnswer(t *testing.T) {
	withoutBackoff(t)
	servicer := &servicer{}
	var requests []*pb.ConverseRequest
	for range 21 {
		requests = append(requests, add(1))
		servicer.cuts = append(servicer.cuts, cut{2, codes.Unavailable, cutOff, false})
	}
	answers, err := converse(t.Context(), serve(t, servicer), atOnce(requests))
	if err != nil || len(answers) != 21 || servicer.streams != 20 {
		t.Errorf("%d answers over %d streams, error %v", len(answers), servicer.streams, err)
	}
}

func TestWithoutRequestsNoStreamIsOpened(t *testing.T) {
	servicer := &servicer{}
	answers, err := converse(t.Context(), serve(t, servicer), atOnce(nil))
	if err != nil || len(answers) != 0 || servicer.streams != 0 {
		t.Errorf("answers %v over %d streams, error %v", answers, servicer.streams, err)
	}
}

func TestFiveStreamsInARowWithoutAnAnswerEndTheConversation(t *testing.T) {
	withoutBackoff(t)
	for answers, streams := range map[int]int{0: policy.MaxAttempts, 1: policy.MaxAttempts + 1} {
		servicer := &servicer{}
		for number := range 10 {
			servicer.cuts = append(servicer.cuts, cut{answers, codes.Unavailable, fmt.Sprint("end ", number+1), false})
		}
		_, err := converse(t.Context(), serve(t, servicer), atOnce([]*pb.ConverseRequest{add(1), add(1)}))
		if want := fmt.Sprint("end ", streams); status.Convert(err).Message() != want || servicer.streams != streams {
			t.Errorf("%d streams, error %v; want %s", servicer.streams, err, want)
		}
	}
}

func TestFiveStreamsInARowThatEndWithOkButWithoutAnAnswerEndTheConversation(t *testing.T) {
	withoutBackoff(t)
	servicer := &servicer{}
	for range 10 {
		servicer.cuts = append(servicer.cuts, cut{0, codes.OK, "", false})
	}
	_, err := converse(t.Context(), serve(t, servicer), atOnce([]*pb.ConverseRequest{add(1)}))
	if status.Convert(err).Message() != "the server ended the stream without an answer" ||
		status.Code(err) != codes.Internal || servicer.streams != policy.MaxAttempts {
		t.Errorf("%d streams, error %v", servicer.streams, err)
	}
}

// twice sends each answer twice.
type twice struct {
	pb.UnimplementedCalculatorServer
}

func (twice) Converse(stream pb.Calculator_ConverseServer) error {
	request, err := stream.Recv()
	if err != nil {
		return err
	}
	answer, _ := compute(0, request)
	return errors.Join(stream.Send(answer), stream.Send(answer))
}

func TestAnAnswerWithoutARequestIsAnError(t *testing.T) {
	answers, err := converse(t.Context(), serve(t, twice{}), atOnce([]*pb.ConverseRequest{add(1)}))
	if len(answers) != 1 || status.Code(err) != codes.Internal ||
		status.Convert(err).Message() != "the server sent more answers than there were requests" {
		t.Errorf("answers %v, error %v", answers, err)
	}
}

// forbidding ends each stream with UNAVAILABLE, and forbids retries.
type forbidding struct {
	pb.UnimplementedCalculatorServer
	streams int
}

func (s *forbidding) Converse(stream pb.Calculator_ConverseServer) error {
	s.streams++
	stream.SetTrailer(metadata.Pairs("grpc-retry-pushback-ms", "-1"))
	return status.Error(codes.Unavailable, "no")
}

func TestNoOtherStreamIsOpenedIfTheServerForbidsRetries(t *testing.T) {
	servicer := &forbidding{}
	_, err := converse(t.Context(), serve(t, servicer), atOnce([]*pb.ConverseRequest{add(1)}))
	if status.Code(err) != codes.Unavailable || servicer.streams != 1 {
		t.Errorf("%d streams, error %v", servicer.streams, err)
	}
}

func TestAPermanentErrorIsReturnedWithoutAnotherStream(t *testing.T) {
	for _, code := range []codes.Code{codes.Internal, codes.InvalidArgument, codes.PermissionDenied, codes.Unknown} {
		servicer := &servicer{cuts: []cut{{1, code, "no", false}}}
		answers, err := converse(t.Context(), serve(t, servicer), atOnce([]*pb.ConverseRequest{add(1), add(1)}))
		if len(answers) != 1 || status.Code(err) != code || servicer.streams != 1 {
			t.Errorf("%v: answers %v over %d streams, error %v", code, answers, servicer.streams, err)
		}
	}
}

func TestACallerThatStopsEndsTheStream(t *testing.T) {
	ended := make(chan struct{})
	calculator := serve(t, &waiting{ended: ended})
	requests := make(chan *pb.ConverseRequest, 1) // not closed: another request could follow
	requests <- add(1)
	for answer, err := range Converse(t.Context(), calculator, requests) {
		if err != nil || answer.GetResult() != 1 {
			t.Errorf("answer %v, error %v", answer, err)
		}
		break
	}
	<-ended
}

func TestAConversationWhoseContextEndsReturnsAnError(t *testing.T) {
	ctx, cancel := context.WithTimeout(t.Context(), 100*time.Millisecond)
	defer cancel()
	requests := make(chan *pb.ConverseRequest, 1) // not closed: another request could follow
	requests <- add(1)
	answers, err := converse(ctx, serve(t, &servicer{}), requests)
	if len(answers) > 1 || status.Code(err) != codes.DeadlineExceeded {
		t.Errorf("answers %v, error %v", answers, err)
	}
}

// waiting answers the first request, and closes a channel when its stream is canceled.
type waiting struct {
	pb.UnimplementedCalculatorServer
	ended chan struct{}
}

func (w *waiting) Converse(stream pb.Calculator_ConverseServer) error {
	request, err := stream.Recv()
	if err != nil {
		return err
	}
	answer, _ := compute(0, request)
	if err := stream.Send(answer); err != nil {
		return err
	}
	<-stream.Context().Done()
	close(w.ended)
	return nil
}
