"""The one place where errors become gRPC statuses."""

import grpc
from google.protobuf import any_pb2
from google.rpc import error_details_pb2, status_pb2
from grpc_status import rpc_status

from server.errors import (
    CalculatorError,
    DivisionByZeroError,
    KeysUnavailableError,
    MalformedExpressionError,
    MalformedMessageError,
    MissingMessageError,
    NotAllowedError,
    NotFiniteError,
    NotIdentifiedError,
    ResultOverflowError,
    TooLongError,
    TooMuchError,
    UndefinedError,
    UnknownMethodError,
    UnknownOperationError,
)

_DOMAIN = "calculator"

CODES: dict[type[CalculatorError], grpc.StatusCode] = {
    UnknownOperationError: grpc.StatusCode.INVALID_ARGUMENT,
    DivisionByZeroError: grpc.StatusCode.INVALID_ARGUMENT,
    UndefinedError: grpc.StatusCode.INVALID_ARGUMENT,
    MalformedExpressionError: grpc.StatusCode.INVALID_ARGUMENT,
    NotFiniteError: grpc.StatusCode.INVALID_ARGUMENT,
    ResultOverflowError: grpc.StatusCode.OUT_OF_RANGE,
    TooLongError: grpc.StatusCode.INVALID_ARGUMENT,
    TooMuchError: grpc.StatusCode.RESOURCE_EXHAUSTED,
    # As the protocol has it: https://github.com/grpc/grpc/blob/master/doc/statuscodes.md
    MalformedMessageError: grpc.StatusCode.INTERNAL,
    MissingMessageError: grpc.StatusCode.UNIMPLEMENTED,
    UnknownMethodError: grpc.StatusCode.UNIMPLEMENTED,
    NotIdentifiedError: grpc.StatusCode.UNAUTHENTICATED,
    NotAllowedError: grpc.StatusCode.PERMISSION_DENIED,
    KeysUnavailableError: grpc.StatusCode.UNAVAILABLE,
}
"""The status of each kind of error."""


def of_error(error: CalculatorError) -> grpc.Status:
    """Return the status of an error: its text, an ErrorInfo, and a BadRequest where a field is to blame."""
    details = [
        _packed(error_details_pb2.ErrorInfo(reason=error.reason, domain=_DOMAIN, metadata=error.metadata)),
    ]
    if error.field:
        violation = error_details_pb2.BadRequest.FieldViolation(field=error.field, description=str(error))
        details.append(_packed(error_details_pb2.BadRequest(field_violations=[violation])))
    [number, _] = CODES[type(error)].value
    return rpc_status.to_status(status_pb2.Status(code=number, message=str(error), details=details))


def of_crash(crash_id: str) -> grpc.Status:
    """Return the status of a call that the server failed at: nothing but an id, which the log repeats."""
    [number, _] = grpc.StatusCode.INTERNAL.value
    message = f"the server failed at this call; its log has more under {crash_id}"
    return rpc_status.to_status(status_pb2.Status(code=number, message=message))


def _packed(message: error_details_pb2.ErrorInfo | error_details_pb2.BadRequest) -> any_pb2.Any:
    packed = any_pb2.Any()
    packed.Pack(message)
    return packed
