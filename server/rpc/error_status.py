"""The conversion of errors to gRPC statuses, with status codes and details."""

import grpc
from google.protobuf import any_pb2
from google.rpc import error_details_pb2, status_pb2
from grpc_status import rpc_status

from server.domain.errors import CalculatorError, Reason

_DOMAIN = "calculator"

CODES: dict[Reason, grpc.StatusCode] = {
    Reason.UNKNOWN_OPERATION: grpc.StatusCode.INVALID_ARGUMENT,
    Reason.DIVISION_BY_ZERO: grpc.StatusCode.INVALID_ARGUMENT,
    Reason.UNDEFINED: grpc.StatusCode.INVALID_ARGUMENT,
    Reason.MALFORMED_EXPRESSION: grpc.StatusCode.INVALID_ARGUMENT,
    Reason.NOT_FINITE: grpc.StatusCode.INVALID_ARGUMENT,
    Reason.OVERFLOW: grpc.StatusCode.OUT_OF_RANGE,
    Reason.TOO_LONG: grpc.StatusCode.INVALID_ARGUMENT,
    Reason.TOO_MUCH: grpc.StatusCode.RESOURCE_EXHAUSTED,
    # The codes that gRPC itself uses: https://github.com/grpc/grpc/blob/master/doc/statuscodes.md
    Reason.MALFORMED_MESSAGE: grpc.StatusCode.INTERNAL,
    Reason.MISSING_MESSAGE: grpc.StatusCode.UNIMPLEMENTED,
    Reason.UNKNOWN_METHOD: grpc.StatusCode.UNIMPLEMENTED,
    Reason.NOT_IDENTIFIED: grpc.StatusCode.UNAUTHENTICATED,
    Reason.NOT_ALLOWED: grpc.StatusCode.PERMISSION_DENIED,
    Reason.KEYS_UNAVAILABLE: grpc.StatusCode.UNAVAILABLE,
}
"""The status code of each kind of error."""


def of_error(error: CalculatorError) -> grpc.Status:
    """Return the status of an error: its message, an ErrorInfo, and a BadRequest if a field is at fault."""
    details = [
        _packed(error_details_pb2.ErrorInfo(reason=error.reason, domain=_DOMAIN, metadata=error.metadata)),
    ]
    if error.field:
        violation = error_details_pb2.BadRequest.FieldViolation(field=error.field, description=str(error))
        details.append(_packed(error_details_pb2.BadRequest(field_violations=[violation])))
    [number, _] = CODES[error.reason].value
    return rpc_status.to_status(status_pb2.Status(code=number, message=str(error), details=details))


def of_crash(crash_id: str) -> grpc.Status:
    """Return the status of a call whose servicer crashed: the client gets only an ID that is also in the log."""
    [number, _] = grpc.StatusCode.INTERNAL.value
    message = f"internal error; for details, search the server log for {crash_id}"
    return rpc_status.to_status(status_pb2.Status(code=number, message=message))


def _packed(message: error_details_pb2.ErrorInfo | error_details_pb2.BadRequest) -> any_pb2.Any:
    packed = any_pb2.Any()
    packed.Pack(message)
    return packed
