"""What surrounds every call: a limit on how many there are at once, errors made statuses, a line in the access log."""

import logging
import secrets
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, NoReturn, TypeAlias

import grpc
from google.protobuf.message import Message

from server import statuses
from server.errors import CalculatorError, TooMuchError

_ACCESS = logging.getLogger("access")
_LOGGER = logging.getLogger(__name__)

# Whoever asks after the server's health, or what it serves, does not count against the limit.
_EXEMPT = ("/grpc.health.", "/grpc.reflection.", "/grpc.channelz.")

_FAR_FUTURE_SECONDS = 10 * 365 * 24 * 3600

_Handler: TypeAlias = "grpc.RpcMethodHandler[Any, Any]"  # not subscriptable but for type checkers
_Details: TypeAlias = grpc.HandlerCallDetails


class _Call:
    """One call, from its first message to its line in the access log."""

    def __init__(self, method: str, context: grpc.ServicerContext) -> None:
        self._method = method
        self._context = context
        self._began = time.perf_counter()
        self._received = self._sent = 0

    def receive(self, message: Message) -> Message:
        self._received += message.ByteSize()
        return message

    def send(self, message: Message) -> Message:
        self._sent += message.ByteSize()
        return message

    def fail(self, error: Exception) -> NoReturn:
        """End the call with the status of an error; a crash is told the caller by an id alone."""
        if isinstance(error, CalculatorError):
            self._context.abort_with_status(statuses.of_error(error))
        if self._context.code() is not None:  # type: ignore[attr-defined]
            raise error  # a servicer's own context.abort
        crash_id = secrets.token_hex(8)
        _LOGGER.error("%s crashed: %s", self._method, crash_id, exc_info=error)
        self._context.abort_with_status(statuses.of_crash(crash_id))

    def log(self) -> None:
        """Write the call's line in the access log."""
        status = self._status()
        left = self._deadline_left()
        fields = {
            "method": self._method,
            "status": status.name,
            "duration_ms": round((time.perf_counter() - self._began) * 1000, 3),
            "received_bytes": self._received,
            "sent_bytes": self._sent,
            "deadline_left_ms": None if left is None else round(left * 1000),
            "peer": self._context.peer(),
        }
        _ACCESS.info("%(method)s %(status)s", fields, extra={"fields": fields})

    def _status(self) -> grpc.StatusCode:
        code: grpc.StatusCode | None = self._context.code()  # type: ignore[attr-defined]
        if code is not None:
            return code
        if self._context.is_active():
            return grpc.StatusCode.OK
        left = self._deadline_left()
        return grpc.StatusCode.CANCELLED if left is None or left > 0 else grpc.StatusCode.DEADLINE_EXCEEDED

    def _deadline_left(self) -> float | None:
        # A call without a deadline has one in the far future.
        left = self._context.time_remaining()
        return left if left is not None and left < _FAR_FUTURE_SECONDS else None


class CallInterceptor(grpc.ServerInterceptor):
    """Surrounds every call with a limit, the mapping of errors, and the access log.

    Args:
        max_concurrent_calls: how many calls may be in flight; one more is refused with RESOURCE_EXHAUSTED, and a client
            that retries will find room, here or on another instance.
    """

    def __init__(self, max_concurrent_calls: int) -> None:
        """Let so many calls in at once."""
        self._limit = max_concurrent_calls
        self._free = threading.Semaphore(max_concurrent_calls)

    def intercept_service(
        self, continuation: "Callable[[_Details], _Handler | None]", handler_call_details: _Details
    ) -> "_Handler | None":
        """Wrap the handler of a method."""
        handler = continuation(handler_call_details)
        method = str(handler_call_details.method)
        if handler is None:
            return None

        def answer(request: Any, context: grpc.ServicerContext) -> Any:  # noqa: ANN401
            with self._surround(method, context) as call:
                requests = map(call.receive, request) if handler.request_streaming else call.receive(request)
                return call.send(_behavior(handler)(requests, context))

        def stream(request: Any, context: grpc.ServicerContext) -> Iterator[Any]:  # noqa: ANN401
            with self._surround(method, context) as call:
                requests = map(call.receive, request) if handler.request_streaming else call.receive(request)
                yield from map(call.send, _behavior(handler)(requests, context))

        return _rewrap(handler, stream if handler.response_streaming else answer)

    @contextmanager
    def _surround(self, method: str, context: grpc.ServicerContext) -> Iterator[_Call]:
        call = _Call(method, context)
        try:
            with self._admitted(method):
                yield call
        except Exception as error:  # noqa: BLE001 - whatever happens, the caller gets a status
            call.fail(error)
        finally:
            call.log()

    @contextmanager
    def _admitted(self, method: str) -> Iterator[None]:
        if method.startswith(_EXEMPT):
            yield
        elif self._free.acquire(blocking=False):
            try:
                yield
            finally:
                self._free.release()
        else:
            raise TooMuchError(f"{self._limit} calls are in flight; try again")


def _behavior(handler: _Handler) -> Callable[..., Any]:
    behaviors = (handler.unary_unary, handler.unary_stream, handler.stream_unary, handler.stream_stream)
    return next(behavior for behavior in behaviors if behavior)


_REWRAP = {
    (False, False): grpc.unary_unary_rpc_method_handler,
    (False, True): grpc.unary_stream_rpc_method_handler,
    (True, False): grpc.stream_unary_rpc_method_handler,
    (True, True): grpc.stream_stream_rpc_method_handler,
}


def _rewrap(handler: _Handler, behavior: Callable[..., Any]) -> _Handler:
    return _REWRAP[handler.request_streaming, handler.response_streaming](
        behavior, handler.request_deserializer, handler.response_serializer
    )
