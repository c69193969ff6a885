"""What surrounds every call: limits, errors made statuses, its trace, a line in the access log."""

import functools
import threading
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from typing import Any, NoReturn, TypeAlias

import grpc

from server import logs
from server.call import Call
from server.errors import TooMuchError, UnknownMethodError
from server.limits import Admission, Deadlines, check_metadata

# Who asks after the server's health, or its connections, wants to know most when it is busy.
_UNLIMITED = ("/grpc.health.", "/grpc.channelz.")

# Who watches the server's health holds no thread, but memory.
_MAX_WATCHES = 100

_Handler: TypeAlias = "grpc.RpcMethodHandler[Any, Any]"  # not subscriptable but for type checkers
_Details: TypeAlias = grpc.HandlerCallDetails

Observe: TypeAlias = Callable[[Call], AbstractContextManager[None]]


def unobserved(_call: Call) -> AbstractContextManager[None]:
    """Observe nothing."""
    return nullcontext()


class CallInterceptor(grpc.ServerInterceptor):
    """Surrounds every call with limits, the mapping of errors, its trace, and the access log.

    Every handler becomes one of a stream of bytes. For a unary request, grpc would call the servicer only once it has
    the message, and a client that never sends it would hold a thread under no limit.

    Args:
        max_concurrent_calls: how many calls may be in flight; one more is refused with RESOURCE_EXHAUSTED.
        max_deadline: how long a call may take, in seconds; then it ends with DEADLINE_EXCEEDED.
        observe: gives what surrounds a call besides, for traces and metrics.
    """

    def __init__(self, max_concurrent_calls: int, max_deadline: float, observe: Observe = unobserved) -> None:
        """Start with no calls."""
        self._admission = Admission(max_concurrent_calls)
        self._deadlines = Deadlines(max_deadline)
        self._observe = observe
        self._calls: set[Call] = set()
        self._watches: set[Call] = set()
        self._changed = threading.Condition()

    def finish(self, grace: float) -> None:
        """Wait for the calls in flight, then part with those who watch the health, which nobody waits for.

        Args:
            grace: how long to wait, in seconds.
        """
        with self._changed:
            self._changed.wait_for(lambda: not self._calls, grace)
        for watch in list(self._watches):
            watch.context.cancel()

    def intercept_service(
        self, continuation: "Callable[[_Details], _Handler | None]", handler_call_details: _Details
    ) -> _Handler:
        """Wrap the handler of a method, or refuse for one that there is not."""
        found = continuation(handler_call_details)
        handler = found or _NO_HANDLER
        method = str(handler_call_details.method)
        begin = functools.partial(Call, method, handler, is_known=found is not None)
        behavior = _behavior(handler)
        if getattr(behavior, "experimental_non_blocking", False):
            return grpc.unary_stream_rpc_method_handler(self._non_blocking(behavior, begin))

        def answer(requests: Iterator[bytes], context: grpc.ServicerContext) -> bytes:
            with self._served(begin(context)) as call:
                return call.serialized(behavior(call.receive(requests), context))

        def stream(requests: Iterator[bytes], context: grpc.ServicerContext) -> Iterator[bytes]:
            with self._served(begin(context)) as call:
                yield from map(call.serialized, behavior(call.receive(requests), context))

        if handler.response_streaming:
            return grpc.stream_stream_rpc_method_handler(stream)
        return grpc.stream_unary_rpc_method_handler(answer)

    @contextmanager
    def _served(self, call: Call) -> Iterator[Call]:
        """Surround a call that has a thread."""
        with self._in_flight(call), self._surrounded(call), self._limited(call):
            yield call

    @contextmanager
    def _surrounded(self, call: Call) -> Iterator[None]:
        with self._observe(call), logs.within(call.trace):  # to observe it may give it a place in its trace
            call.when_over(call.log)
            try:
                check_metadata(call.context.invocation_metadata())
                yield
            except Exception as error:  # noqa: BLE001 - whatever happens, the caller gets a status
                call.fail(error)

    @contextmanager
    def _in_flight(self, call: Call) -> Iterator[None]:
        with self._changed:
            self._calls.add(call)
        try:
            yield
        finally:
            with self._changed:
                self._calls.discard(call)
                self._changed.notify_all()

    @contextmanager
    def _limited(self, call: Call) -> Iterator[None]:
        if call.method.startswith(_UNLIMITED):
            yield
            return
        with self._admission.admitted(), self._deadlines.bounded(call.context.time_remaining(), call.expire):
            yield

    def _non_blocking(
        self, behavior: Callable[..., Any], begin: Callable[[grpc.ServicerContext], Call]
    ) -> Callable[..., None]:
        """Wrap the handler of a stream that holds no thread, as a watch of the health: it answers now and later."""

        @functools.wraps(behavior)  # grpc reads its attributes
        def watch(request: bytes, context: grpc.ServicerContext, send: Callable[[bytes | None], None]) -> None:
            call = begin(context)

            def answer(response: Any) -> None:  # noqa: ANN401
                send(None if response is None else call.serialized(response))  # None ends it

            with self._surrounded(call):
                self._admit_watch(call)
                behavior(call.parsed(request), context, answer)

        return watch

    def _admit_watch(self, call: Call) -> None:
        with self._changed:
            if len(self._watches) >= _MAX_WATCHES:
                raise TooMuchError(f"{_MAX_WATCHES} clients watch the health; check it instead")
            self._watches.add(call)
        call.when_over(lambda: self._watches.discard(call))


def _behavior(handler: _Handler) -> Callable[..., Any]:
    behaviors = (handler.unary_unary, handler.unary_stream, handler.stream_unary, handler.stream_stream)
    return next(behavior for behavior in behaviors if behavior)


def _not_served(_requests: Iterator[bytes], _context: grpc.ServicerContext) -> NoReturn:
    raise UnknownMethodError("this server has no such method; reflection lists those it has")


_NO_HANDLER: _Handler = grpc.stream_unary_rpc_method_handler(_not_served)
