// One-line descriptions of failed calls, and the details of their errors.

package client

import (
	"fmt"
	"regexp"
	"strings"
	"time"

	"google.golang.org/genproto/googleapis/rpc/errdetails"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
)

// tokenFailed is the prefix that gRPC adds to an error of the token's source. In that case, the call was not sent to a
// server.
const tokenFailed = "transport: per-RPC creds failed due to error: "

// notConnected is the prefix that gRPC adds to the reason why there is no connection.
const notConnected = "connection error: "

// Call is a call that failed, for Describe.
type Call struct {
	// Target is the server that was called.
	Target string
	// Timeout is the timeout of the call.
	Timeout time.Duration
	// Audience is the audience of the call's identity token; empty if the call may not have had one.
	Audience string
	// IsTLS tells whether the connection used TLS.
	IsTLS bool
}

// Describe describes the error of a failed call in one line: the status, the details, and what to do.
func Describe(err error, call Call) string {
	failure := status.Convert(err)
	details := strings.Join(strings.Fields(failure.Message()), " ")
	if reason, ok := strings.CutPrefix(details, tokenFailed); ok {
		return reason
	}
	code := CodeName(failure.Code())
	if advice := advice(failure.Code(), details, call); advice != "" {
		details = strings.TrimPrefix(details+"; "+advice, "; ")
	}
	if details == "" {
		return code
	}
	return code + ": " + details
}

// advice returns what to do about a failed call, if that is known.
func advice(code codes.Code, details string, call Call) string {
	switch code {
	case codes.DeadlineExceeded:
		if !strings.Contains(strings.ToLower(details), "deadline exceeded") {
			return "" // the deadline was the server's, not the client's
		}
		return fmt.Sprintf("%s did not answer within %.6g s; increase --timeout", call.Target, call.Timeout.Seconds())
	case codes.NotFound:
		return call.Target + " does not know this name"
	case codes.Unimplemented:
		return call.Target + " does not serve this method; name another server with --target"
	case codes.Unavailable:
		if strings.HasPrefix(details, notConnected) {
			return notReached(call)
		}
	case codes.Unauthenticated, codes.PermissionDenied:
		if call.Audience == "" {
			return call.Target + " requires authentication; pass --auth=identity-token"
		}
		return fmt.Sprintf("the token's audience was %s; check --audience and, on Cloud Run, your role roles/run.invoker",
			call.Audience)
	}
	return ""
}

func notReached(call Call) string {
	if call.IsTLS {
		return fmt.Sprintf("is a server with TLS running at %s? "+
			"If its certificate is not from one of the system's CAs, pass --ca-cert", call.Target)
	}
	return fmt.Sprintf("is a server running at %s? "+
		"Start one with ./bazelw run //server, or name another with --target", call.Target)
}

var wordStart = regexp.MustCompile(`([a-z])([A-Z])`)

// CodeName returns the name of a status code in gRPC's specification, such as INVALID_ARGUMENT.
func CodeName(code codes.Code) string {
	if code == codes.Canceled {
		return "CANCELLED" // the only name that grpc-go spells differently
	}
	return strings.ToUpper(wordStart.ReplaceAllString(code.String(), "${1}_$2"))
}

// Reason returns the name of the reason why a call failed, such as DIVISION_BY_ZERO; "" if the server gave none. The
// names are those of Reason in proto/calculator/v1/calculator.proto, without the prefix.
func Reason(err error) string {
	for _, info := range detailsOf[*errdetails.ErrorInfo](err) {
		if info.Domain == "calculator" {
			return info.Reason
		}
	}
	return ""
}

// FieldViolations returns the fields of the request that are at fault for the error of a failed call.
func FieldViolations(err error) []*errdetails.BadRequest_FieldViolation {
	var violations []*errdetails.BadRequest_FieldViolation
	for _, request := range detailsOf[*errdetails.BadRequest](err) {
		violations = append(violations, request.FieldViolations...)
	}
	return violations
}

func detailsOf[T any](err error) []T {
	var found []T
	for _, detail := range status.Convert(err).Details() {
		if typed, ok := detail.(T); ok {
			found = append(found, typed)
		}
	}
	return found
}
