"""What surrounds every call: limits, errors made statuses, its trace, a line in the access log."""

import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, ExitStack, nullcontext
from typing import Any, NoReturn, TypeAlias

import grpc

import nggrpc
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
Log: TypeAlias = Callable[[Call], None]


def unlogged(_call: Call) -> None:
    """Write nothing."""


class CallInterceptor(grpc.ServerInterceptor):
    """Surrounds every call with limits, the mapping of errors, its trace, and the access log.

    Every handler becomes one of a stream of bytes. For a unary request, grpc would call the servicer only once it has
    the message, and a client that never sends it would hold a thread under no limit.

    Args:
        max_concurrent_calls: how many calls may be in flight; one more is refused with RESOURCE_EXHAUSTED.
        max_deadline: how long a call may take, in seconds; then it ends with DEADLINE_EXCEEDED.
        log: writes the line of a call that is over, and is certain of its status.
        observe: gives what surrounds a call besides, for traces and metrics.
        admit: raises an error of the domain for a call that is not to be answered.
    """

    def __init__(
        self,
        max_concurrent_calls: int,
        max_deadline: float,
        log: Log = unlogged,
        observe: Observe | None = None,
        admit: Admit | None = None,
    ) -> None:
        """Start with no calls."""
        self._calls = Limit(max_concurrent_calls, max_deadline)
        self._watches = Limit(_MAX_WATCHES, max_deadline)
        self._checks = Limit(_MAX_CHECKS, min(max_deadline, _CHECK_SECONDS))
        self.log = log
        self.observe = observe
        self.admit = admit

    def finish(self, grace: float) -> None:
        """Wait for the calls in flight, and say of those that still go on that the server has ended them.

        Args:
            grace: how long to wait, in seconds. Who watches the health is not waited for, and is parted with.
        """
        ends = time.monotonic() + grace
        for limit in (self._calls, self._checks):
            for call in limit.left_after(max(0, ends - time.monotonic())):
                call.is_stopped = True
        for watch in self._watches.left_after(0):
            watch.context.cancel()

    @nggrpc.once_per_method
    def intercept_service(
        self, continuation: "Callable[[_Details], _Handler | None]", handler_call_details: _Details
    ) -> _Handler:
        """Wrap the handler of a method, or refuse for one that there is not."""
        found = continuation(handler_call_details)
        handler = found or _NO_HANDLER
        method = str(handler_call_details.method)
        limit = self._limit(method)
        call_servicer = nggrpc.behavior(handler)

        def answer(requests: Iterator[bytes], context: grpc.ServicerContext) -> bytes:
            call = Call(method, handler, context, is_known=found is not None)
            with _Surroundings(self, limit, call):
                return call.serialized(call_servicer(call.receive(requests), context))

        def stream(requests: Iterator[bytes], context: grpc.ServicerContext) -> Iterator[bytes]:
            call = Call(method, handler, context, is_known=found is not None)
            with _Surroundings(self, limit, call):
                yield from map(call.serialized, call_servicer(call.receive(requests), context))

        if nggrpc.is_never_blocking(call_servicer) and not self.admit:  # to admit a call, its keys may be fetched
            nggrpc.never_blocks(answer)
            nggrpc.never_blocks(stream)
        if handler.response_streaming:
            return grpc.stream_stream_rpc_method_handler(stream)
        return grpc.stream_unary_rpc_method_handler(answer)

    def _limit(self, method: str) -> Limit:
        if method == _WATCH:
            return self._watches
        return self._checks if method.startswith(_CHECKS) else self._calls


class _Surroundings:
    """What surrounds a call; a class, since a generator in its place would take several times as long.

    A call counts against its limit until its handler has returned and its response was delivered; see `Limit`.
    """

    __slots__ = ("_call", "_calls", "_has_returned", "_is_over", "_limit", "_outer")

    def __init__(self, calls: CallInterceptor, limit: Limit, call: Call) -> None:
        self._calls = calls
        self._limit = limit
        self._call = call
        self._outer: ExitStack | None = None
        self._has_returned = self._is_over = False

    def __enter__(self) -> None:
        calls, call = self._calls, self._call
        if calls.observe or call.trace:
            self._observe()
        if not call.context.add_callback(self._over):
            self._over()
        try:
            self._limit.enter(call)
            if calls.admit:
                calls.admit(call)
        except Exception as error:  # noqa: BLE001 - whatever happens, the caller gets a status
            self._return(error)

    def __exit__(self, _kind: object, error: BaseException | None, _traceback: object) -> None:
        self._return(error)

    def _observe(self) -> None:
        self._outer = ExitStack()
        if self._calls.observe:
            self._outer.enter_context(self._calls.observe(self._call))
        self._outer.enter_context(logs.within(self._call.trace))  # to observe it may have changed its trace

    def _return(self, error: BaseException | None) -> None:
        self._has_returned = True
        if error and not self._call.context.is_active():  # the servicer ends since its call has
            self._call.is_cut = True
        self._limit.answer(self._call)
        if self._is_over:  # and perhaps has left the limit already
            self._limit.leave(self._call)
        if error or self._outer:
            with self._outer or nullcontext():
                if isinstance(error, Exception):
                    self._call.fail(error)

    def _over(self) -> None:
        self._is_over = True
        if self._has_returned:
            self._limit.leave(self._call)
        else:
            self._call.is_cut = True
        self._calls.log(self._call)


def _not_served(_requests: Iterator[bytes], _context: grpc.ServicerContext) -> NoReturn:
    raise UnknownMethodError("this server has no such method; reflection lists those it has")


_NO_HANDLER: _Handler = grpc.stream_unary_rpc_method_handler(_not_served)
