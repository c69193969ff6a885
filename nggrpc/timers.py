"""Timers of the I/O thread."""

import heapq
import itertools
import logging
import time
from collections.abc import Callable

_LOGGER = logging.getLogger(__name__)

# Cancelled timers stay in the heap until they outnumber the active ones and exceed this number.
_MIN_COMPACTED = 1000


class Timer:
    """An action that is scheduled for a point in time.

    Attributes:
        action: the function to call; None after it was called or cancelled.
    """

    __slots__ = ("action",)

    def __init__(self, action: Callable[[], None]) -> None:
        """Store the action."""
        self.action: Callable[[], None] | None = action


class Timers:
    """A heap of timers; not thread-safe."""

    def __init__(self) -> None:
        """Start without timers."""
        self._heap: list[tuple[float, int, Timer]] = []
        self._numbers = itertools.count()  # the order of timers that are due at the same time
        self._cancelled = 0

    def add(self, when: float, action: Callable[[], None]) -> Timer:
        """Call `action` at the time `when`, by the clock of time.monotonic."""
        timer = Timer(action)
        heapq.heappush(self._heap, (when, next(self._numbers), timer))
        return timer

    def cancel(self, timer: Timer) -> None:
        """Cancel a timer, unless its action was already called."""
        if timer.action:
            timer.action = None
            self._cancelled += 1
            if self._cancelled > max(_MIN_COMPACTED, len(self._heap) // 2):
                self._heap = [entry for entry in self._heap if entry[2].action]
                heapq.heapify(self._heap)
                self._cancelled = 0

    def run_due(self) -> float | None:
        """Call the actions that are due; return the seconds until the next timer, or None without timers."""
        while self._heap:
            when, _, timer = self._heap[0]
            left = when - time.monotonic()
            if timer.action and left > 0:
                return left
            heapq.heappop(self._heap)
            if timer.action:
                action, timer.action = timer.action, None
                try:
                    action()
                except Exception:  # a failure of one connection must not stop the others
                    _LOGGER.exception("%s failed on the I/O thread", action)
            else:
                self._cancelled -= 1
        return None
