"""How many calls there may be at once, and how long each may take."""

import logging
import threading
import time

from server.call import Call
from server.errors import TooMuchError

_LOGGER = logging.getLogger(__name__)


class Limit:
    """Lets so many calls in at once and refuses one more, and ends those that go on for too long.

    A queue without end would help nobody; each call holds memory, if not a thread, and its client need not set a
    deadline.

    Args:
        max_concurrent_calls: how many may be in flight.
        max_deadline: how long each may take, in seconds.
    """

    def __init__(self, max_concurrent_calls: int, max_deadline: float) -> None:
        """Start with no calls."""
        self._max_concurrent_calls = max_concurrent_calls
        self._max_deadline = max_deadline
        self._ends: dict[Call, float] = {}  # when each has to end
        self._lock = threading.Lock()  # entered by itself: a condition's own way into it takes several times as long
        self._changed = threading.Condition(self._lock)
        self._is_awaited = False
        self._thread: threading.Thread | None = None

    def enter(self, call: Call) -> None:
        """Count a call until it leaves.

        Raises:
            TooMuchError: there are as many as there may be; a client that tries again finds room, here or elsewhere.
        """
        with self._lock:
            if len(self._ends) >= self._max_concurrent_calls:
                raise TooMuchError(f"{self._max_concurrent_calls} calls are in flight; try again")
            self._ends[call] = time.monotonic() + self._max_deadline
            if not self._thread:
                self._thread = threading.Thread(target=self._watch, name="deadlines", daemon=True)
                self._thread.start()

    def leave(self, call: Call) -> None:
        """Count a call no more."""
        with self._lock:
            self._ends.pop(call, None)
            if self._is_awaited and not self._ends:
                self._changed.notify_all()

    def left_after(self, timeout: float) -> list[Call]:
        """Wait until there are no calls, for so many seconds at most; return those that there still are."""
        with self._changed:
            self._is_awaited = True
            self._changed.wait_for(lambda: not self._ends, timeout)
            return list(self._ends)

    def _watch(self) -> None:
        while True:
            now = time.monotonic()
            with self._lock:
                for call in [call for call, end in self._ends.items() if end <= now]:
                    _expire(call)
                    self._ends[call] = now + self._max_deadline  # it counts until it has left
                # What begins from now on ends later than whatever there is, or could be: there is no need to be told.
                first = min(self._ends.values(), default=now + self._max_deadline)
            time.sleep(first - now)


def _expire(call: Call) -> None:
    try:
        call.expire()
    except Exception:  # one that cannot be ended must not keep the others from it
        _LOGGER.exception("A call that took too long could not be ended")
