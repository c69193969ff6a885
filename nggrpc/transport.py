"""The socket of a connection: it reads bytes for the connection and sends its output."""

import logging
import select
import socket
import time
from typing import TYPE_CHECKING

import grpc

from nggrpc import http2
from nggrpc.connection import Connection, Host
from nggrpc.loop import Loop

if TYPE_CHECKING:
    from collections.abc import Callable

    from nggrpc.timers import Timer

_LOGGER = logging.getLogger(__name__)

# Maximum bytes sent per pass, so that other connections get their turn.
_MAX_SENT_BYTES = 1024 * 1024

# Maximum duration of a pass, so that other connections get their turn.
_PASS_SECONDS = 0.01

# Maximum input processed between two checks of the time.
_CHUNK_BYTES = 32 * 1024

# Maximum input accepted from a client that does not read its responses: the responses to more input would have to be
# buffered.
_MAX_UNANSWERED_BYTES = 256 * 1024

# Maximum time that a client may stay at that limit without reading before its connection is closed.
_STALL_SECONDS = 30.0

# Maximum time that a client has to close its side of the connection after the server has closed the other.
_LINGER_SECONDS = 1.0

_READABLE = select.EPOLLIN | select.EPOLLHUP | select.EPOLLERR


class Transport:
    """A connected socket together with its connection.

    Args:
        loop: the event loop of the I/O thread.
        host: the server.
        connected: the socket.
        peer: the address of the client.
        closed: called after the socket is closed.

    Attributes:
        connection: the HTTP/2 connection.
        is_open: whether the socket is open.
    """

    def __init__(
        self, loop: Loop, host: Host, connected: socket.socket, peer: str, closed: "Callable[[Transport], None]"
    ) -> None:
        """Watch the socket, and send the initial SETTINGS frame."""
        self._loop = loop
        self._socket = connected
        self._closed = closed
        self._unprocessed = b""
        self._unsent: bytes | memoryview = b""
        self._events = select.EPOLLIN
        self._unanswered = 0  # the bytes read since the client last read something
        self._stall_timer: Timer | None = None
        self.is_open = True
        self._is_lost = False
        session = http2.new_session(host.options.max_streams, host.options.max_metadata_bytes)
        self.connection = Connection(host, session, peer, self._run_pass_soon)
        loop.add(connected.fileno(), select.EPOLLIN, self._on_event)
        self.connection.lifecycle.begin()
        self._run_pass()

    def _on_event(self, events: int) -> None:
        if events & select.EPOLLOUT:
            self._run_pass()
        if events & _READABLE:
            self._read()

    def _read(self) -> None:
        if not self.is_open or self._unprocessed:
            return
        try:
            size = self._socket.recv_into(self._loop.buffer)
        except BlockingIOError:
            return
        except OSError:  # such as ECONNRESET
            size = 0
        if not size:
            self.close()
            return
        if self._is_lost:  # discard input after the end of the connection
            return
        self._unanswered += size
        self._process(self._loop.buffer[:size])

    def _process(self, data: memoryview) -> None:
        """Process input and send output; if this takes too long, leave the rest of the input for the next pass."""
        self.connection.is_pass_pending = True
        until = time.perf_counter() + _PASS_SECONDS
        try:
            while data:
                self.connection.receive(data[:_CHUNK_BYTES])
                data = data[_CHUNK_BYTES:]
                if data and time.perf_counter() >= until:
                    self._unprocessed = bytes(data)
                    self._loop.call_soon(self._process_rest)
                    break
        except http2.ProtocolError:
            self.close()
        except Exception:
            _LOGGER.exception("closing a connection after an unexpected exception")
            self.close()
        else:
            self._run_pass()

    def _process_rest(self) -> None:
        if not self._is_lost and self._unprocessed:
            data, self._unprocessed = self._unprocessed, b""
            self._process(memoryview(data))

    def _run_pass_soon(self) -> None:
        self._loop.call_soon(self._run_pass)

    def _run_pass(self) -> None:
        """Complete a pass of the connection: run handlers and send output."""
        if self._is_lost:
            return
        self.connection.is_pass_pending = True
        try:
            is_done = self._run_and_send()
        except (OSError, http2.ProtocolError):
            self.close()
            return
        self.connection.settle()
        if not is_done:
            self.connection.request_pass()
        lifecycle = self.connection.lifecycle
        if lifecycle.is_forced or (lifecycle.is_done and is_done and not self._unsent):
            self._close_gracefully()
        else:
            self._watch()

    def _run_and_send(self) -> bool:
        """Run handlers and send output; return False if the limits of a pass leave some for the next pass."""
        connection = self.connection
        until = time.perf_counter() + _PASS_SECONDS
        left = _MAX_SENT_BYTES
        data = self._unsent
        try:
            while True:
                connection.run_scheduled(until)
                data = data or connection.data_to_send()
                if data:
                    sent = self._socket.send(data)
                    data = memoryview(data)[sent:] if sent < len(data) else b""
                    left -= sent
                    self._unanswered = 0
                if not (data or connection.has_more):
                    return True
                if left <= 0 or time.perf_counter() >= until:
                    return False
        except BlockingIOError:
            return True
        finally:
            self._unsent = data

    def _watch(self) -> None:
        """Watch the socket for input, and for room if there is unsent output."""
        events = select.EPOLLIN
        if self._unsent:
            events = select.EPOLLOUT if self._unanswered >= _MAX_UNANSWERED_BYTES else select.EPOLLIN | select.EPOLLOUT
        if events == self._events:
            return
        self._events = events
        self._loop.modify(self._socket.fileno(), events)
        if self._stall_timer:
            self._loop.timers.cancel(self._stall_timer)
            self._stall_timer = None
        if events == select.EPOLLOUT:
            self._stall_timer = self._loop.timers.add(time.monotonic() + _STALL_SECONDS, self.close)

    def shut_down(self) -> None:
        """Begin a graceful shutdown: accept no new calls, and let the calls in flight end."""
        if self._is_lost:
            self.close()
        else:
            self.connection.lifecycle.shut_down()

    def abort(self, details: str) -> None:
        """End all calls with UNAVAILABLE, send that as far as the socket accepts it, and close the socket."""
        try:
            self._process_rest()
            self._read()  # there may be cancellations to process first
            self.connection.end_calls(grpc.StatusCode.UNAVAILABLE, details)
            self._run_pass()
        finally:
            self.close()

    def _close_gracefully(self) -> None:
        """Stop sending, and close the socket after the client has closed its side.

        If a socket is closed while there is unread input, the kernel resets the connection, and the client may lose
        output that it has not read yet.
        """
        self._lose()
        try:
            self._socket.shutdown(socket.SHUT_WR)
        except OSError:
            self.close()
            return
        self._loop.modify(self._socket.fileno(), select.EPOLLIN)
        self._loop.timers.add(time.monotonic() + _LINGER_SECONDS, self.close)

    def _lose(self) -> None:
        if not self._is_lost:
            self._is_lost = True
            if self._stall_timer:
                self._loop.timers.cancel(self._stall_timer)
            self._unsent = self._unprocessed = b""
            self.connection.lose()

    def close(self) -> None:
        """Close the socket, and cancel the calls of the connection."""
        if not self.is_open:
            return
        self.is_open = False
        self._lose()
        self._loop.remove(self._socket.fileno())
        self._socket.close()
        self._closed(self)
