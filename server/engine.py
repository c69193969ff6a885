"""A gRPC server that answers calls which never block on the thread that reads them.

grpc's own server hands every call to a thread of a pool, and that thread waits until the reading one has its messages:
for a small call that is most of what it costs. Here the reading thread answers such a call itself: in a fiber, which
waits while the thread goes on. All other calls go grpc's own way, over the same connections. What grpc keeps to itself
is used for that, so it is pinned, and a test says so when it changes.
"""

import functools
import logging
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent import futures
from dataclasses import dataclass
from typing import Any, cast

import greenlet
import grpc
from grpc import _server  # type: ignore[attr-defined] # its published types leave it out
from grpc._cython import cygrpc  # type: ignore[import-not-found]

from server.access_log import AccessLog
from server.handlers import behavior
from server.inline import Fiber, InlineContext

_LOGGER = logging.getLogger(__name__)

_POLL_SECONDS = 1.0
_AT_ONCE = 0.0  # a time long ago
_LONGEST_SECONDS = 0.1
# How many calls of a method may begin before the loop comes round to ask for more.
_AHEAD = 16
# How many messages of a stream go together.
_TOGETHER = 16
_WORK = "calls that are answered here"
_STARTED = _server._ServerStage.STARTED  # noqa: SLF001

_Handler = grpc.RpcMethodHandler


@dataclass
class _Details:
    """What interceptors are told of a method: nothing of a call's metadata, since they are asked once for all calls."""

    method: str
    invocation_metadata: tuple[tuple[str, str | bytes], ...] = ()


class _Method:
    """A method that is answered inline: the tag of its calls that are yet to come."""

    def __init__(self, path: str, handler: "_Handler[Any, Any]", intercepted: "_Handler[Any, Any]") -> None:
        self.path = path
        self.streams = handler.request_streaming or handler.response_streaming
        # A handler that has its only request waits for nothing between its answers.
        self._together = 1 if handler.request_streaming else _TOGETHER
        self._answer = intercepted.stream_unary
        self._stream = intercepted.stream_stream

    def serve(self, context: InlineContext) -> None:
        """Answer a call, in a fiber."""
        message = None
        try:
            if self._answer:
                message = self._answer(context, context)
            elif self._stream:
                _send_all(self._stream(context, context), context, self._together)
        except Exception as error:
            if context.crash(error):
                _LOGGER.exception("%s crashed where it should not", self.path)
        try:
            context.end(message)
        except Exception:  # such as metadata that is none
            _LOGGER.exception("What %s answers cannot be sent", self.path)
            context.end_plainly()


def _send_all(messages: Iterator[bytes], context: InlineContext, together: int) -> None:
    for number, message in enumerate(messages):
        if not context.send(message, waits=number % together != 0):
            return


class InlineServer(_server._Server):  # type: ignore[misc] # noqa: SLF001
    """grpc's own server, but for methods that never block.

    Args:
        thread_pool: for all other methods.
        interceptors: make a handler of messages one of streams of bytes, be it of whatever kind, and know no more of a
            call than its method.
        options: as for grpc.server.
        log: writes what is to be written when there is nothing else to do.
    """

    def __init__(
        self,
        thread_pool: futures.ThreadPoolExecutor,
        interceptors: Sequence[grpc.ServerInterceptor],
        options: Sequence[tuple[str, Any]],
        log: AccessLog | None = None,
    ) -> None:
        """Take no port, and start nothing."""
        super().__init__(thread_pool, (), interceptors, options, None, None, xds=False)
        self._interceptors = interceptors
        self._log = log
        self._methods: list[_Method] = []
        # What belongs to the loop alone: calls that are asked for or under way, and fibers that have nothing to do.
        self._pending = 0
        self._idle: list[Fiber] = []
        self._thread: threading.Thread | None = None
        self._over = threading.Event()

    def add_registered_method_handlers(
        self, service_name: str, method_handlers: "dict[str, _Handler[Any, Any]]"
    ) -> None:
        """Add a service, as its generated code does."""
        super().add_registered_method_handlers(service_name, method_handlers)
        for name, handler in method_handlers.items():
            if getattr(behavior(handler), "never_blocks", False):
                path = f"/{service_name}/{name}"
                self._methods.append(_Method(path, handler, _intercepted(self._interceptors, path, handler)))

    def start(self) -> None:
        """Start to serve."""
        state = self._state
        with state.lock:
            if state.stage is not _server._ServerStage.STOPPED:  # noqa: SLF001
                raise ValueError("the server has been started before")
            state.server.start()
            state.stage = _STARTED
            for method in state.registered_method_handlers.keys() - {method.path for method in self._methods}:
                _server._request_registered_call(state, method)  # noqa: SLF001
            _server._request_call(state)  # noqa: SLF001
            state.due.add(_WORK)
        self._thread = threading.Thread(target=self._serve, name="engine", daemon=True)
        self._thread.start()

    def stop(self, grace: float | None) -> threading.Event:
        """Stop as grpc's own does; the event is set once the last line of the log is written, too."""
        stopped: threading.Event = super().stop(grace)
        return self._over if self._thread else stopped

    def _serve(self) -> None:
        # When a thread ends, greenlet drops a reference to it that nothing seems to hold: old Pythons leaked one. But
        # what is being collected at that time holds one too, unseen, and would then point to what is gone.
        greenlet.enable_optional_cleanup(False)  # type: ignore[attr-defined] # noqa: FBT003
        self._wait = greenlet.getcurrent().switch
        for method in self._methods:
            for _ in range(_AHEAD):
                self._ask(method)
        if self._log:
            self._log.begin_batch()
        try:
            self._loop(self._log.batch if self._log else ())
        finally:
            if self._log:
                self._log.write_batch()
            for fiber in self._idle:  # which no other thread could end
                fiber.throw()
            self._over.set()

    def _loop(self, unwritten: Sequence[bytes]) -> None:
        poll = self._state.completion_queue.poll
        ended = time.time()
        while True:
            event = poll(_AT_ONCE if unwritten else ended + _POLL_SECONDS)
            began = time.time()
            tag = event.tag
            kind = tag.__class__
            if kind is Fiber:
                tag.switch(event)
            elif kind is _Method:
                self._begin(tag, event)
            elif kind is InlineContext:
                self._pending -= 1
                tag.heard(event)
            elif not self._pass_on(event):
                return
            if not self._pending and self._has_ended():
                return
            ended = time.time()
            if ended - began > _LONGEST_SECONDS:
                _warn(tag, ended - began)
            del event, tag  # or the next poll would keep a call alive that is over

    def _pass_on(self, event: Any) -> bool:  # noqa: ANN401
        """Give an event to grpc's own part; return whether there will be others."""
        state = self._state
        if event.completion_type != cygrpc.CompletionType.queue_timeout:
            goes_on: bool = _server._process_event_and_continue(state, event)  # noqa: SLF001
            return goes_on
        if self._log:
            self._log.write_batch()
        if state.server_deallocated:
            _server._begin_shutdown_once(state)  # noqa: SLF001
        return True

    def _ask(self, method: _Method) -> None:
        """Ask for one more call of a method, unless the server is to stop."""
        state = self._state
        with state.lock:
            if state.stage is _STARTED:
                state.server.request_registered_call(
                    state.completion_queue, state.completion_queue, method.path, method
                )
                self._pending += 1

    def _begin(self, method: _Method, event: Any) -> None:  # noqa: ANN401
        self._pending -= 1
        if not event.success:  # the server is shutting down
            return
        self._ask(method)
        fiber = self._idle.pop() if self._idle else Fiber(self._answer)
        fiber.method = method
        self._pending += 2 if method.streams else 1  # what a context will hear
        fiber.switch(InlineContext(event, fiber, self._wait, streams=method.streams))

    def _answer(self, context: InlineContext) -> None:
        """Answer one call after the other, as a fiber: to make another takes as long as to answer a call."""
        fiber = cast("Fiber", greenlet.getcurrent())
        while True:
            fiber.method.serve(context)
            del context
            self._idle.append(fiber)
            context = self._wait()

    def _has_ended(self) -> bool:
        """Say that nothing is left to be done here; return whether that is so of everything."""
        state = self._state
        with state.lock:
            state.due.discard(_WORK)
            ended: bool = _server._stop_serving(state)  # noqa: SLF001
            return ended


def _warn(tag: Any, seconds: float) -> None:  # noqa: ANN401
    """Tell of what kept all calls waiting."""
    method = tag.method if isinstance(tag, Fiber) else tag
    if isinstance(method, _Method):
        _LOGGER.warning(
            "%s kept all other calls waiting for %.1f s: it is not to be marked @never_blocks", method.path, seconds
        )


def _intercepted(
    interceptors: Sequence[grpc.ServerInterceptor], path: str, handler: "_Handler[Any, Any]"
) -> "_Handler[Any, Any]":
    def found(_details: grpc.HandlerCallDetails) -> "_Handler[Any, Any]":
        return handler

    continuation: Callable[[grpc.HandlerCallDetails], _Handler[Any, Any] | None] = found
    for interceptor in reversed(interceptors):
        continuation = functools.partial(interceptor.intercept_service, continuation)
    intercepted = continuation(_Details(path))
    if not intercepted or not (intercepted.stream_unary or intercepted.stream_stream):
        raise ValueError(f"an interceptor made no handler of a stream of bytes for {path}")
    return intercepted
