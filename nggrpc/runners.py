"""Runners of handlers: directly on the I/O thread, in a fiber on the I/O thread, or in a thread pool.

| runner | runs handlers that | while a handler waits |
| --- | --- | --- |
| `InlineRunner` | never block, have one response, and at most one request, which has arrived | (they do not wait) |
| `FiberRunner` | never block, but may wait for requests or for room to send | the I/O thread does other work |
| `ThreadRunner` | are not marked @never_blocks, or take a callback | a thread of the pool sleeps |
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

# Maximum time that a handler runs in a fiber before others get their turn.
_TURN_SECONDS = 0.005

# The maximum number of idle fibers to keep for further calls; each has a stack.
_MAX_IDLE_FIBERS = 100

# The maximum number of calls that wait for a thread. A cancelled call is freed, but its runner stays in
# the queue of the pool and takes 2 kB.
_MAX_QUEUED = 10_000

# The minimum interval between log lines about refused calls.
_WARNING_SECONDS = 60.0


class Runner(Protocol):
    """The interface of a runner: it lets a handler wait and use the I/O thread."""

    @property
    def is_waiting(self) -> bool:
        """Whether the handler waits for a condition."""

    def run_on_io_thread(self, function: Callable[..., None], *arguments: Any) -> None:  # noqa: ANN401
        """Call a function on the I/O thread, at once or soon."""

    def wait_until(self, condition: Callable[[], bool]) -> None:
        """Wait until a condition holds; called by the handler."""

    def notify(self) -> None:
        """Resume the handler if its condition holds; called by the I/O thread."""


class InlineRunner:
    """A runner for handlers that never wait; it calls them directly on the I/O thread."""

    is_waiting = False

    def run_on_io_thread(self, function: Callable[..., None], *arguments: Any) -> None:  # noqa: ANN401
        """Call a function at once."""
        function(*arguments)

    def wait_until(self, condition: Callable[[], bool]) -> None:
        """Do nothing, since the condition holds."""

    def notify(self) -> None:
        """Do nothing, since no handler waits."""


class FiberRunner(greenlet.greenlet):
    """A runner that gives a handler its own stack. While the handler waits, the I/O thread does other work.

    A handler that has used up its turn yields to others, even if its condition holds.
    """

    is_waiting = False
    _condition: Callable[[], bool] | None = None

    def __init__(self, run: "Callable[[FiberRunner, Call], None]") -> None:
        """Create a fiber that has not started; only the event loop, not another fiber, may create one."""
        super().__init__(functools.partial(run, self))
        self._io_thread = greenlet.getcurrent()
        self._turn_ends = 0.0
        self._call: Call | None = None

    def start(self, call: Call) -> None:
        """Run the handler of a call until it waits; called by the I/O thread."""
        self._call = call
        self._turn_ends = time.perf_counter() + _TURN_SECONDS
        self.switch(call)

    def run_on_io_thread(self, function: Callable[..., None], *arguments: Any) -> None:  # noqa: ANN401
        """Call a function at once."""
        function(*arguments)

    def wait_until(self, condition: Callable[[], bool]) -> None:
        """Yield to the event loop until a condition holds."""
        if condition():
            if time.perf_counter() < self._turn_ends:
                return
            if self._call:
                self._call.connection.schedule(self._call)
        self._condition = condition
        self.is_waiting = True
        self.yield_to_loop()

    def yield_to_loop(self) -> Any:  # noqa: ANN401
        """Switch to the event loop; return the value that it passes when it switches back."""
        return self._io_thread.switch()

    def forget_call(self) -> None:
        """Drop the reference to the call, so that its memory is freed while the fiber is idle."""
        self._call = None

    def notify(self) -> None:
        """Resume the handler if its condition holds."""
        if self._condition and self._condition():
            self._condition = None
            self.is_waiting = False
            self._turn_ends = time.perf_counter() + _TURN_SECONDS
            self.switch()


class ThreadRunner:
    """A runner for a handler in a thread of a pool.

    The queue of the pool refers to the runner rather than to the call, so that the call is freed if it ends while it
    waits for a thread.

    Args:
        post: schedules a call of a function on the I/O thread; safe to call from any thread.
        call: the call.
    """

    def __init__(self, post: Callable[..., None], call: Call) -> None:
        """Create the runner in the state of waiting for a thread."""
        self._post = post
        self._call: Call | None = call
        self._changed = threading.Condition()
        self._waiting = 0

    @property
    def is_waiting(self) -> bool:
        """Whether the handler waits for a thread or a condition. Other threads may change this at any time."""
        return self._waiting > 0 or self._call is not None

    def serve(self) -> None:
        """Run the handler, unless its call has ended; called by a thread of the pool."""
        call, self._call = self._call, None
        if call:
            serve(call, self)

    def run_on_io_thread(self, function: Callable[..., None], *arguments: Any) -> None:  # noqa: ANN401
        """Schedule a call of a function on the I/O thread."""
        self._post(function, *arguments)

    def wait_until(self, condition: Callable[[], bool]) -> None:
        """Sleep until a condition holds."""
        if condition():
            return
        with self._changed:
            self._waiting += 1  # before the check of the condition, so that notify() cannot miss this thread
            self._changed.wait_for(condition)
            self._waiting -= 1

    def notify(self) -> None:
        """Wake a waiting handler; drop the reference to a call that ended before a thread was free."""
        call = self._call
        if call and call.stream_closed:
            self._call = None
        if self._waiting:
            with self._changed:
                self._changed.notify_all()


_INLINE = InlineRunner()


class Runners:
    """The runners of a server; it starts handlers.

    Args:
        pool: the thread pool for handlers that may block.
        post: schedules a call of a function on the I/O thread; safe to call from any thread.
    """

    def __init__(self, pool: futures.ThreadPoolExecutor, post: Callable[..., None]) -> None:
        """Start without fibers."""
        self._pool = pool
        self._post = post
        self._idle_fibers: list[FiberRunner] = []
        self._next_warning = 0.0
        self._queued: set[ThreadRunner] = set()  # the I/O thread adds runners, threads of the pool remove them

    def start(self, call: Call) -> None:
        """Start the handler of a call. Only this method decides where it runs."""
        method = call.method
        if not method.never_blocks or method.takes_callback:  # any thread may call the callback
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
                grpc.StatusCode.RESOURCE_EXHAUSTED, f"{_MAX_QUEUED} calls are waiting for a thread; try again later"
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
            _LOGGER.warning("%d calls are waiting for a thread; refusing more", _MAX_QUEUED)

    def _serve_in_thread(self, runner: ThreadRunner) -> None:
        self._queued.discard(runner)
        runner.serve()

    def _run_fiber(self, fiber: FiberRunner, call: Call) -> None:
        """Run one handler after the other, since creating a fiber takes as long as serving a call."""
        while True:
            serve(call, fiber)
            del call
            fiber.forget_call()
            if len(self._idle_fibers) >= _MAX_IDLE_FIBERS:
                return
            self._idle_fibers.append(fiber)
            call = fiber.yield_to_loop()

    def close(self) -> None:
        """End the idle fibers; only the I/O thread can do this."""
        for fiber in self._idle_fibers:
            fiber.throw()


def serve(call: Call, runner: Runner) -> None:
    """Run the handler of a call to its end, in a new contextvars context."""
    if call.status_queued:  # it ended while it waited for a thread
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
    except http2.ProtocolError:  # the session has ended; an event will report it
        pass
    except BaseException as error:  # noqa: BLE001 - the client gets a status in any case
        context.fail(error)
