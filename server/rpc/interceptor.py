"""The interceptor of all calls: it runs each handler within a `Call`."""

import time
from collections.abc import Callable, Iterator
from typing import Any, NoReturn, TypeAlias

import grpc

import nggrpc
from server.domain.errors import Reason
from server.rpc.call import Authenticator, Call, Log, Method, StartSpan
from server.rpc.errors import CallError
from server.rpc.limits import Limit

# Health checks and channelz have a small quota of their own, so that they still work when the server is at its call
# limit. A client that watches the health may do so for as long as any call may last.
_WATCH = "/grpc.health.v1.Health/Watch"
_MAX_WATCHES = 20
_CHECKS = ("/grpc.health.", "/grpc.channelz.")
_MAX_CHECKS = 20
_CHECK_SECONDS = 10

# A client chooses the name of an unknown method, and each is a line in the log.
_MAX_UNKNOWN_PATH = 100

MAX_OPERATIONAL_CALLS = _MAX_WATCHES + _MAX_CHECKS
"""How many health checks, watches and channelz calls there may be in addition to the other calls."""

_Handler: TypeAlias = "grpc.RpcMethodHandler[Any, Any]"  # subscriptable only for type checkers
_Details: TypeAlias = grpc.HandlerCallDetails


class CallInterceptor(grpc.ServerInterceptor):
    """Runs every handler within a `Call`, which has limits, maps errors to statuses, and is written to the log.

    Every handler becomes one of a stream of bytes. For a unary request, grpc would call the servicer only once it has
    the message, and a client that never sends it would hold a thread under no limit.

    Args:
        max_concurrent_calls: how many calls may be in flight; one more is refused with RESOURCE_EXHAUSTED.
        max_deadline: the maximum duration of a call, in seconds; then it ends with DEADLINE_EXCEEDED.
        log: writes the record of a call that has ended.
        start_span: starts a span for each call, for traces and metrics.
        authenticator: verifies who calls; None to answer everybody.
    """

    def __init__(
        self,
        max_concurrent_calls: int,
        max_deadline: float,
        log: Log | None = None,
        start_span: StartSpan | None = None,
        authenticator: Authenticator | None = None,
    ) -> None:
        """Start with no calls."""
        self._calls: Limit[Call] = Limit(max_concurrent_calls, max_deadline)
        self._watches: Limit[Call] = Limit(_MAX_WATCHES, max_deadline)
        self._checks: Limit[Call] = Limit(_MAX_CHECKS, min(max_deadline, _CHECK_SECONDS))
        self._log = log
        self._start_span = start_span
        self._authenticator = authenticator

    def drain(self, grace: float) -> None:
        """Wait for the calls in flight, and note that the server ends those that are left.

        Args:
            grace: how long to wait, in seconds. Watches of the health are ended at once.
        """
        ends = time.monotonic() + grace
        for limit in (self._calls, self._checks):
            for call in limit.wait_until_empty(max(0, ends - time.monotonic())):
                call.is_stopped = True
        for watch in self._watches.wait_until_empty(0):
            watch.context.cancel()

    @nggrpc.once_per_method
    def intercept_service(
        self, continuation: "Callable[[_Details], _Handler | None]", handler_call_details: _Details
    ) -> _Handler:
        """Wrap the handler of a method; an unknown method gets a handler that refuses the call."""
        found = continuation(handler_call_details)
        handler = found or _UNKNOWN
        method = self._method(str(handler_call_details.method), handler, is_known=found is not None)
        behavior = nggrpc.behavior(handler)

        def answer(requests: Iterator[bytes], context: grpc.ServicerContext) -> bytes:
            with Call(method, context) as call:
                return call.serialized(behavior(call.receive(requests), context))

        def stream(requests: Iterator[bytes], context: grpc.ServicerContext) -> Iterator[bytes]:
            with Call(method, context) as call:
                yield from map(call.serialized, behavior(call.receive(requests), context))

        if nggrpc.is_never_blocking(behavior) and not method.authenticator:  # which may fetch keys
            nggrpc.never_blocks(answer)
            nggrpc.never_blocks(stream)
        if handler.response_streaming:
            return grpc.stream_stream_rpc_method_handler(stream)
        return grpc.stream_unary_rpc_method_handler(answer)

    def _method(self, path: str, handler: _Handler, *, is_known: bool) -> Method:
        is_exempt = not self._authenticator or self._authenticator.exempts(path)
        return Method(
            path if is_known else path[:_MAX_UNKNOWN_PATH],
            is_known,
            handler,
            self._limit(path),
            self._log,
            self._start_span,
            None if is_exempt else self._authenticator,
        )

    def _limit(self, path: str) -> Limit[Call]:
        if path == _WATCH:
            return self._watches
        return self._checks if path.startswith(_CHECKS) else self._calls


def _refuse(_requests: Iterator[bytes], _context: grpc.ServicerContext) -> NoReturn:
    raise CallError(Reason.UNKNOWN_METHOD, "this server has no such method; reflection lists those it has")


_UNKNOWN: _Handler = grpc.stream_unary_rpc_method_handler(_refuse)
