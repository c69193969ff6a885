"""The I/O thread: waits for sockets, timers and other threads, and does what they ask for."""

import collections
import logging
import os
import select
from collections.abc import Callable

from nggrpc.timers import Timers

_LOGGER = logging.getLogger(__name__)

# epoll takes less than 25 days, and a client may set a deadline of 11000 years.
_MAX_WAIT_SECONDS = 3600.0


# How much is read from a socket before others have their turn.
_BUFFER_BYTES = 256 * 1024


class Loop:
    """An event loop of one thread.

    Args:
        on_idle: is called when there is nothing else to do, before the thread waits.

    Attributes:
        timers: what is to be done at a time.
        buffer: where a socket's handler may put what it reads, until it returns.
    """

    def __init__(self, on_idle: Callable[[], None] | None) -> None:
        """Wait for nothing yet."""
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
        """Call a function in the thread of this loop, soon; this may be called from any thread."""
        self._posted.append((function, arguments))
        if not self._is_woken:
            self._is_woken = True
            os.eventfd_write(self._wakeup, 1)

    def call_soon(self, function: Callable[..., None], *arguments: object) -> None:
        """Call a function after what is being done now; only the thread of this loop may call this."""
        self._posted.append((function, arguments))

    def add(self, descriptor: int, events: int, handler: Callable[[int], None]) -> None:
        """Call a handler whenever some events of epoll happen to a descriptor."""
        self._handlers[descriptor] = handler
        self._epoll.register(descriptor, events)

    def modify(self, descriptor: int, events: int) -> None:
        """Wait for other events of a descriptor."""
        self._epoll.modify(descriptor, events)

    def remove(self, descriptor: int) -> None:
        """Wait for a descriptor no longer."""
        del self._handlers[descriptor]
        self._epoll.unregister(descriptor)

    def run(self) -> None:
        """Do what is asked for, until `stop`."""
        while True:
            timeout = self.timers.run_due()
            if not self._is_running:
                return
            for descriptor, mask in self._epoll.poll(0) if self._posted else self._wait(timeout):
                handler = self._handlers.get(descriptor)
                if handler:  # another one has not removed it
                    self.call(handler, mask)
            self._run_posted()

    def stop(self) -> None:
        """End `run` after this pass."""
        self._is_running = False

    @staticmethod
    def call(function: Callable[..., None], *arguments: object) -> None:
        """Call a function; log an exception that it raises."""
        try:
            function(*arguments)
        except Exception:  # one connection must not keep the others from being served
            _LOGGER.exception("%s failed on the I/O thread", function)

    def __del__(self) -> None:
        """Close the eventfd here rather than in `run`: threads of the pool may still call `post`."""
        os.close(self._wakeup)

    def _wait(self, timeout: float | None) -> list[tuple[int, int]]:
        if self._on_idle:
            events = self._epoll.poll(0)
            if events:
                return events
            self.call(self._on_idle)
        return self._epoll.poll(_MAX_WAIT_SECONDS if timeout is None else min(timeout, _MAX_WAIT_SECONDS))

    def _read_wakeup(self, _mask: int) -> None:
        os.eventfd_read(self._wakeup)
        self._is_woken = False  # before what was posted is run: what is posted later wakes again

    def _run_posted(self) -> None:
        for _ in range(len(self._posted)):
            function, arguments = self._posted.popleft()
            self.call(function, *arguments)
