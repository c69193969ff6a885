"""The interceptor of all calls, which runs each handler within a `CallScope`."""

import time
from collections.abc import Callable, Iterator
from typing import Any, NoReturn, TypeAlias

import grpc

import nggrpc
from server.domain.errors import Reason
from server.rpc.call import Authenticator, CallScope, Log, MethodPolicy, StartSpan
from server.rpc.errors import CallError
from server.rpc.limits import Limit

# Health checks and channelz have their own small quotas, so that they still work when the server is at its call limit.
# Health watches have the same maximum duration as other calls.
_WATCH = "/grpc.health.v1.Health/Watch"
_MAX_WATCHES = 20
_CHECKS = ("/grpc.health.", "/grpc.channelz.")
_MAX_CHECKS = 20
_CHECK_SECONDS = 10

# Clients choose the names of unknown methods, and the log contains them.
_MAX_UNKNOWN_PATH = 100

MAX_OPERATIONAL_CALLS = _MAX_WATCHES + _MAX_CHECKS
"""The maximum number of health checks, watches and channelz calls, in addition to the other calls."""

_Handler: TypeAlias = "grpc.RpcMethodHandler[Any, Any]"  # subscriptable only for type checkers
_Details: TypeAlias = grpc.HandlerCallDetails


class CallInterceptor(grpc.ServerInterceptor):
    """Runs every handler within a `CallScope`, which applies limits, converts errors to statuses and logs the call.

    Every handler becomes one that takes a stream of bytes. For a unary request, grpc would call the handler only once
    the message has arrived, so a client that never sends it would hold a thread without counting against a limit.

    Args:
        max_concurrent_calls: the maximum number of calls in flight; further calls are refused with RESOURCE_EXHAUSTED.
        max_deadline: the maximum duration of a call, in seconds; longer calls end with DEADLINE_EXCEEDED.
        log: writes the record of a call that has ended.
        start_span: starts a span for each call, for traces and metrics.
        authenticator: verifies identity tokens; None to accept all callers.
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
        self._calls: Limit[CallScope] = Limit(max_concurrent_calls, max_deadline)
        self._watches: Limit[CallScope] = Limit(_MAX_WATCHES, max_deadline)
        self._checks: Limit[CallScope] = Limit(_MAX_CHECKS, min(max_deadline, _CHECK_SECONDS))
        self._log = log
        self._start_span = start_span
        self._authenticator = authenticator

    def drain(self, grace: float) -> None:
        """Wait for the calls in flight, and mark the remaining ones as stopped by the server.

        Args:
            grace: the time that calls have to finish, in seconds. Afterwards, health watches are cancelled.
        """
        deadline = time.monotonic() + grace
        for limit in (self._calls, self._checks):
            for call in limit.wait_until_empty(max(0, deadline - time.monotonic())):
                call.is_stopped = True
        for watch in self._watches.wait_until_empty(0):
            watch.context.cancel()

    @nggrpc.once_per_method
    def intercept_service(
        self, continuation: "Callable[[_Details], _Handler | None]", handler_call_details: _Details
    ) -> _Handler:
        """Wrap the handler of a method. An unknown method gets a handler that refuses the call."""
        found = continuation(handler_call_details)
        handler = found or _UNKNOWN
        method = self._method(str(handler_call_details.method), handler, is_known=found is not None)
        behavior = nggrpc.behavior(handler)

        def answer(requests: Iterator[bytes], context: grpc.ServicerContext) -> bytes:
            with CallScope(method, context) as call:
                return call.serialized(behavior(call.receive(requests), context))

        def stream(requests: Iterator[bytes], context: grpc.ServicerContext) -> Iterator[bytes]:
            with CallScope(method, context) as call:
                yield from map(call.serialized, behavior(call.receive(requests), context))

        if nggrpc.is_never_blocking(behavior) and not method.authenticator:  # may wait for keys
            nggrpc.never_blocks(answer)
            nggrpc.never_blocks(stream)
        if handler.response_streaming:
            return grpc.stream_stream_rpc_method_handler(stream)
        return grpc.stream_unary_rpc_method_handler(answer)

    def _method(self, path: str, handler: _Handler, *, is_known: bool) -> MethodPolicy:
        is_exempt = not self._authenticator or self._authenticator.exempts(path)
        return MethodPolicy(
            path if is_known else path[:_MAX_UNKNOWN_PATH],
            is_known,
            handler,
            self._limit(path),
            self._log,
            self._start_span,
            None if is_exempt else self._authenticator,
        )

    def _limit(self, path: str) -> Limit[CallScope]:
        if path == _WATCH:
            return self._watches
        return self._checks if path.startswith(_CHECKS) else self._calls


def _refuse(_requests: Iterator[bytes], _context: grpc.ServicerContext) -> NoReturn:
    raise CallError(Reason.UNKNOWN_METHOD, "unknown method; server reflection lists the methods of this server")


_UNKNOWN: _Handler = grpc.stream_unary_rpc_method_handler(_refuse)
