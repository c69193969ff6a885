"""Limits on the number of concurrent calls and on the duration of each call."""

import logging
import threading
import time
from typing import Generic, Protocol, TypeVar

from server.domain.errors import Reason
from server.rpc.errors import CallError

_LOGGER = logging.getLogger(__name__)


class Expirable(Protocol):
    """A call that can be ended."""

    def expire(self) -> None:
        """End the call, since it has exceeded the maximum duration."""


T = TypeVar("T", bound=Expirable)


class Limit(Generic[T]):
    """Admits calls up to a maximum, refuses further ones, and ends calls that exceed the maximum duration.

    A refusal is better than an unbounded queue: every call holds memory, often a thread, and may not have a deadline.

    A call is in one of two states:

    | state | entered by | counts against |
    | --- | --- | --- |
    | in flight | `admit`: the call was admitted | `max_concurrent_calls` |
    | answered | `mark_answered`: its handler has returned | `2 * max_concurrent_calls + 10` |

    A client may start another call as soon as it has read a response, before this server has learned that the response
    was delivered. Such a client must not be refused, so an answered call does not count as in flight. Answered calls
    have their own maximum, so that a client that never reads cannot make the server hold unlimited responses. It is
    larger than the in-flight maximum: a client may read every response and start as many new calls before the server
    learns of a single delivery.

    Args:
        max_concurrent_calls: the maximum number of calls in flight.
        max_deadline: the maximum duration of a call, in seconds.
    """

    def __init__(self, max_concurrent_calls: int, max_deadline: float) -> None:
        """Start with no calls."""
        self._max_in_flight = max_concurrent_calls
        self._max_answered = 2 * max_concurrent_calls + 10
        self._max_deadline = max_deadline
        # The time at which each call has to end, by state.
        self._in_flight: dict[T, float] = {}
        self._answered: dict[T, float] = {}
        self._lock = threading.Lock()  # acquired directly, since the condition takes several times as long
        self._changed = threading.Condition(self._lock)
        self._is_awaited = False
        self._thread: threading.Thread | None = None

    def admit(self, call: T) -> None:
        """Admit a call. It counts until its release.

        Raises:
            CallError: the maximum is reached. The client may try again.
        """
        with self._lock:
            if len(self._in_flight) >= self._max_in_flight:
                raise CallError(Reason.TOO_MUCH, f"{self._max_in_flight} calls are in flight; try again")
            if len(self._answered) >= self._max_answered:
                raise CallError(
                    Reason.TOO_MUCH, f"{self._max_answered} responses are not yet delivered to their clients; try again"
                )
            self._in_flight[call] = time.monotonic() + self._max_deadline
            if not self._thread:
                self._thread = threading.Thread(target=self._watch, name="deadlines", daemon=True)
                self._thread.start()

    def mark_answered(self, call: T) -> None:
        """Stop counting a call as in flight: its handler has returned, and its client may read the response."""
        with self._lock:
            end = self._in_flight.pop(call, None)
            if end is not None:
                self._answered[call] = end

    def release(self, call: T) -> None:
        """Stop counting a call.

        Its handler has returned, and its response is in the send buffer or its client is gone.
        """
        with self._lock:
            self._in_flight.pop(call, None)
            self._answered.pop(call, None)
            if self._is_awaited and not (self._in_flight or self._answered):
                self._changed.notify_all()

    def wait_until_empty(self, timeout: float) -> list[T]:
        """Wait until there are no calls, or for a timeout in seconds. Return the remaining calls."""
        with self._changed:
            self._is_awaited = True
            self._changed.wait_for(lambda: not self._calls(), timeout)
            return list(self._calls())

    def _calls(self) -> dict[T, float]:
        return self._in_flight | self._answered

    def _watch(self) -> None:
        while True:
            now = time.monotonic()
            with self._lock:
                for calls in (self._in_flight, self._answered):
                    for call in [call for call, end in calls.items() if end <= now]:
                        _expire(call)
                        calls[call] = now + self._max_deadline  # it counts until its release
                # Calls that start from now on end later than this, so they need not wake this thread.
                next_end = min(self._calls().values(), default=now + self._max_deadline)
            time.sleep(next_end - now)


def _expire(call: Expirable) -> None:
    try:
        call.expire()
    except Exception:  # must not prevent other calls from expiring
        _LOGGER.exception("A call that exceeded the maximum duration could not be ended")
