// Command grpc_go_peer runs an interop case with grpc-go: grpc_go_peer HOST:PORT CASE.
package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"slices"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/encoding/gzip"
	pb "google.golang.org/grpc/interop/grpc_testing"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/status"
)

const (
	largeRequest  = 271828
	largeResponse = 314159
	initialKey    = "x-grpc-test-echo-initial"
	initialValue  = "test_initial_metadata_value"
	trailingKey   = "x-grpc-test-echo-trailing-bin"
	trailingValue = "\xab\xab\xab"
)

var (
	uploads   = []int{27182, 8, 1828, 45904}
	downloads = []int{31415, 9, 2653, 58979}
	compress  = grpc.UseCompressor(gzip.Name)
)

// testCase runs a case, and returns an error if it fails.
type testCase func(ctx context.Context, channel *grpc.ClientConn) error

var cases = map[string]testCase{
	"empty_unary":                 emptyUnary,
	"large_unary":                 largeUnary(nil),
	"client_streaming":            clientStreaming(uploads),
	"server_streaming":            serverStreaming(downloads, nil),
	"ping_pong":                   pingPong,
	"empty_stream":                emptyStream,
	"custom_metadata":             customMetadata,
	"status_code_and_message":     echoedStatus("test status message"),
	"special_status_message":      echoedStatus("\t\ntest with whitespace\r\nand Unicode BMP ☺ and non-BMP 😈\t\n"),
	"unimplemented_method":        unimplementedMethod,
	"unimplemented_service":       unimplementedService,
	"cancel_after_begin":          cancelAfterBegin,
	"cancel_after_first_response": cancelAfterFirstResponse,
	"timeout_on_sleeping_server":  timeoutOnSleepingServer,
	"client_compressed_unary":     both(largeUnary(nil, compress), largeUnary(nil)),
	"server_compressed_unary":     both(largeUnary(isCompressed(true)), largeUnary(isCompressed(false))),
	"client_compressed_streaming": clientStreaming([]int{27182, 45904}, compress),
	"server_compressed_streaming": serverStreaming(
		[]int{31415, 92653}, []*pb.BoolValue{isCompressed(true), isCompressed(false)},
	),
}

func main() {
	timeout, err := time.ParseDuration(os.Getenv("TIMEOUT_MS") + "ms")
	if err == nil {
		err = run(os.Args[1], os.Args[2], timeout)
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

func run(address, name string, timeout time.Duration) error {
	ctx, cancel := context.WithTimeout(context.Background(), timeout)
	defer cancel()
	channel, err := grpc.NewClient(address, grpc.WithTransportCredentials(insecure.NewCredentials()))
	if err != nil {
		return err
	}
	defer channel.Close()
	body, ok := cases[name]
	if !ok {
		return fmt.Errorf("%s: no such case", name)
	}
	// Some cases end before they have reached the server, so check that it is reachable.
	return both(body, emptyUnary)(ctx, channel)
}

func both(one, other testCase) testCase {
	return func(ctx context.Context, channel *grpc.ClientConn) error {
		return errors.Join(one(ctx, channel), other(ctx, channel))
	}
}

func payload(size int) *pb.Payload {
	return &pb.Payload{Body: make([]byte, size)}
}

func isCompressed(value bool) *pb.BoolValue {
	return &pb.BoolValue{Value: value}
}

func download(size, upload int) *pb.StreamingOutputCallRequest {
	parameters := []*pb.ResponseParameters{{Size: int32(size)}}
	return &pb.StreamingOutputCallRequest{ResponseParameters: parameters, Payload: payload(upload)}
}

// expect returns an error unless the other one has a status code and, if it is not empty, a message.
func expect(code codes.Code, message string, err error) error {
	got := status.Convert(err)
	if got.Code() != code || (message != "" && got.Message() != message) {
		return fmt.Errorf("the status is %v %q; want %v %q", got.Code(), got.Message(), code, message)
	}
	return nil
}

func expectSizes(got, want []int) error {
	if !slices.Equal(got, want) {
		return fmt.Errorf("the sizes are %d; want %d", got, want)
	}
	return nil
}

func emptyUnary(ctx context.Context, channel *grpc.ClientConn) error {
	_, err := pb.NewTestServiceClient(channel).EmptyCall(ctx, &pb.Empty{})
	return err
}

func largeUnary(responseCompressed *pb.BoolValue, options ...grpc.CallOption) testCase {
	return func(ctx context.Context, channel *grpc.ClientConn) error {
		response, err := pb.NewTestServiceClient(channel).UnaryCall(ctx, &pb.SimpleRequest{
			ResponseSize: largeResponse, Payload: payload(largeRequest), ResponseCompressed: responseCompressed,
		}, options...)
		if err != nil {
			return err
		}
		return expectSizes([]int{len(response.Payload.Body)}, []int{largeResponse})
	}
}

func clientStreaming(sizes []int, options ...grpc.CallOption) testCase {
	return func(ctx context.Context, channel *grpc.ClientConn) error {
		stream, err := pb.NewTestServiceClient(channel).StreamingInputCall(ctx, options...)
		if err != nil {
			return err
		}
		sum := 0
		for _, size := range sizes {
			sum += size
			if err := stream.Send(&pb.StreamingInputCallRequest{Payload: payload(size)}); err != nil {
				return err
			}
		}
		response, err := stream.CloseAndRecv()
		if err != nil {
			return err
		}
		return expectSizes([]int{int(response.AggregatedPayloadSize)}, []int{sum})
	}
}

// received reads a stream to its end, and returns the sizes of the responses.
func received(stream interface {
	Recv() (*pb.StreamingOutputCallResponse, error)
}) ([]int, error) {
	var sizes []int
	for {
		response, err := stream.Recv()
		if errors.Is(err, io.EOF) {
			return sizes, nil
		}
		if err != nil {
			return sizes, err
		}
		sizes = append(sizes, len(response.Payload.Body))
	}
}

func serverStreaming(sizes []int, compressed []*pb.BoolValue) testCase {
	return func(ctx context.Context, channel *grpc.ClientConn) error {
		request := &pb.StreamingOutputCallRequest{}
		for i, size := range sizes {
			parameters := &pb.ResponseParameters{Size: int32(size)}
			if compressed != nil {
				parameters.Compressed = compressed[i]
			}
			request.ResponseParameters = append(request.ResponseParameters, parameters)
		}
		stream, err := pb.NewTestServiceClient(channel).StreamingOutputCall(ctx, request)
		if err != nil {
			return err
		}
		got, err := received(stream)
		return errors.Join(err, expectSizes(got, sizes))
	}
}

func pingPong(ctx context.Context, channel *grpc.ClientConn) error {
	stream, err := pb.NewTestServiceClient(channel).FullDuplexCall(ctx)
	if err != nil {
		return err
	}
	for i, size := range downloads {
		if err := stream.Send(download(size, uploads[i])); err != nil {
			return err
		}
		response, err := stream.Recv()
		if err != nil {
			return err
		}
		if err := expectSizes([]int{len(response.Payload.Body)}, []int{size}); err != nil {
			return err
		}
	}
	return end(stream)
}

// end closes the requests of a stream that has no more responses.
func end(stream pb.TestService_FullDuplexCallClient) error {
	if err := stream.CloseSend(); err != nil {
		return err
	}
	got, err := received(stream)
	return errors.Join(err, expectSizes(got, nil))
}

func emptyStream(ctx context.Context, channel *grpc.ClientConn) error {
	stream, err := pb.NewTestServiceClient(channel).FullDuplexCall(ctx)
	if err != nil {
		return err
	}
	return end(stream)
}

func customMetadata(ctx context.Context, channel *grpc.ClientConn) error {
	ctx = metadata.AppendToOutgoingContext(ctx, initialKey, initialValue, trailingKey, trailingValue)
	var header, trailer metadata.MD
	options := []grpc.CallOption{grpc.Header(&header), grpc.Trailer(&trailer)}
	if err := largeUnary(nil, options...)(ctx, channel); err != nil {
		return err
	}
	if err := expectMetadata(header, trailer); err != nil {
		return err
	}
	stream, err := pb.NewTestServiceClient(channel).FullDuplexCall(ctx)
	if err != nil {
		return err
	}
	if err := stream.Send(download(largeResponse, largeRequest)); err != nil {
		return err
	}
	if _, err := stream.Recv(); err != nil {
		return err
	}
	if err := end(stream); err != nil {
		return err
	}
	header, err = stream.Header()
	return errors.Join(err, expectMetadata(header, stream.Trailer()))
}

func expectMetadata(header, trailer metadata.MD) error {
	initial, trailing := header.Get(initialKey), trailer.Get(trailingKey)
	if !slices.Equal(initial, []string{initialValue}) || !slices.Equal(trailing, []string{trailingValue}) {
		return fmt.Errorf("the initial metadata is %q, the trailing %q", initial, trailing)
	}
	return nil
}

func echoedStatus(message string) testCase {
	return func(ctx context.Context, channel *grpc.ClientConn) error {
		echo := &pb.EchoStatus{Code: int32(codes.Unknown), Message: message}
		client := pb.NewTestServiceClient(channel)
		_, unary := client.UnaryCall(ctx, &pb.SimpleRequest{ResponseStatus: echo})
		stream, err := client.FullDuplexCall(ctx)
		if err != nil {
			return err
		}
		if err := stream.Send(&pb.StreamingOutputCallRequest{ResponseStatus: echo}); err != nil {
			return err
		}
		_, streamed := stream.Recv()
		return errors.Join(expect(codes.Unknown, message, unary), expect(codes.Unknown, message, streamed))
	}
}

func unimplementedMethod(ctx context.Context, channel *grpc.ClientConn) error {
	_, err := pb.NewTestServiceClient(channel).UnimplementedCall(ctx, &pb.Empty{})
	return expect(codes.Unimplemented, "", err)
}

func unimplementedService(ctx context.Context, channel *grpc.ClientConn) error {
	_, err := pb.NewUnimplementedServiceClient(channel).UnimplementedCall(ctx, &pb.Empty{})
	return expect(codes.Unimplemented, "", err)
}

func cancelAfterBegin(ctx context.Context, channel *grpc.ClientConn) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	stream, err := pb.NewTestServiceClient(channel).StreamingInputCall(ctx)
	if err != nil {
		return err
	}
	cancel()
	_, err = stream.CloseAndRecv()
	return expect(codes.Canceled, "", err)
}

func cancelAfterFirstResponse(ctx context.Context, channel *grpc.ClientConn) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	stream, err := pb.NewTestServiceClient(channel).FullDuplexCall(ctx)
	if err != nil {
		return err
	}
	if err := stream.Send(download(downloads[0], uploads[0])); err != nil {
		return err
	}
	if _, err := stream.Recv(); err != nil {
		return err
	}
	cancel()
	_, err = stream.Recv()
	return expect(codes.Canceled, "", err)
}

func timeoutOnSleepingServer(ctx context.Context, channel *grpc.ClientConn) error {
	ctx, cancel := context.WithTimeout(ctx, time.Millisecond)
	defer cancel()
	stream, err := pb.NewTestServiceClient(channel).FullDuplexCall(ctx)
	if err != nil {
		return expect(codes.DeadlineExceeded, "", err)
	}
	request := &pb.StreamingOutputCallRequest{Payload: payload(uploads[0])}
	if err := stream.Send(request); err != nil && !errors.Is(err, io.EOF) { // EOF: the status is that of Recv
		return expect(codes.DeadlineExceeded, "", err)
	}
	_, err = stream.Recv()
	return expect(codes.DeadlineExceeded, "", err)
}
