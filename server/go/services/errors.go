package services

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"google.golang.org/genproto/googleapis/rpc/errdetails"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/protoadapt"
	"google.golang.org/protobuf/reflect/protoreflect"

	"calculator/server/domain"
)

// statusCodes are the status codes of the reasons that are not INVALID_ARGUMENT.
var statusCodes = map[domain.Reason]codes.Code{
	domain.Overflow:      codes.OutOfRange,
	domain.UnknownMethod: codes.Unimplemented,
}

// statusOf converts an error of the domain to one with a status: its message, an ErrorInfo, and a BadRequest if a field
// is at fault. It returns other errors as they are.
func statusOf(err error) error {
	var failure *domain.Error
	if !errors.As(err, &failure) {
		return err
	}
	code, ok := statusCodes[failure.Reason]
	if !ok {
		code = codes.InvalidArgument
	}
	details := []protoadapt.MessageV1{
		&errdetails.ErrorInfo{Reason: string(failure.Reason), Domain: "calculator", Metadata: failure.Metadata},
	}
	if failure.Field != "" {
		violation := &errdetails.BadRequest_FieldViolation{Field: failure.Field, Description: failure.Message}
		details = append(details, &errdetails.BadRequest{
			FieldViolations: []*errdetails.BadRequest_FieldViolation{violation},
		})
	}
	detailed, err := status.New(code, failure.Message).WithDetails(details...)
	if err != nil {
		return status.Errorf(codes.Internal, "the details of an error cannot be serialized: %v", err)
	}
	return detailed.Err()
}

func unaryErrors(
	ctx context.Context, request any, _ *grpc.UnaryServerInfo, handler grpc.UnaryHandler,
) (any, error) {
	response, err := handler(ctx, request)
	return response, statusOf(err)
}

func streamErrors(
	server any, stream grpc.ServerStream, _ *grpc.StreamServerInfo, handler grpc.StreamHandler,
) error {
	return statusOf(handler(server, stream))
}

// refuseUnknown is the handler of all methods that the server does not have.
func refuseUnknown(any, grpc.ServerStream) error {
	message := "unknown method; server reflection lists the methods of this server"
	return &domain.Error{Reason: domain.UnknownMethod, Message: message}
}

// unknownOperation returns the error for an unknown number of an operation. It lists the values of the enum from an index
// on: 1 leaves out UNSPECIFIED.
func unknownOperation(number protoreflect.EnumNumber, enum protoreflect.EnumDescriptor, first int) error {
	var accepted []string
	for i := first; i < enum.Values().Len(); i++ {
		value := enum.Values().Get(i)
		accepted = append(accepted, fmt.Sprintf("%s (%d)", value.Name(), value.Number()))
	}
	return &domain.Error{
		Reason:  domain.UnknownOperation,
		Field:   "operation",
		Message: fmt.Sprintf("operation %d is unknown; accepted: %s", number, strings.Join(accepted, ", ")),
	}
}
