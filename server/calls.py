"""What surrounds every call: limits, errors made statuses, its trace, a line in the access log."""

import functools
import logging
import secrets
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from typing import Any, NoReturn, TypeAlias

import grpc
from google.protobuf.message import DecodeError

from server import logs, statuses, tracing
from server.errors import CalculatorError, MalformedMessageError, MissingMessageError, UnknownMethodError
from server.limits import Admission, Deadlines

_ACCESS = logging.getLogger("access")
_LOGGER = logging.getLogger(__name__)

# Who asks after the server's health, or its connections, wants to know most when it is busy.
_UNLIMITED = ("/grpc.health.", "/grpc.channelz.")

_EXPIRED = "the call took longer than this server lets any call take"

_FAR_FUTURE_SECONDS = 10 * 365 * 24 * 3600

_Handler: TypeAlias = "grpc.RpcMethodHandler[Any, Any]"  # not subscriptable but for type checkers
_Details: TypeAlias = grpc.HandlerCallDetails


class Call:
    """One call, from its metadata to its line in the access log.

    Attributes:
        method: its path, such as "/calculator.v1.Calculator/Calculate".
        is_known: whether the server has such a method; if not, its name is whatever a client made up.
        context: grpc's.
        trace: where in a trace it is, if in any.
    """

    def __init__(self, method: str, handler: "_Handler | None", context: grpc.ServicerContext) -> None:
        """Start the clock."""
        self.method = method
        self.is_known = handler is not None
        self.context = context
        self.trace = tracing.of_metadata(context.invocation_metadata())
        self._handler = handler or _NO_HANDLER
        self._began = time.perf_counter()
        self._received = self._sent = 0
        self._is_expired = False

    @property
    def duration(self) -> float:
        """How long it has taken so far, in seconds."""
        return time.perf_counter() - self._began

    @property
    def status(self) -> grpc.StatusCode:
        """How it ended, or would if it ended now."""
        if self._is_expired:
            return grpc.StatusCode.DEADLINE_EXCEEDED
        if self._is_cancelled:
            left = self._deadline_left()
            return grpc.StatusCode.CANCELLED if left is None or left > 0 else grpc.StatusCode.DEADLINE_EXCEEDED
        code: grpc.StatusCode | None = self.context.code()  # type: ignore[attr-defined]
        return code or grpc.StatusCode.OK

    @property
    def _is_cancelled(self) -> bool:
        # The public is_active() is false of a call that has ended well, too.
        return bool(self.context._state.client == "cancelled")  # type: ignore[attr-defined] # noqa: SLF001

    def when_over(self, callback: Callable[[], None]) -> None:
        """Call back when it has ended and its status is certain: a servicer may well have ended before."""
        if not self.context.add_callback(callback):
            callback()

    def _deadline_left(self) -> float | None:
        # A call without a deadline has one in the far future.
        left = self.context.time_remaining()
        return left if left is not None and left < _FAR_FUTURE_SECONDS else None

    def receive(self, requests: Iterator[bytes]) -> Any:  # noqa: ANN401
        """Return what the servicer is to get: the one message there must be, or an iterator of them."""
        messages = map(self.parsed, requests)
        if self._handler.request_streaming:
            return messages
        for message in messages:
            return message
        raise MissingMessageError(f"{self.method} requires exactly one request message")

    def parsed(self, request: bytes) -> Any:  # noqa: ANN401
        """Return the message that some bytes are.

        Raises:
            MalformedMessageError: they are none.
        """
        self._received += len(request)
        deserialize = self._handler.request_deserializer
        try:
            return deserialize(request) if deserialize else request
        except DecodeError as error:
            raise MalformedMessageError(f"a request message of {self.method} cannot be parsed: {error}") from error

    def serialized(self, response: Any) -> bytes:  # noqa: ANN401
        """Return the bytes of a message that the servicer gave."""
        serialize = self._handler.response_serializer
        message = serialize(response) if serialize else response
        self._sent += len(message)
        return message

    def expire(self) -> None:
        """End it with DEADLINE_EXCEEDED, from another thread than its own."""
        self._is_expired = True
        # The public context.cancel() can say nothing but CANCELLED, and abort() nothing from another thread.
        [number, _] = grpc.StatusCode.DEADLINE_EXCEEDED.value
        self.context._rpc_event.call.cancel(number, _EXPIRED)  # type: ignore[attr-defined] # noqa: SLF001

    def fail(self, error: Exception) -> NoReturn:
        """End it with the status of an error; a crash is told the caller by an id alone."""
        if self._is_expired:
            self.context.abort(grpc.StatusCode.DEADLINE_EXCEEDED, _EXPIRED)  # whatever the servicer made of its end
        if isinstance(error, CalculatorError):
            self.context.abort_with_status(statuses.of_error(error))
        is_abort = type(error) is Exception and not error.args and self.status is not grpc.StatusCode.OK
        # What a generated servicer does for a method that nobody wrote.
        is_left_out = type(error) is NotImplementedError and self.status is grpc.StatusCode.UNIMPLEMENTED
        is_gone = isinstance(error, grpc.RpcError) and self._is_cancelled
        if is_left_out:
            self.context.abort_with_status(statuses.of_error(UnknownMethodError(str(error))))
        if is_abort or is_gone:
            raise error  # grpc's own way to end a servicer that called context.abort, or whose client has left
        crash_id = secrets.token_hex(8)
        _LOGGER.error("%s crashed: %s", self.method, crash_id, exc_info=error)
        self.context.abort_with_status(statuses.of_crash(crash_id))

    def log(self) -> None:
        """Write its line in the access log."""
        with logs.within(self.trace):
            self._log()

    def _log(self) -> None:
        left = self._deadline_left()
        fields = {
            "method": self.method,
            "status": self.status.name,
            "duration_ms": round(self.duration * 1000, 3),
            "received_bytes": self._received,
            "sent_bytes": self._sent,
            "deadline_left_ms": None if left is None else round(left * 1000),
            "peer": self.context.peer(),
        }
        _ACCESS.info("%(method)s %(status)s", fields, extra={"fields": fields})


Observe: TypeAlias = Callable[[Call], AbstractContextManager[None]]


class CallInterceptor(grpc.ServerInterceptor):
    """Surrounds every call with limits, the mapping of errors, its trace, and the access log.

    Every handler becomes one of a stream of bytes. For a unary request, grpc would call the servicer only once it has
    the message, and a client that never sends it would hold a thread under no limit.

    Args:
        max_concurrent_calls: how many calls may be in flight; one more is refused with RESOURCE_EXHAUSTED.
        max_deadline: how long a call may take, in seconds; then it ends with DEADLINE_EXCEEDED.
        observe: gives what surrounds a call besides, for traces and metrics.
    """

    def __init__(
        self, max_concurrent_calls: int, max_deadline: float, observe: Observe = lambda _: nullcontext()
    ) -> None:
        """Start with no calls."""
        self._admission = Admission(max_concurrent_calls)
        self._deadlines = Deadlines(max_deadline)
        self._observe = observe
        self._in_flight: set[Call] = set()
        self._watches: set[Call] = set()
        self._changed = threading.Condition()

    def finish(self, grace: float) -> None:
        """Wait for the calls in flight, then part with those who watch the health, which nobody waits for.

        Args:
            grace: how long to wait, in seconds.
        """
        with self._changed:
            self._changed.wait_for(lambda: not self._in_flight, grace)
        for watch in list(self._watches):
            watch.context.cancel()

    @contextmanager
    def _counted(self, call: Call) -> Iterator[None]:
        with self._changed:
            self._in_flight.add(call)
        try:
            yield
        finally:
            with self._changed:
                self._in_flight.discard(call)
                self._changed.notify_all()

    def intercept_service(
        self, continuation: "Callable[[_Details], _Handler | None]", handler_call_details: _Details
    ) -> _Handler:
        """Wrap the handler of a method, or refuse for one that there is not."""
        handler = continuation(handler_call_details)
        begin = functools.partial(Call, str(handler_call_details.method), handler)
        behavior = _behavior(handler or _NO_HANDLER)
        if getattr(behavior, "experimental_non_blocking", False):
            return grpc.unary_stream_rpc_method_handler(self._watching(behavior, begin))

        def answer(requests: Iterator[bytes], context: grpc.ServicerContext) -> bytes:
            with self._surround(begin(context)) as call:
                return call.serialized(behavior(call.receive(requests), context))

        def stream(requests: Iterator[bytes], context: grpc.ServicerContext) -> Iterator[bytes]:
            with self._surround(begin(context)) as call:
                yield from map(call.serialized, behavior(call.receive(requests), context))

        if handler and handler.response_streaming:
            return grpc.stream_stream_rpc_method_handler(stream)
        return grpc.stream_unary_rpc_method_handler(answer)

    @contextmanager
    def _surround(self, call: Call) -> Iterator[Call]:
        with self._counted(call), self._observe(call), logs.within(call.trace):
            call.when_over(call.log)
            try:
                with self._limited(call):
                    yield call
            except Exception as error:  # noqa: BLE001 - whatever happens, the caller gets a status
                call.fail(error)

    @contextmanager
    def _limited(self, call: Call) -> Iterator[None]:
        if call.method.startswith(_UNLIMITED):
            yield
            return
        with self._admission.admitted(), self._deadlines.bounded(call.context.time_remaining(), call.expire):
            yield

    def _watching(
        self, behavior: Callable[..., Any], begin: Callable[[grpc.ServicerContext], Call]
    ) -> Callable[..., None]:
        """Wrap the handler of a stream that holds no thread: it answers by a callback, now and later."""

        @functools.wraps(behavior)  # grpc reads its attributes
        def watch(request: bytes, context: grpc.ServicerContext, send: Callable[[bytes], None]) -> None:
            call = begin(context)
            self._watches.add(call)
            call.when_over(lambda: self._watches.discard(call))
            call.when_over(call.log)
            try:
                behavior(call.parsed(request), context, lambda response: send(call.serialized(response)))
            except Exception as error:  # noqa: BLE001 - as above
                call.fail(error)

        return watch


def _behavior(handler: _Handler) -> Callable[..., Any]:
    behaviors = (handler.unary_unary, handler.unary_stream, handler.stream_unary, handler.stream_stream)
    return next(behavior for behavior in behaviors if behavior)


def _not_served(_requests: Iterator[bytes], _context: grpc.ServicerContext) -> NoReturn:
    raise UnknownMethodError("this server has no such method; reflection lists those it has")


_NO_HANDLER: _Handler = grpc.stream_unary_rpc_method_handler(_not_served)
