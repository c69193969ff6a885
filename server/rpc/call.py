"""The call scope: one call, from its metadata to its record in the access log."""

import logging
import math
import os
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, ExitStack, nullcontext
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, NoReturn, Protocol, Self, TypeAlias

import grpc
from google.protobuf.message import DecodeError

from server.domain.errors import CalculatorError, Reason
from server.observability import logs, trace_context
from server.observability.call_record import CallRecord
from server.observability.trace_context import Metadata, Trace
from server.rpc import error_status
from server.rpc.errors import CallError

if TYPE_CHECKING:
    from server.rpc.limits import Limit

_LOGGER = logging.getLogger(__name__)

_EXPIRED = "the call exceeded the maximum duration of this server"

# grpcio gives calls without a deadline one that is centuries away.
_FAR_FUTURE_SECONDS = 10 * 365 * 24 * 3600

Log: TypeAlias = Callable[[CallRecord], None]


class Authenticator(Protocol):
    """Verifies identity tokens."""

    def exempts(self, path: str) -> bool:
        """Return whether a method may be called without an identity token."""

    def identify(self, metadata: Metadata) -> str:
        """Return the e-mail address of the account in the identity token of a call.

        Raises:
            CallError: the metadata does not have a valid token, or tokens cannot be verified at the moment.
        """

    def authorize(self, caller: str) -> None:
        """Check that an account may call.

        Raises:
            CallError: the account is not one of the allowed callers.
        """


class Span(Protocol):
    """The telemetry span of a call.

    Attributes:
        trace: the trace context of the span, if it has one.
    """

    trace: Trace | None

    def current(self) -> AbstractContextManager[object]:
        """Return a context manager in which the span is the current one."""

    def finish(self, code: grpc.StatusCode, duration: float) -> None:
        """End the span with a status code, and record the duration in seconds."""


StartSpan: TypeAlias = Callable[[str | None, Metadata, Trace | None], Span]
"""Starts a span, given the path of the method (None if it is unknown), the metadata and its trace context."""


@dataclass(frozen=True)
class MethodPolicy:
    """What all calls of a method have in common.

    Attributes:
        path: the path of the method, such as "/calculator.v1.Calculator/Calculate".
        is_known: whether the server has the method.
        handler: the handler of the method.
        limit: the limit that its calls count against, shared with other methods.
        log: writes the record of a call; None without an access log.
        start_span: starts a span; None if neither traces nor metrics are exported.
        authenticator: verifies identity tokens; None if the method does not require one.
    """

    path: str
    is_known: bool
    handler: "grpc.RpcMethodHandler[Any, Any]"
    limit: "Limit[CallScope]"
    log: Log | None
    start_span: StartSpan | None
    authenticator: Authenticator | None


class CallScope:
    """The scope of one call: its handler runs in a `with` block of this object.

    | step | what it does |
    | --- | --- |
    | `__init__` | reads the metadata |
    | `__enter__` | starts a span, counts the call, authenticates the caller |
    | `receive`, `serialized` | convert messages and count their bytes |
    | `__exit__` | converts an error to a status, once the handler has returned |
    | `_on_end` | writes the record, once the response is in the send buffer or the client is gone |

    The last two steps may run in either order, and in different threads.

    Args:
        method: the method of the call.
        context: the gRPC context of the call.

    Attributes:
        method: the method of the call.
        context: the gRPC context of the call.
        is_stopped: whether the call was still in flight when the server stopped.
    """

    _caller: str | None = None
    _refusal: str | None = None
    is_stopped = False
    _received_bytes = 0
    _sent_bytes = 0
    _is_cut = False  # the call ended before its handler returned
    _is_expired = False
    _has_returned = False
    _has_ended = False
    _span: Span | None = None
    _exit_stack: ExitStack | None = None

    def __init__(self, method: MethodPolicy, context: grpc.ServicerContext) -> None:
        """Read the metadata and start the clock."""
        self._began = time.perf_counter()
        self.method = method
        self.context = context
        self._peer = context.peer()  # read now, since it may be unknown once the call has ended
        self._trace = trace_context.of_metadata(context.invocation_metadata())

    def __enter__(self) -> Self:
        """Start the call.

        Raises:
            Exception: the call is refused, and its status is set.
        """
        if self.method.start_span or self._trace:
            self._enter_span()
        if not self.context.add_callback(self._on_end):
            self._on_end()
        try:
            self.method.limit.admit(self)
            if self.method.authenticator:
                self._authenticate(self.method.authenticator)
        except Exception as error:  # noqa: BLE001 - on any error, the client must get a status
            self._handler_returned(error)
        return self

    def _enter_span(self) -> None:
        self._exit_stack = ExitStack()
        if self.method.start_span:
            path = self.method.path if self.method.is_known else None
            self._span = self.method.start_span(path, self.context.invocation_metadata(), self._trace)
            self._trace = self._span.trace or self._trace
            self._exit_stack.enter_context(self._span.current())
        self._exit_stack.enter_context(logs.trace_scope(self._trace))

    def _authenticate(self, authenticator: Authenticator) -> None:
        try:
            self._caller = authenticator.identify(self.context.invocation_metadata())
        except CallError as error:
            if error.reason is Reason.NOT_IDENTIFIED:
                self._refusal = str(error)  # one of a few fixed texts, without client data
            raise
        authenticator.authorize(self._caller)

    def receive(self, requests: Iterator[bytes]) -> Any:  # noqa: ANN401
        """Return the argument of the servicer: an iterator of messages or, for a unary request, the message.

        Raises:
            CallError: the message of a unary request is missing.
        """
        if self.method.handler.request_streaming:
            return map(self._parsed, requests)
        for request in requests:
            return self._parsed(request)
        raise CallError(Reason.MISSING_MESSAGE, f"{self.method.path} requires a request message")

    def _parsed(self, request: bytes) -> Any:  # noqa: ANN401
        self._received_bytes += len(request)
        deserialize = self.method.handler.request_deserializer
        try:
            return deserialize(request) if deserialize else request
        except DecodeError as error:
            message = f"a request message of {self.method.path} cannot be parsed: {error}"
            raise CallError(Reason.MALFORMED_MESSAGE, message) from error

    def serialized(self, response: Any) -> bytes:  # noqa: ANN401
        """Serialize a response of the servicer."""
        serialize = self.method.handler.response_serializer
        message = serialize(response) if serialize else response
        self._sent_bytes += len(message)
        return message

    def expire(self) -> None:
        """End the call; safe to call from any thread.

        The client gets DEADLINE_EXCEEDED from nggrpc, but CANCELLED from grpcio.
        """
        self._is_expired = True
        self.context.set_code(grpc.StatusCode.DEADLINE_EXCEEDED)
        self.context.set_details(_EXPIRED)
        self.context.cancel()

    def __exit__(self, _kind: object, error: BaseException | None, _traceback: object) -> None:
        """Set the status if the handler raised an error."""
        self._handler_returned(error)

    def _handler_returned(self, error: BaseException | None) -> None:
        self._has_returned = True
        if error and not self.context.is_active():  # the servicer failed because the call had ended
            self._is_cut = True
        self.method.limit.mark_answered(self)
        if self._has_ended:  # `_on_end` ran first and left the release to us
            self.method.limit.release(self)
        if error or self._exit_stack:
            with self._exit_stack or nullcontext():
                if isinstance(error, Exception):
                    self._fail(error)

    def _fail(self, error: Exception) -> NoReturn:
        """End the call with the status of an error. After a crash, the client gets only an ID."""
        if self._is_expired:
            self.context.abort(grpc.StatusCode.DEADLINE_EXCEEDED, _EXPIRED)  # not the servicer's error
        if isinstance(error, CalculatorError):
            self.context.abort_with_status(error_status.of_error(error))
        # Generated stubs of unimplemented methods set UNIMPLEMENTED and raise NotImplementedError.
        if type(error) is NotImplementedError and self._code is grpc.StatusCode.UNIMPLEMENTED:
            self.context.abort_with_status(error_status.of_error(CallError(Reason.UNKNOWN_METHOD, str(error))))
        # The servicer has called context.abort, or the client is gone.
        is_abort = type(error) is Exception and not error.args and self._code is not grpc.StatusCode.OK
        is_gone = isinstance(error, grpc.RpcError) and not self.context.is_active()
        if is_abort or is_gone:
            raise error
        crash_id = os.urandom(8).hex()
        _LOGGER.error("%s crashed: %s", self.method.path, crash_id, exc_info=error)
        self.context.abort_with_status(error_status.of_crash(crash_id))

    def _on_end(self) -> None:
        """Write the record, now that the status is final."""
        self._has_ended = True
        if self._has_returned:
            self.method.limit.release(self)
        else:
            self._is_cut = True
        code, duration = self._code, time.perf_counter() - self._began
        try:
            if self.method.log:
                self.method.log(self._record(code, duration))
        finally:
            if self._span:
                self._span.finish(code, duration)

    def _record(self, code: grpc.StatusCode, duration: float) -> CallRecord:
        return CallRecord(  # positional arguments take half the time
            self.method.path,
            code,
            duration,
            self._received_bytes,
            self._sent_bytes,
            self._peer,
            self._deadline_left_ms,
            self._caller,
            self._refusal,
            self._trace,
        )

    @property
    def _code(self) -> grpc.StatusCode:
        """The status code, or the one that the call would have if it ended now."""
        if self._is_expired:
            return grpc.StatusCode.DEADLINE_EXCEEDED
        # nggrpc has a code for every call that has ended; grpcio has only the code that the servicer has set, if any.
        code: grpc.StatusCode | None = self.context.code()  # type: ignore[attr-defined] # the type stubs do not have it
        if code:
            return code
        # If the server aborted the call because it is stopping, the client gets UNAVAILABLE, even if the servicer
        # mistook the abort for the end of the requests and returned normally.
        if self.is_stopped:
            return grpc.StatusCode.UNAVAILABLE
        if self._is_cut:
            return grpc.StatusCode.DEADLINE_EXCEEDED if self._deadline_left_ms == 0 else grpc.StatusCode.CANCELLED
        return grpc.StatusCode.OK

    @property
    def _deadline_left_ms(self) -> int | None:
        left = self.context.time_remaining()
        if left is None or left > _FAR_FUTURE_SECONDS:
            return None
        return math.ceil(left * 1000)
