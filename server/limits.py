"""How many calls there may be at once, and how long each may take."""

import logging
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from server.errors import TooMuchError

_LOGGER = logging.getLogger(__name__)


class Limit:
    """Lets so many calls in at once and refuses one more, and ends those that go on for too long.

    A queue without end would help nobody; and each call holds a thread, and its client need not set a deadline.

    Args:
        max_concurrent_calls: how many may be in flight.
        max_deadline: how long each may take, in seconds.
    """

    def __init__(self, max_concurrent_calls: int, max_deadline: float) -> None:
        """Start with no calls."""
        self._max_concurrent_calls = self._free = max_concurrent_calls
        self._lock = threading.Lock()  # a semaphore takes more than twice as long
        self._deadlines = _Deadlines(max_deadline)

    @contextmanager
    def applied(self, time_remaining: float | None, expire: Callable[[], None]) -> Iterator[None]:
        """Count a call for as long as the block runs, and call `expire` if that is too long.

        Args:
            time_remaining: seconds to the client's own deadline, if it set one; when that comes first, grpc sees to it.
            expire: ends the call, from another thread.

        Raises:
            TooMuchError: there are as many as there may be; a client that tries again finds room, here or elsewhere.
        """
        self.enter(time_remaining, expire)
        try:
            yield
        finally:
            self.leave(expire)

    def enter(self, time_remaining: float | None, expire: Callable[[], None]) -> None:
        """Count a call until it leaves; see `applied`."""
        with self._lock:
            if not self._free:
                raise TooMuchError(f"{self._max_concurrent_calls} calls are in flight; try again")
            self._free -= 1
        self._deadlines.add(time_remaining, expire)

    def leave(self, expire: Callable[[], None]) -> None:
        """Count a call no more."""
        self._deadlines.remove(expire)
        with self._lock:
            self._free += 1


class _Deadlines:
    """Ends calls that go on for too long."""

    def __init__(self, max_deadline: float) -> None:
        self._limit = max_deadline
        # In the order in which they began, which is that in which they have to end.
        self._ends: dict[Callable[[], None], float] = {}
        self._changed = threading.Condition()
        self._is_idle = True
        self._thread: threading.Thread | None = None

    def add(self, time_remaining: float | None, expire: Callable[[], None]) -> None:
        if time_remaining is not None and time_remaining <= self._limit:
            return
        with self._changed:
            self._ends[expire] = time.monotonic() + self._limit
            if not self._thread:
                self._thread = threading.Thread(target=self._run, name="deadlines", daemon=True)
                self._thread.start()
            if self._is_idle:
                self._changed.notify()

    def remove(self, expire: Callable[[], None]) -> None:
        with self._changed:
            self._ends.pop(expire, None)

    def _run(self) -> None:
        with self._changed:
            while True:
                now = time.monotonic()
                while self._ends and next(iter(self._ends.values())) <= now:
                    self._expire_first()
                first = next(iter(self._ends.values()), None)
                # Once it waits for the end of a call it wakes in time for all that begin later, and need not be told.
                self._is_idle = first is None
                self._changed.wait(None if first is None else first - now)

    def _expire_first(self) -> None:
        expire = next(iter(self._ends))
        del self._ends[expire]
        try:
            expire()
        except Exception:  # one that cannot be ended must not keep the others from it
            _LOGGER.exception("A call that took too long could not be ended")
