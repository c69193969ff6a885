// Command peer makes the calls of the test vectors with the client in Go: go_peer --target HOST:PORT FILE...
//
// See README.md. The program exits with status 1 after the first vector that fails.
package main

import (
	"context"
	"encoding/hex"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"strconv"
	"strings"
	"time"

	"github.com/google/go-cmp/cmp"
	"google.golang.org/grpc"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/encoding/protojson"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"
	"google.golang.org/protobuf/reflect/protoregistry"

	"calculator/client"
	_ "calculator/proto/calculator/v1/calculatorpb"
	_ "calculator/proto/routeguide/routeguidepb"
	_ "calculator/proto/tutorialpb"
)

const statusDetails = "grpc-status-details-bin"

// encoded is a message as in a file: its JSON, parsed, and its bytes in hexadecimal.
type encoded struct {
	Message any    `json:"message"`
	Wire    string `json:"wire"`
}

type vector struct {
	Name      string
	Requests  []encoded
	Responses []encoded
	Status    any
}

func main() {
	if err := run(); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

func run() error {
	target := flag.String("target", "", "`HOST:PORT` of the server")
	caCert := flag.String("ca-cert", "", "`FILE` with the CA certificates, if the server uses TLS")
	auth := flag.String("auth", client.AuthNone, "none or identity-token")
	flag.Parse()
	milliseconds, err := strconv.Atoi(os.Getenv("TIMEOUT_MS"))
	if err != nil {
		return fmt.Errorf("TIMEOUT_MS must be the timeout of a call in milliseconds: %w", err)
	}
	channel, err := client.Connect(context.Background(), *target, client.Access{CACert: *caCert, Auth: *auth})
	if err != nil {
		return err
	}
	defer channel.Close()
	passed := 0
	for _, file := range flag.Args() {
		count, err := checkFile(channel, file, time.Duration(milliseconds)*time.Millisecond)
		if err != nil {
			return fmt.Errorf("%s: %w", file, err)
		}
		passed += count
	}
	fmt.Println(passed, "vectors passed")
	return nil
}

// checkFile checks the vectors of a file, and returns their number.
func checkFile(channel *grpc.ClientConn, file string, timeout time.Duration) (int, error) {
	text, err := os.ReadFile(file)
	if err != nil {
		return 0, err
	}
	var content struct {
		Method  string
		Vectors []vector
	}
	if err := json.Unmarshal(text, &content); err != nil {
		return 0, err
	}
	method, err := findMethod(content.Method)
	if err != nil {
		return 0, err
	}
	for _, each := range content.Vectors {
		if err := check(channel, method, each, timeout); err != nil {
			return 0, fmt.Errorf("%s: %w", each.Name, err)
		}
	}
	return len(content.Vectors), nil
}

// findMethod returns the descriptor of a method with a name such as package.Service/Method.
func findMethod(name string) (protoreflect.MethodDescriptor, error) {
	found, err := protoregistry.GlobalFiles.FindDescriptorByName(
		protoreflect.FullName(strings.Replace(name, "/", ".", 1)))
	if err != nil {
		return nil, fmt.Errorf("%s: %w", name, err)
	}
	method, ok := found.(protoreflect.MethodDescriptor)
	if !ok {
		return nil, fmt.Errorf("%s is not a method", name)
	}
	return method, nil
}

// check makes the call of a vector, and compares all messages and the status.
func check(channel *grpc.ClientConn, method protoreflect.MethodDescriptor, want vector, timeout time.Duration) error {
	requests, err := decoded(method.Input(), want.Requests)
	if err != nil {
		return err
	}
	if _, err := decoded(method.Output(), want.Responses); err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(context.Background(), timeout)
	defer cancel()
	// All kinds of methods are alike on the wire.
	description := &grpc.StreamDesc{ClientStreams: true, ServerStreams: true}
	stream, err := channel.NewStream(ctx, description, fmt.Sprintf("/%s/%s", method.Parent().FullName(), method.Name()))
	if err != nil {
		return err
	}
	for _, request := range requests {
		if stream.SendMsg(request) != nil {
			break // receiving the responses returns the reason
		}
	}
	if err := stream.CloseSend(); err != nil {
		return err
	}
	responses, end := receive(stream, method.Output())
	got, err := describeStatus(end, stream.Trailer().Get(statusDetails))
	if err != nil {
		return err
	}
	return different(vector{want.Name, want.Requests, responses, got}, want)
}

// receive returns the responses, and the error that ends the stream.
func receive(stream grpc.ClientStream, output protoreflect.MessageDescriptor) ([]encoded, error) {
	responses := []encoded{}
	for {
		response, err := newMessage(output)
		if err != nil {
			return nil, err
		}
		if err := stream.RecvMsg(response); err != nil {
			return responses, err
		}
		described, err := describe(response)
		if err != nil {
			return nil, err
		}
		responses = append(responses, described)
	}
}

// decoded returns the messages of their JSON. It returns an error if they do not have the bytes of the vector.
func decoded(descriptor protoreflect.MessageDescriptor, want []encoded) ([]proto.Message, error) {
	var messages []proto.Message
	got := []encoded{}
	for _, each := range want {
		text, err := json.Marshal(each.Message)
		if err != nil {
			return nil, err
		}
		message, err := newMessage(descriptor)
		if err != nil {
			return nil, err
		}
		if err := protojson.Unmarshal(text, message); err != nil {
			return nil, err
		}
		described, err := describe(message)
		if err != nil {
			return nil, err
		}
		messages, got = append(messages, message), append(got, described)
	}
	return messages, different(got, want)
}

func newMessage(descriptor protoreflect.MessageDescriptor) (proto.Message, error) {
	found, err := protoregistry.GlobalTypes.FindMessageByName(descriptor.FullName())
	if err != nil {
		return nil, err
	}
	return found.New().Interface(), nil
}

// describe returns a message in the format of a vector.
func describe(message proto.Message) (encoded, error) {
	wire, err := proto.MarshalOptions{Deterministic: true}.Marshal(message)
	if err != nil {
		return encoded{}, err
	}
	parsed, err := parsedJSON(message)
	return encoded{parsed, hex.EncodeToString(wire)}, err
}

// parsedJSON returns a message as parsed JSON.
func parsedJSON(message proto.Message) (any, error) {
	text, err := protojson.MarshalOptions{UseProtoNames: true}.Marshal(message)
	if err != nil {
		return nil, err
	}
	var parsed any
	err = json.Unmarshal(text, &parsed)
	return parsed, err
}

// describeStatus returns the status of a call in the format of a vector.
func describeStatus(end error, wires []string) (any, error) {
	if errors.Is(end, io.EOF) {
		return map[string]any{"code": "OK"}, nil
	}
	failure, ok := status.FromError(end)
	if !ok {
		return nil, end
	}
	described := map[string]any{"code": client.CodeName(failure.Code()), "message": failure.Message()}
	if len(wires) == 0 {
		return described, nil
	}
	details := []any{}
	for _, detail := range failure.Proto().Details {
		parsed, err := parsedJSON(detail)
		if err != nil {
			return nil, err
		}
		details = append(details, parsed)
	}
	described["details"], described["wire"] = details, hex.EncodeToString([]byte(wires[0]))
	return described, nil
}

// different returns an error that shows the differences; nil if there are none.
func different(got, want any) error {
	if difference := cmp.Diff(want, got); difference != "" {
		return fmt.Errorf("the vector (-) differs from the client (+):\n%s", difference)
	}
	return nil
}
