"""The event loop of the I/O thread: it waits for sockets, timers and functions that other threads post."""

import collections
import logging
import os
import select
from collections.abc import Callable

from nggrpc.timers import Timers

_LOGGER = logging.getLogger(__name__)

# The timeout of epoll is limited to 25 days, but a client may set a deadline of 11,000 years.
_MAX_WAIT_SECONDS = 3600.0


# The maximum size of one read from a socket, so that other sockets get their turn.
_BUFFER_BYTES = 256 * 1024


class Loop:
    """A single-threaded event loop.

    Args:
        on_idle: called when there is nothing else to do, before the thread waits, or None.

    Attributes:
        timers: the timers that the loop runs.
        buffer: a shared read buffer; an event handler may use it until it returns.
    """

    def __init__(self, on_idle: Callable[[], None] | None) -> None:
        """Create the loop, without sockets or timers."""
        self.timers = Timers()
        self.buffer = memoryview(bytearray(_BUFFER_BYTES))
        self._on_idle = on_idle
        self._epoll = select.epoll()
        self._handlers: dict[int, Callable[[int], None]] = {}
        self._posted: collections.deque[tuple[Callable[..., None], tuple[object, ...]]] = collections.deque()
        self._wakeup = os.eventfd(0, os.EFD_NONBLOCK | os.EFD_CLOEXEC)
        self._is_woken = False
        self._is_running = True
        self.add(self._wakeup, select.EPOLLIN, self._read_wakeup)

    def post(self, function: Callable[..., None], *arguments: object) -> None:
        """Schedule a call of a function in the thread of the loop; safe to call from any thread."""
        self._posted.append((function, arguments))
        if not self._is_woken:
            self._is_woken = True
            os.eventfd_write(self._wakeup, 1)

    def call_soon(self, function: Callable[..., None], *arguments: object) -> None:
        """Schedule a call of a function after the current handler; only for the thread of the loop."""
        self._posted.append((function, arguments))

    def add(self, descriptor: int, events: int, handler: Callable[[int], None]) -> None:
        """Watch a file descriptor, and call `handler` with the epoll events that occur."""
        self._handlers[descriptor] = handler
        self._epoll.register(descriptor, events)

    def modify(self, descriptor: int, events: int) -> None:
        """Change the events that a file descriptor is watched for."""
        self._epoll.modify(descriptor, events)

    def remove(self, descriptor: int) -> None:
        """Stop watching a file descriptor."""
        del self._handlers[descriptor]
        self._epoll.unregister(descriptor)

    def run(self) -> None:
        """Process events until `stop` is called."""
        while True:
            timeout = self.timers.run_due()
            if not self._is_running:
                return
            for descriptor, mask in self._epoll.poll(0) if self._posted else self._wait(timeout):
                handler = self._handlers.get(descriptor)
                if handler:  # an earlier handler of this pass may have removed it
                    self.run_logged(handler, mask)
            self._run_posted()

    def stop(self) -> None:
        """Make `run` return after this pass."""
        self._is_running = False

    @staticmethod
    def run_logged(function: Callable[..., None], *arguments: object) -> None:
        """Call a function; log an exception that it raises."""
        try:
            function(*arguments)
        except Exception:  # a failure of one connection must not stop the others
            _LOGGER.exception("%s failed on the I/O thread", function)

    def __del__(self) -> None:
        """Close the eventfd; not at the end of `run`, since threads of the pool may still call `post` then."""
        os.close(self._wakeup)

    def _wait(self, timeout: float | None) -> list[tuple[int, int]]:
        if self._on_idle:
            events = self._epoll.poll(0)
            if events:
                return events
            self.run_logged(self._on_idle)
        return self._epoll.poll(_MAX_WAIT_SECONDS if timeout is None else min(timeout, _MAX_WAIT_SECONDS))

    def _read_wakeup(self, _mask: int) -> None:
        os.eventfd_read(self._wakeup)
        self._is_woken = False  # before _run_posted, so that later posts wake the thread again

    def _run_posted(self) -> None:
        for _ in range(len(self._posted)):
            function, arguments = self._posted.popleft()
            self.run_logged(function, *arguments)
