// Tests of the descriptions of failed calls, with statuses from a real server.

package client

import (
	"context"
	"testing"
	"time"

	"google.golang.org/genproto/googleapis/rpc/errdetails"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials/local"
	"google.golang.org/grpc/status"

	pb "calculator/proto/calculator/v1/calculatorpb"
)

// refusing ends every call with a status.
type refusing struct {
	pb.UnimplementedCalculatorServer
	status *status.Status
}

func (r refusing) Calculate(context.Context, *pb.CalculateRequest) (*pb.CalculateResponse, error) {
	return nil, r.status.Err()
}

func refusal(t *testing.T, refused *status.Status) error {
	t.Helper()
	_, err := serve(t, refusing{status: refused}).Calculate(t.Context(), &pb.CalculateRequest{})
	return err
}

func TestDescribeReturnsOneLineWithTheStatusAndWhatToDo(t *testing.T) {
	for _, each := range []struct {
		code          codes.Code
		details, want string
	}{
		{codes.InvalidArgument, "operation 7 is unknown", "INVALID_ARGUMENT: operation 7 is unknown"},
		{codes.Internal, "one line\n  and another\r\n", "INTERNAL: one line and another"},
		{codes.Unimplemented, "", "UNIMPLEMENTED: a:1 does not serve this method; name another server with --target"},
		{
			codes.DeadlineExceeded, "context deadline exceeded",
			"DEADLINE_EXCEEDED: context deadline exceeded; a:1 did not answer within 3 s; increase --timeout",
		},
		{codes.DeadlineExceeded, "the server's own", "DEADLINE_EXCEEDED: the server's own"},
		{codes.NotFound, "", "NOT_FOUND: a:1 does not know this name"},
		{codes.Unauthenticated, "", "UNAUTHENTICATED: a:1 requires authentication; pass --auth=identity-token"},
		{codes.DataLoss, "", "DATA_LOSS"},
		{codes.Canceled, "by the server", "CANCELLED: by the server"},
	} {
		err := refusal(t, status.New(each.code, each.details))
		if got := Describe(err, Call{Target: "a:1", Timeout: 3 * time.Second}); got != each.want {
			t.Errorf("described as %q; want %q", got, each.want)
		}
	}
}

func TestACallWithoutATokenFailsWithTheReasonUnlessTheTokenIsOptional(t *testing.T) {
	target := start(t, listen(t), pb.UnimplementedCalculatorServer{})
	for isOptional, want := range map[bool]string{
		false: errNotReached.Error(),
		true: "UNIMPLEMENTED: method Calculate not implemented; " +
			"a:1 does not serve this method; name another server with --target",
	} {
		tokens := &tokens{fetch: func() (token, error) { return token{}, errNotReached }}
		channel, err := grpc.NewClient(target,
			grpc.WithTransportCredentials(local.NewCredentials()),
			grpc.WithPerRPCCredentials(&tokenSender{tokens: tokens, isOptional: isOptional}))
		if err != nil {
			t.Fatal(err)
		}
		defer channel.Close()
		_, err = pb.NewCalculatorClient(channel).Calculate(t.Context(), &pb.CalculateRequest{})
		if got := Describe(err, Call{Target: "a:1"}); got != want {
			t.Errorf("described as %q; want %q", got, want)
		}
	}
}

func TestTheReasonAndTheFieldsAtFaultAreReturned(t *testing.T) {
	field := &errdetails.BadRequest_FieldViolation{Field: "second_operand", Description: "is 0"}
	refused, err := status.New(codes.InvalidArgument, "7 / 0 divides by zero").WithDetails(
		&errdetails.ErrorInfo{Reason: "OTHER", Domain: "example.com"},
		&errdetails.ErrorInfo{Reason: "DIVISION_BY_ZERO", Domain: "calculator"},
		&errdetails.BadRequest{FieldViolations: []*errdetails.BadRequest_FieldViolation{field}},
	)
	if err != nil {
		t.Fatal(err)
	}
	failed := refusal(t, refused)
	fields := FieldViolations(failed)
	if Reason(failed) != "DIVISION_BY_ZERO" || len(fields) != 1 || fields[0].Field != "second_operand" {
		t.Errorf("the reason is %q, the fields are %v", Reason(failed), fields)
	}
	if Reason(context.Canceled) != "" || FieldViolations(context.Canceled) != nil {
		t.Error("an error without details has details")
	}
}
