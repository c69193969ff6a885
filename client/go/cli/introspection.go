// Commands for operators: the health of the server, and its services.

package main

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"github.com/spf13/cobra"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/health/grpc_health_v1"
	reflection "google.golang.org/grpc/reflection/grpc_reflection_v1alpha"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/descriptorpb"
)

func newHealth(global *options) *cobra.Command {
	return newCommand(global, "health [SERVICE]",
		"Print the health of SERVICE, by default of the whole server; exit with status 1 if it is not SERVING.", health)
}

func health(ctx context.Context, caller *caller, words []string) error {
	service := strings.Join(words, "") // at most one word
	if err := checkUTF8(service); err != nil {
		return invalid("SERVICE", err)
	}
	return caller.withDeadline(ctx, func(ctx context.Context, channel *grpc.ClientConn) error {
		request := &grpc_health_v1.HealthCheckRequest{Service: service}
		response, err := grpc_health_v1.NewHealthClient(channel).Check(ctx, request)
		if err != nil {
			return err
		}
		if err := caller.show(response, response.Status.String()); err != nil {
			return err
		}
		if response.Status != grpc_health_v1.HealthCheckResponse_SERVING {
			return &exitError{status: 1}
		}
		return nil
	})
}

func newList(global *options) *cobra.Command {
	return newCommand(global, "list", "Print the services and methods that the server reports through reflection.", list)
}

func list(ctx context.Context, caller *caller, _ []string) error {
	return caller.withDeadline(ctx, func(ctx context.Context, channel *grpc.ClientConn) error {
		stream, err := reflection.NewServerReflectionClient(channel).ServerReflectionInfo(ctx)
		if err != nil {
			return err
		}
		names, err := serviceNames(stream)
		if err != nil {
			return err
		}
		for _, name := range names {
			service, err := findService(stream, name)
			if err != nil {
				return err
			}
			text := name
			for _, method := range service.Method {
				text += "\n" + signature(method)
			}
			service.Name = &name // the full name, with the package
			if err := caller.show(service, text); err != nil {
				return err
			}
		}
		return stream.CloseSend()
	})
}

// ask sends a request of the reflection service, and returns the response.
func ask(
	stream reflection.ServerReflection_ServerReflectionInfoClient, request *reflection.ServerReflectionRequest,
) (*reflection.ServerReflectionResponse, error) {
	_ = stream.Send(request) // if it fails, Recv returns the reason
	response, err := stream.Recv()
	if err != nil {
		return nil, err
	}
	if failed := response.GetErrorResponse(); failed != nil {
		return nil, status.Error(codes.Code(failed.ErrorCode), failed.ErrorMessage)
	}
	return response, nil
}

// serviceNames returns the names of the server's services, in alphabetical order.
func serviceNames(stream reflection.ServerReflection_ServerReflectionInfoClient) ([]string, error) {
	response, err := ask(stream, &reflection.ServerReflectionRequest{
		MessageRequest: &reflection.ServerReflectionRequest_ListServices{},
	})
	if err != nil {
		return nil, err
	}
	var names []string
	for _, service := range response.GetListServicesResponse().GetService() {
		names = append(names, service.Name)
	}
	slices.Sort(names)
	return names, nil
}

// findService returns the descriptor of a service of the server.
func findService(
	stream reflection.ServerReflection_ServerReflectionInfoClient, name string,
) (*descriptorpb.ServiceDescriptorProto, error) {
	response, err := ask(stream, &reflection.ServerReflectionRequest{
		MessageRequest: &reflection.ServerReflectionRequest_FileContainingSymbol{FileContainingSymbol: name},
	})
	if err != nil {
		return nil, err
	}
	for _, encoded := range response.GetFileDescriptorResponse().GetFileDescriptorProto() {
		file := &descriptorpb.FileDescriptorProto{}
		if err := proto.Unmarshal(encoded, file); err != nil {
			return nil, fmt.Errorf("the server's descriptor of %s is invalid: %w", name, err)
		}
		for _, service := range file.Service {
			if strings.TrimPrefix(file.GetPackage()+"."+service.GetName(), ".") == name {
				return service, nil
			}
		}
	}
	return nil, fmt.Errorf("the server did not return the descriptor of %s", name)
}

// signature returns a line such as "  Add(Request) returns (stream Response)".
func signature(method *descriptorpb.MethodDescriptorProto) string {
	request := messageName(method.GetInputType(), method.GetClientStreaming())
	response := messageName(method.GetOutputType(), method.GetServerStreaming())
	return fmt.Sprintf("  %s(%s) returns (%s)", method.GetName(), request, response)
}

func messageName(name string, isStream bool) string {
	name = name[strings.LastIndex(name, ".")+1:]
	if isStream {
		return "stream " + name
	}
	return name
}
