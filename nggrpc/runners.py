"""Where handlers run: on the I/O thread, in a fiber of it, or in a thread pool.

| runner | for handlers that | waiting means |
| --- | --- | --- |
| `InlineRunner` | never block, and have one response and at most one request, which is there | (they do not wait) |
| `FiberRunner` | never block, but may wait for requests or for room | the I/O thread does other work |
| `ThreadRunner` | are not marked @never_blocks | a thread of the pool sleeps |
"""

import contextvars
import functools
import logging
import threading
import time
from collections.abc import Callable
from concurrent import futures
from typing import Any, Protocol

import greenlet
import grpc

from nggrpc import http2
from nggrpc.call import Call
from nggrpc.context import Context
from nggrpc.methods import Method

_LOGGER = logging.getLogger(__name__)

# How long a handler runs in a fiber before others have their turn.
_TURN_SECONDS = 0.005

# How many fibers wait for another call: each has a stack.
_MAX_IDLE_FIBERS = 100

# How many calls may wait for a thread. One whose client has given up stays in the pool's queue, and takes 2 kB there.
_MAX_QUEUED = 10_000

# How often the log says that calls are refused.
_WARNING_SECONDS = 60.0


class Runner(Protocol):
    """What runs a handler."""

    @property
    def is_waiting(self) -> bool:
        """Whether a handler waits for a condition."""

    def run_on_io_thread(self, function: Callable[..., None], *arguments: Any) -> None:  # noqa: ANN401
        """Have the I/O thread call a function, now or soon."""

    def wait_until(self, condition: Callable[[], bool]) -> None:
        """Return once a condition holds; the handler calls this."""

    def notify(self) -> None:
        """Check the condition that a handler waits for; the I/O thread calls this."""


class InlineRunner:
    """Runs handlers that have nothing to wait for on the I/O thread."""

    is_waiting = False

    def run_on_io_thread(self, function: Callable[..., None], *arguments: Any) -> None:  # noqa: ANN401
        """Call a function."""
        function(*arguments)

    def wait_until(self, condition: Callable[[], bool]) -> None:
        """Do nothing: the condition holds."""

    def notify(self) -> None:
        """Do nothing: no handler waits."""


class FiberRunner(greenlet.greenlet):
    """Runs a handler on a stack of its own, which the I/O thread leaves while the handler waits.

    A handler that has run for a while waits for its turn, even if what it needs is there.
    """

    is_waiting = False
    _condition: Callable[[], bool] | None = None

    def __init__(self, run: "Callable[[FiberRunner, Call], None]") -> None:
        """Have a stack that is not used yet. The I/O thread's own stack is the current one."""
        super().__init__(functools.partial(run, self))
        self._io_thread = greenlet.getcurrent()
        self._turn_ends = 0.0
        self._call: Call | None = None

    def start(self, call: Call) -> None:
        """Run the handler of a call until it waits; the I/O thread calls this."""
        self._call = call
        self._turn_ends = time.perf_counter() + _TURN_SECONDS
        self.switch(call)

    def run_on_io_thread(self, function: Callable[..., None], *arguments: Any) -> None:  # noqa: ANN401
        """Call a function."""
        function(*arguments)

    def wait_until(self, condition: Callable[[], bool]) -> None:
        """Go on with the I/O thread's other work until a condition holds."""
        if condition():
            if time.perf_counter() < self._turn_ends:
                return
            if self._call:
                self._call.connection.schedule(self._call)
        self._condition = condition
        self.is_waiting = True
        self.yield_to_loop()

    def yield_to_loop(self) -> Any:  # noqa: ANN401
        """Go on with the I/O thread's other work until it switches back; return what it gives then."""
        return self._io_thread.switch()

    def forget_call(self) -> None:
        """Let the memory of the call be freed while the fiber waits for another one."""
        self._call = None

    def notify(self) -> None:
        """Let the handler go on, if what it waits for is there."""
        if self._condition and self._condition():
            self._condition = None
            self.is_waiting = False
            self._turn_ends = time.perf_counter() + _TURN_SECONDS
            self.switch()


class ThreadRunner:
    """Runs a handler in a thread of a pool.

    The queue of the pool holds the runner rather than the call, which is freed when it ends before a thread is free.

    Args:
        post: has the I/O thread call something.
        call: the call.
    """

    def __init__(self, post: Callable[..., None], call: Call) -> None:
        """Wait for a thread."""
        self._post = post
        self._call: Call | None = call
        self._changed = threading.Condition()
        self._waiting = 0

    @property
    def is_waiting(self) -> bool:
        """Whether the handler waits for a thread or for a condition; it may begin to at any time."""
        return self._waiting > 0 or self._call is not None

    def serve(self) -> None:
        """Run the handler, unless its call has ended; a thread of the pool calls this."""
        call, self._call = self._call, None
        if call:
            serve(call, self)

    def run_on_io_thread(self, function: Callable[..., None], *arguments: Any) -> None:  # noqa: ANN401
        """Have the I/O thread call a function."""
        self._post(function, *arguments)

    def wait_until(self, condition: Callable[[], bool]) -> None:
        """Sleep until a condition holds."""
        if condition():
            return
        with self._changed:
            self._waiting += 1  # before the condition is checked: see notify
            self._changed.wait_for(condition)
            self._waiting -= 1

    def notify(self) -> None:
        """Wake the handler, if it waits; forget a call that has ended before its handler began."""
        call = self._call
        if call and call.stream_closed:
            self._call = None
        if self._waiting:
            with self._changed:
                self._changed.notify_all()


_INLINE = InlineRunner()


class Runners:
    """Starts handlers.

    Args:
        pool: runs those that may block.
        post: has the I/O thread call something, from any thread.
    """

    def __init__(self, pool: futures.ThreadPoolExecutor, post: Callable[..., None]) -> None:
        """Start with no fibers."""
        self._pool = pool
        self._post = post
        self._idle_fibers: list[FiberRunner] = []
        self._next_warning = 0.0
        self._queued: set[ThreadRunner] = set()  # the I/O thread adds, threads of the pool remove

    def start(self, call: Call) -> None:
        """Start the handler of a call: the one place that decides where it runs."""
        method = call.method
        if not method.never_blocks or method.takes_callback:  # a callback may be called in any thread
            self._submit(call, method.pool or self._pool)
        elif method.response_streaming or not call.has_all_requests or len(call.requests) > 1:
            call.runner = fiber = self._idle_fibers.pop() if self._idle_fibers else FiberRunner(self._run_fiber)
            fiber.start(call)
        else:
            call.runner = _INLINE
            serve(call, _INLINE)

    def _submit(self, call: Call, pool: futures.ThreadPoolExecutor) -> None:
        if len(self._queued) >= _MAX_QUEUED:
            self._warn()
            call.end_early(
                grpc.StatusCode.RESOURCE_EXHAUSTED, f"{_MAX_QUEUED} calls wait for a thread; try again later"
            )
            return
        call.runner = runner = ThreadRunner(self._post, call)
        self._queued.add(runner)
        try:
            pool.submit(self._serve_in_thread, runner)
        except RuntimeError:
            self._queued.discard(runner)
            call.end_early(grpc.StatusCode.UNAVAILABLE, "the thread pool was shut down")

    def _warn(self) -> None:
        now = time.monotonic()
        if now >= self._next_warning:
            self._next_warning = now + _WARNING_SECONDS
            _LOGGER.warning("%d calls wait for a thread; more are refused", _MAX_QUEUED)

    def _serve_in_thread(self, runner: ThreadRunner) -> None:
        self._queued.discard(runner)
        runner.serve()

    def _run_fiber(self, fiber: FiberRunner, call: Call) -> None:
        """Run one handler after the other: to make another fiber takes as long as to answer a call."""
        while True:
            serve(call, fiber)
            del call
            fiber.forget_call()
            if len(self._idle_fibers) >= _MAX_IDLE_FIBERS:
                return
            self._idle_fibers.append(fiber)
            call = fiber.yield_to_loop()

    def close(self) -> None:
        """End the fibers, which no other thread could."""
        for fiber in self._idle_fibers:
            fiber.throw()


def serve(call: Call, runner: Runner) -> None:
    """Run the handler of a call from beginning to end, in its own context of contextvars."""
    if call.status_queued:  # while it waited for a thread
        return
    contextvars.Context().run(_serve, call.method, Context(call, runner))


def _serve(method: Method, context: Context) -> None:
    try:
        request = context.requests() if method.request_streaming else context.only_request()
        if method.takes_callback:
            method.behavior(request, context, context.send_or_finish)
        elif method.response_streaming:
            for response in method.behavior(request, context):
                if not context.send(response):
                    return
            context.finish()
        else:
            context.respond(method.behavior(request, context))
    except http2.ProtocolError:  # the session has ended, as an event will say
        pass
    except BaseException as error:  # noqa: BLE001 - whatever happens, the client gets a status
        context.fail(error)
