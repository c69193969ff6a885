// Package domain is the domain logic, independent of any protocol: arithmetic, expressions, statistics, distances.
package domain

import "fmt"

// Reason is a kind of errors: a name in calculator.v1.Reason, which describes it, without the prefix.
type Reason string

// The reasons for which the domain and the services refuse requests.
const (
	UnknownOperation    Reason = "UNKNOWN_OPERATION"
	DivisionByZero      Reason = "DIVISION_BY_ZERO"
	Undefined           Reason = "UNDEFINED"
	MalformedExpression Reason = "MALFORMED_EXPRESSION"
	NotFinite           Reason = "NOT_FINITE"
	Overflow            Reason = "OVERFLOW"
	TooLong             Reason = "TOO_LONG"
	UnknownMethod       Reason = "UNKNOWN_METHOD"
)

// Error says that a request cannot be answered. This is not the fault of the server.
type Error struct {
	Reason   Reason
	Message  string            // what was wrong, the value, and the accepted values
	Field    string            // the field of the request that is at fault, or ""
	Metadata map[string]string // machine-readable details of the error
}

// Error returns the message.
func (e *Error) Error() string {
	return e.Message
}

func errorf(reason Reason, field, format string, values ...any) *Error {
	return &Error{Reason: reason, Field: field, Message: fmt.Sprintf(format, values...)}
}
