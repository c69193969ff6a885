"""What surrounds every call: limits, errors made statuses, its trace, a line in the access log."""

import functools
import threading
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from typing import Any, NoReturn, TypeAlias

import grpc

from server import logs
from server.call import Call
from server.errors import UnknownMethodError
from server.limits import Limit

# Who asks after the server's health, or its connections, wants to know most when it is busy: they have room of their
# own, but no more. Who watches the health stays as long as anybody may, and nobody waits for them.
_WATCH = "/grpc.health.v1.Health/Watch"
_MAX_WATCHES = 20
_CHECKS = ("/grpc.health.", "/grpc.channelz.")
_MAX_CHECKS = 20
_CHECK_SECONDS = 10

MAX_OPERATORS = _MAX_WATCHES + _MAX_CHECKS
"""How many of those there may be beside the calls."""

_Handler: TypeAlias = "grpc.RpcMethodHandler[Any, Any]"  # not subscriptable but for type checkers
_Details: TypeAlias = grpc.HandlerCallDetails

Observe: TypeAlias = Callable[[Call], AbstractContextManager[None]]
Admit: TypeAlias = Callable[[Call], None]


def unobserved(_call: Call) -> AbstractContextManager[None]:
    """Observe nothing."""
    return nullcontext()


def anybody(_call: Call) -> None:
    """Let everybody in."""


class CallInterceptor(grpc.ServerInterceptor):
    """Surrounds every call with limits, the mapping of errors, its trace, and the access log.

    Every handler becomes one of a stream of bytes. For a unary request, grpc would call the servicer only once it has
    the message, and a client that never sends it would hold a thread under no limit.

    Args:
        max_concurrent_calls: how many calls may be in flight; one more is refused with RESOURCE_EXHAUSTED.
        max_deadline: how long a call may take, in seconds; then it ends with DEADLINE_EXCEEDED.
        observe: gives what surrounds a call besides, for traces and metrics.
        admit: raises an error of the domain for a call that is not to be answered.
    """

    def __init__(
        self,
        max_concurrent_calls: int,
        max_deadline: float,
        observe: Observe = unobserved,
        admit: Admit = anybody,
    ) -> None:
        """Start with no calls."""
        self._calls_limit = Limit(max_concurrent_calls, max_deadline)
        self._watches_limit = Limit(_MAX_WATCHES, max_deadline)
        self._checks_limit = Limit(_MAX_CHECKS, min(max_deadline, _CHECK_SECONDS))
        self._observe = observe
        self._admit = admit
        self._calls: set[Call] = set()
        self._watches: set[Call] = set()
        self._changed = threading.Condition()

    def finish(self, grace: float) -> None:
        """Wait for the calls in flight, and say of those that still go on that the server has ended them.

        Args:
            grace: how long to wait, in seconds. Who watches the health is not waited for, and is parted with.
        """
        with self._changed:
            self._changed.wait_for(lambda: not self._calls, grace)
            left = list(self._calls)
            watches = list(self._watches)
        for call in left:
            call.is_stopped = True
        for watch in watches:
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
        with self._in_flight(call), self._observe(call), logs.within(call.trace):  # to observe it may change its trace
            call.when_over(call.log)
            try:
                with self.limit(call.method).applied(call.context.time_remaining(), call.expire):
                    self._admit(call)
                    yield call
            except Exception as error:  # noqa: BLE001 - whatever happens, the caller gets a status
                call.fail(error)

    def enter(self, call: Call) -> None:
        """Count a call as one in flight."""
        with self._changed:
            (self._watches if call.method == _WATCH else self._calls).add(call)

    def leave(self, call: Call) -> None:
        """Count it no more."""
        with self._changed:
            (self._watches if call.method == _WATCH else self._calls).discard(call)
            if not self._calls:
                self._changed.notify_all()

    @contextmanager
    def _in_flight(self, call: Call) -> Iterator[None]:
        self.enter(call)
        try:
            yield
        finally:
            self.leave(call)

    def limit(self, method: str) -> Limit:
        """Return what limits the calls of a method."""
        if method == _WATCH:
            return self._watches_limit
        return self._checks_limit if method.startswith(_CHECKS) else self._calls_limit


def _behavior(handler: _Handler) -> Callable[..., Any]:
    behaviors = (handler.unary_unary, handler.unary_stream, handler.stream_unary, handler.stream_stream)
    return next(behavior for behavior in behaviors if behavior)


def _not_served(_requests: Iterator[bytes], _context: grpc.ServicerContext) -> NoReturn:
    raise UnknownMethodError("this server has no such method; reflection lists those it has")


_NO_HANDLER: _Handler = grpc.stream_unary_rpc_method_handler(_not_served)
