"""The socket of one connection: reads bytes for the connection, and sends those that it has."""

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

# How much is sent before other connections have their turn.
_SENT_BYTES = 1024 * 1024

# How long handlers run before other connections have their turn.
_PASS_SECONDS = 0.01

# How much is processed at once.
_PART_BYTES = 32 * 1024

# How much is read from a client that does not read: what it sends has responses, which would have to wait, too.
_UNANSWERED_BYTES = 256 * 1024

# How long a client may go on sending, and read nothing, before its connection is closed.
_STALL_SECONDS = 30.0

# How long a client has to close the connection once this side has.
_LINGER_SECONDS = 1.0

_READABLE = select.EPOLLIN | select.EPOLLHUP | select.EPOLLERR


class Transport:
    """A connected socket and its connection.

    Args:
        loop: the I/O thread.
        host: the server.
        connected: the socket.
        peer: the address of the client.
        closed: is called when the socket was closed.

    Attributes:
        connection: the HTTP/2 connection.
        is_open: whether the socket is.
    """

    def __init__(
        self, loop: Loop, host: Host, connected: socket.socket, peer: str, closed: "Callable[[Transport], None]"
    ) -> None:
        """Greet the client."""
        self._loop = loop
        self._socket = connected
        self._closed = closed
        self._unprocessed = b""
        self._unsent: bytes | memoryview = b""
        self._events = select.EPOLLIN
        self._unanswered = 0  # how much was read since the client has read anything
        self._stall_timer: Timer | None = None
        self.is_open = True
        self._is_lost = False
        session = http2.new_session(host.options.max_streams, host.options.max_metadata_bytes)
        self.connection = Connection(host, session, peer, self._flush_soon)
        loop.add(connected.fileno(), select.EPOLLIN, self._on_event)
        self.connection.lifecycle.begin()
        self._flush()

    def _on_event(self, events: int) -> None:
        if events & select.EPOLLOUT:
            self._flush()
        if events & _READABLE:
            self._read()

    def _read(self) -> None:
        if not self.is_open or self._unprocessed:
            return
        try:
            size = self._socket.recv_into(self._loop.buffer)
        except BlockingIOError:
            return
        except OSError:  # such as a reset connection
            size = 0
        if not size:
            self.close()
            return
        if self._is_lost:  # what the client says now is of no interest
            return
        self._unanswered += size
        self._process(self._loop.buffer[:size])

    def _process(self, data: memoryview) -> None:
        """Have the connection process bytes, and send what it has to; leave the rest for later if it takes long."""
        self.connection.is_flush_pending = True
        ends = time.perf_counter() + _PASS_SECONDS
        try:
            while data:
                self.connection.receive(data[:_PART_BYTES])
                data = data[_PART_BYTES:]
                if data and time.perf_counter() >= ends:
                    self._unprocessed = bytes(data)
                    self._loop.call_soon(self._process_rest)
                    break
        except http2.ProtocolError:
            self.close()
        except Exception:
            _LOGGER.exception("a connection failed")
            self.close()
        else:
            self._flush()

    def _process_rest(self) -> None:
        if not self._is_lost and self._unprocessed:
            data, self._unprocessed = self._unprocessed, b""
            self._process(memoryview(data))

    def _flush_soon(self) -> None:
        self._loop.call_soon(self._flush)

    def _flush(self) -> None:
        """Run handlers and send what there is to send: the rest of a pass of the connection."""
        if self._is_lost:
            return
        self.connection.is_flush_pending = True
        try:
            is_done = self._send()
        except (OSError, http2.ProtocolError):
            self.close()
            return
        self.connection.settle()
        if not is_done:
            self.connection.request_flush()
        lifecycle = self.connection.lifecycle
        if lifecycle.is_forced or (lifecycle.is_done and is_done and not self._unsent):
            self._close_gracefully()
        else:
            self._watch()

    def _send(self) -> bool:
        """Run handlers and send, as far as the socket takes it; return False if time was too short for all of it."""
        connection = self.connection
        ends = time.perf_counter() + _PASS_SECONDS
        left = _SENT_BYTES
        data = self._unsent
        try:
            while True:
                connection.run_scheduled(ends)
                data = data or connection.data_to_send()
                if data:
                    sent = self._socket.send(data)
                    data = memoryview(data)[sent:] if sent < len(data) else b""
                    left -= sent
                    self._unanswered = 0
                if not (data or connection.has_more):
                    return True
                if left <= 0 or time.perf_counter() >= ends:
                    return False
        except BlockingIOError:
            return True
        finally:
            self._unsent = data

    def _watch(self) -> None:
        """Wait until the client sends something, or reads if there is something to send."""
        events = select.EPOLLIN
        if self._unsent:
            events = select.EPOLLOUT if self._unanswered >= _UNANSWERED_BYTES else select.EPOLLIN | select.EPOLLOUT
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
        """Let the calls end, and take no more."""
        if self._is_lost:
            self.close()
        else:
            self.connection.lifecycle.shut_down()

    def abort(self, details: str) -> None:
        """End the calls with UNAVAILABLE, send that if the socket takes it, and close it."""
        try:
            self._process_rest()
            self._read()  # the client may have cancelled calls
            self.connection.end_calls(grpc.StatusCode.UNAVAILABLE, details)
            self._flush()
        finally:
            self.close()

    def _close_gracefully(self) -> None:
        """Send no more, and close the socket when the client has done so.

        If a socket is closed before all that was received is read, the kernel resets the connection, and the client may
        lose what it has not read yet.
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
        """Close the socket; the calls of the connection are cancelled."""
        if not self.is_open:
            return
        self.is_open = False
        self._lose()
        self._loop.remove(self._socket.fileno())
        self._socket.close()
        self._closed(self)
