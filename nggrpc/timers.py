"""Timers of the I/O thread."""

import heapq
import itertools
import logging
import time
from collections.abc import Callable

_LOGGER = logging.getLogger(__name__)

# Timers that were cancelled stay in the heap, until they are more than those that were not.
_MIN_COMPACTED = 1000


class Timer:
    """Something to do at a time.

    Attributes:
        action: what to do; None once that was done, or cancelled.
    """

    __slots__ = ("action",)

    def __init__(self, action: Callable[[], None]) -> None:
        """Keep the action."""
        self.action: Callable[[], None] | None = action


class Timers:
    """A heap of timers. It belongs to one thread."""

    def __init__(self) -> None:
        """Start with none."""
        self._heap: list[tuple[float, int, Timer]] = []
        self._numbers = itertools.count()  # orders timers of the same time
        self._cancelled = 0

    def add(self, when: float, action: Callable[[], None]) -> Timer:
        """Do something at a time, by time.monotonic."""
        timer = Timer(action)
        heapq.heappush(self._heap, (when, next(self._numbers), timer))
        return timer

    def cancel(self, timer: Timer) -> None:
        """Do not do it, if it is not done yet."""
        if timer.action:
            timer.action = None
            self._cancelled += 1
            if self._cancelled > max(_MIN_COMPACTED, len(self._heap) // 2):
                self._heap = [entry for entry in self._heap if entry[2].action]
                heapq.heapify(self._heap)
                self._cancelled = 0

    def run_due(self) -> float | None:
        """Do what is due; return the seconds until the next timer, or None if there is none."""
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
                except Exception:  # one connection must not keep the others from being served
                    _LOGGER.exception("%s failed on the I/O thread", action)
            else:
                self._cancelled -= 1
        return None
