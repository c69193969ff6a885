"""The lifecycle of a connection: keepalive pings, graceful shutdown, and close.

https://github.com/grpc/grpc/blob/master/doc/keepalive.md and
https://github.com/grpc/proposal/blob/master/A9-server-side-conn-mgt.md
"""

import random
import time
from collections.abc import Callable
from typing import TYPE_CHECKING

import grpc

from nggrpc import http2
from nggrpc.http2 import ErrorCode, Event
from nggrpc.options import NEVER_MS
from nggrpc.timers import Timer, Timers

if TYPE_CHECKING:
    from nggrpc.connection import Connection

_HANDSHAKE_SECONDS = 20.0
_ROUND_TRIP_SECONDS = 5.0

_SHUTDOWN_PING = b"shutdown"
_KEEPALIVE_PING = b"keepaliv"

# The minimum interval between pings from a client that has no calls. If pings without calls are permitted, the normal
# minimum applies.
_IDLE_PING_SECONDS = 7200.0

# The interval between checks for stalled clients. A call that waits for its client ends if the client makes no progress
# between two checks.
_STALL_SECONDS = 120.0

# The jitter of the maximum age, so that connections that began together do not end together (gRFC A9).
_AGE_JITTER = 0.1


class Lifecycle:
    """The state machine that decides when a connection is pinged, shut down and closed.

    | state | begins with | new calls | ends when |
    | --- | --- | --- | --- |
    | serving | the connection | are served | it is too old, idle or out of window, or the server stops: `shut_down` |
    | notified | a GOAWAY frame that refuses no stream, and a ping | are served | the ping is answered, or after 5 s |
    | draining | a GOAWAY frame with the last stream | are ignored | there are no calls |
    | done | | | all output is sent and the socket is closed: `cancel_timers` |

    Args:
        connection: the connection.
        timers: the timers of the I/O thread.

    Attributes:
        is_done: whether to close the connection after all output is sent.
        is_forced: whether to close the connection at once, even if the client does not read.
        has_received: whether the client has sent anything since the last keepalive check.
        has_sent: whether the server has sent anything since the client's last ping.
        has_called: whether the client has begun a call since the last check for idle connections.
    """

    def __init__(self, connection: "Connection", timers: Timers) -> None:
        """Create a lifecycle in the state serving, without timers."""
        self.is_done = self.is_forced = False
        self.has_received = self.has_sent = self.has_called = False
        self._connection = connection
        self._options = connection.options
        self._timers = timers
        self._running: dict[Callable[[], None], Timer] = {}
        self._is_notified = self._is_draining = False
        self._has_settings = False
        self._next_ping = 0.0
        self._strikes = 0

    def begin(self) -> None:
        """Start the timers."""
        options = self._options
        self._after(_HANDSHAKE_SECONDS, self._check_handshake)
        self._after(_STALL_SECONDS, self._check_progress)
        if options.keepalive_time_ms < NEVER_MS:
            self._after(options.keepalive_time_ms / 1000, self._keep_alive)
        if options.max_age_ms < NEVER_MS:
            jitter = random.uniform(1 - _AGE_JITTER, 1 + _AGE_JITTER)  # noqa: S311 - not used for security
            self._after(options.max_age_ms / 1000 * jitter, self._retire)
        if options.max_idle_ms < NEVER_MS:
            self._after(options.max_idle_ms / 1000, self._check_idle)

    def cancel_timers(self) -> None:
        """Cancel all timers, since the connection is closed."""
        for timer in self._running.values():
            self._timers.cancel(timer)
        self._running.clear()

    def note(self, event: Event) -> None:
        """Process an event that concerns the connection rather than a call."""
        if isinstance(event, http2.PingReceived):
            self._count_ping()
        elif isinstance(event, http2.PingAcknowledged):
            self._note_answer(event.opaque_data)
        elif isinstance(event, http2.SettingsReceived):
            self._has_settings = True

    def note_end_of_call(self) -> None:
        """Note the end of a call; without further calls, a draining connection is done."""
        if self._is_draining and not self._connection.has_calls:
            self.is_done = True

    def shut_down(self) -> None:
        """Shut down gracefully: ask the client to begin no new calls, and still serve those that it has already sent.

        RFC 9113, section 6.8: send one GOAWAY frame, and a second one a round trip later.
        """
        if self._is_notified:
            return
        self._is_notified = True
        self._connection.session.send_shutdown_notice()
        self._connection.session.ping(_SHUTDOWN_PING)
        self._connection.request_pass()
        self._after(_ROUND_TRIP_SECONDS, self._drain)

    def _drain(self) -> None:
        if not self._is_draining:
            self._is_draining = True
            self._connection.session.send_goaway()
            self._connection.request_pass()
            self.note_end_of_call()

    def _retire(self) -> None:
        self.shut_down()
        if self._options.max_age_grace_ms < NEVER_MS:
            self._after(self._options.max_age_grace_ms / 1000, self._end_calls)

    def _end_calls(self) -> None:
        self._connection.end_calls(grpc.StatusCode.UNAVAILABLE, "the connection has reached its maximum age")
        self._force()

    def _check_handshake(self) -> None:
        if not self._has_settings:
            self._force()

    def _check_progress(self) -> None:
        self._after(_STALL_SECONDS, self._check_progress)
        self._connection.end_stalled_calls()

    def _check_idle(self) -> None:
        if self.has_called or self._connection.has_calls:
            self.has_called = False
            self._after(self._options.max_idle_ms / 1000, self._check_idle)
        else:
            self.shut_down()

    def _keep_alive(self) -> None:
        """Ping, unless the client has sent something since the last check."""
        if not self.has_received:
            self._connection.session.ping(_KEEPALIVE_PING)
            self._connection.request_pass()
            self._after(self._options.keepalive_timeout_ms / 1000, self._check_alive)
        else:
            self.has_received = False
            self._after(self._options.keepalive_time_ms / 1000, self._keep_alive)

    def _check_alive(self) -> None:
        if self.has_received:
            self._keep_alive()
        else:
            self._force()

    def _note_answer(self, opaque_data: bytes) -> None:
        if opaque_data == _SHUTDOWN_PING and self._is_notified:
            self._drain()

    def _count_ping(self) -> None:
        """Count a ping, and close the connection if the client pings too often."""
        if self.is_forced:
            return
        if self.has_sent:
            self.has_sent = False
            self._strikes = 0
            self._next_ping = 0.0
        now = time.monotonic()
        if now >= self._next_ping:
            seconds = self._options.min_ping_interval_ms / 1000
            if not (self._connection.has_calls or self._options.permit_pings_without_calls):
                seconds = max(seconds, _IDLE_PING_SECONDS)
            self._next_ping = now + seconds
            return
        self._strikes += 1
        if self._strikes > self._options.max_ping_strikes:
            self._connection.session.send_goaway(ErrorCode.ENHANCE_YOUR_CALM, debug_data=b"too_many_pings")
            self._force()

    def _force(self) -> None:
        self.is_forced = True
        self._connection.request_pass()

    def _after(self, seconds: float, action: Callable[[], None]) -> None:
        def act() -> None:
            del self._running[action]
            action()

        self._running[action] = self._timers.add(time.monotonic() + seconds, act)
