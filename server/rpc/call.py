"""One call, from its metadata to its record in the access log."""

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

_EXPIRED = "the call took longer than this server lets any call take"

# grpcio gives a call without a deadline one that is centuries away.
_FAR_FUTURE_SECONDS = 10 * 365 * 24 * 3600

Log: TypeAlias = Callable[[CallRecord], None]


class Authenticator(Protocol):
    """Verifies who calls."""

    def exempts(self, path: str) -> bool:
        """Return whether a method may be called without an identity token."""

    def identify(self, metadata: Metadata) -> str:
        """Return the e-mail address of the account whose identity token the metadata has.

        Raises:
            CallError: there is no valid token, or it cannot be verified at the moment.
        """

    def authorize(self, caller: str) -> None:
        """Check that an account may call.

        Raises:
            CallError: it may not.
        """


class Span(Protocol):
    """A call as telemetry sees it.

    Attributes:
        trace: its place in a trace, if it has one.
    """

    trace: Trace | None

    def current(self) -> AbstractContextManager[object]:
        """Return a block in which the span is the current one."""

    def finish(self, code: grpc.StatusCode, duration: float) -> None:
        """End the span with a status code, after some seconds."""


StartSpan: TypeAlias = Callable[[str | None, Metadata, Trace | None], Span]
"""Starts a span, given the path of the method (None if the server does not have it), the metadata and its trace."""


@dataclass(frozen=True)
class Method:
    """What all calls of a method have in common.

    Attributes:
        path: such as "/calculator.v1.Calculator/Calculate".
        is_known: whether the server has the method.
        handler: its handler.
        limit: counts its calls.
        log: writes the record of a call.
        start_span: starts a span, if traces or metrics are sent.
        authenticator: verifies who calls, if the method requires an identity token.
    """

    path: str
    is_known: bool
    handler: "grpc.RpcMethodHandler[Any, Any]"
    limit: "Limit[Call]"
    log: Log | None
    start_span: StartSpan | None
    authenticator: Authenticator | None


class Call:
    """One call. Its handler runs in a `with` block of it.

    | step | does |
    | --- | --- |
    | `__init__` | reads the metadata |
    | `__enter__` | starts a span, counts the call, verifies who calls |
    | `receive`, `serialized` | convert messages, and count their bytes |
    | `__exit__` | makes a status of an error; the handler has returned |
    | `_on_end` | writes the record: the response was delivered, or the client is gone |

    The last two steps come in any order, in different threads.

    Args:
        method: its method.
        context: grpc's context of the call.

    Attributes:
        method: its method.
        context: grpc's context of the call.
        is_stopped: whether it was still in flight when the server stopped.
    """

    _caller: str | None = None
    _refusal: str | None = None
    is_stopped = False
    _received_bytes = 0
    _sent_bytes = 0
    _is_cut = False  # it ended before its handler returned
    _is_expired = False
    _has_returned = False
    _has_ended = False
    _span: Span | None = None
    _blocks: ExitStack | None = None

    def __init__(self, method: Method, context: grpc.ServicerContext) -> None:
        """Read the metadata, and start the clock."""
        self._began = time.perf_counter()
        self.method = method
        self.context = context
        self._peer = context.peer()  # it may be unknown once the call has ended
        self._trace = trace_context.of_metadata(context.invocation_metadata())

    def __enter__(self) -> Self:
        """Begin.

        Raises:
            Exception: the call is refused; its status is set.
        """
        if self.method.start_span or self._trace:
            self._enter_span()
        if not self.context.add_callback(self._on_end):
            self._on_end()
        try:
            self.method.limit.admit(self)
            if self.method.authenticator:
                self._authenticate(self.method.authenticator)
        except Exception as error:  # noqa: BLE001 - whatever happens, the client gets a status
            self._set_status(error)
        return self

    def _enter_span(self) -> None:
        self._blocks = ExitStack()
        if self.method.start_span:
            path = self.method.path if self.method.is_known else None
            self._span = self.method.start_span(path, self.context.invocation_metadata(), self._trace)
            self._trace = self._span.trace or self._trace
            self._blocks.enter_context(self._span.current())
        self._blocks.enter_context(logs.trace_scope(self._trace))

    def _authenticate(self, authenticator: Authenticator) -> None:
        try:
            self._caller = authenticator.identify(self.context.invocation_metadata())
        except CallError as error:
            if error.reason is Reason.NOT_IDENTIFIED:
                self._refusal = str(error)  # one of a few fixed texts: it has nothing that the client sent
            raise
        authenticator.authorize(self._caller)

    def receive(self, requests: Iterator[bytes]) -> Any:  # noqa: ANN401
        """Return what the servicer gets: an iterator of messages, or the only message.

        Raises:
            CallError: the only message is missing.
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
        """Return a response of the servicer as bytes."""
        serialize = self.method.handler.response_serializer
        message = serialize(response) if serialize else response
        self._sent_bytes += len(message)
        return message

    def expire(self) -> None:
        """End the call, in any thread: with DEADLINE_EXCEEDED on nggrpc, with CANCELLED on grpcio's server."""
        self._is_expired = True
        self.context.set_code(grpc.StatusCode.DEADLINE_EXCEEDED)
        self.context.set_details(_EXPIRED)
        self.context.cancel()

    def __exit__(self, _kind: object, error: BaseException | None, _traceback: object) -> None:
        """Set the status, if the handler raised an error."""
        self._set_status(error)

    def _set_status(self, error: BaseException | None) -> None:
        self._has_returned = True
        if error and not self.context.is_active():  # the servicer ends because its call has ended
            self._is_cut = True
        self.method.limit.mark_answered(self)
        if self._has_ended:  # and may have left the limit before it was answered
            self.method.limit.release(self)
        if error or self._blocks:
            with self._blocks or nullcontext():
                if isinstance(error, Exception):
                    self._fail(error)

    def _fail(self, error: Exception) -> NoReturn:
        """End the call with the status of an error; of a crash, the client gets only an id."""
        if self._is_expired:
            self.context.abort(grpc.StatusCode.DEADLINE_EXCEEDED, _EXPIRED)  # whatever error the servicer made of it
        if isinstance(error, CalculatorError):
            self.context.abort_with_status(error_status.of_error(error))
        # A generated servicer does this for a method that is not implemented.
        if type(error) is NotImplementedError and self._code is grpc.StatusCode.UNIMPLEMENTED:
            self.context.abort_with_status(error_status.of_error(CallError(Reason.UNKNOWN_METHOD, str(error))))
        # The servicer has called context.abort, or its client is gone.
        is_abort = type(error) is Exception and not error.args and self._code is not grpc.StatusCode.OK
        is_gone = isinstance(error, grpc.RpcError) and not self.context.is_active()
        if is_abort or is_gone:
            raise error
        crash_id = os.urandom(8).hex()
        _LOGGER.error("%s crashed: %s", self.method.path, crash_id, exc_info=error)
        self.context.abort_with_status(error_status.of_crash(crash_id))

    def _on_end(self) -> None:
        """Write the record: the status is final."""
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
        return CallRecord(  # by position, which takes half the time
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
        code: grpc.StatusCode | None = self.context.code()  # type: ignore[attr-defined] # its published type lacks it
        if code:
            return code
        # nggrpc has a code for every call that has ended. grpcio only has the one that the servicer has set, if any.
        if self.is_stopped:  # its servicer may have taken that for the end of the requests
            return grpc.StatusCode.UNAVAILABLE  # as its client is told
        if self._is_cut:
            return grpc.StatusCode.DEADLINE_EXCEEDED if self._deadline_left_ms == 0 else grpc.StatusCode.CANCELLED
        return grpc.StatusCode.OK

    @property
    def _deadline_left_ms(self) -> int | None:
        left = self.context.time_remaining()
        if left is None or left > _FAR_FUTURE_SECONDS:
            return None
        return math.ceil(left * 1000)
