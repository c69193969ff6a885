"""One call as the I/O thread has it: from the headers of its request to the end of its stream."""

import logging
import time
from collections import deque
from typing import TYPE_CHECKING

import grpc

from nggrpc import headers, messages
from nggrpc.errors import StatusError
from nggrpc.headers import RequestHead
from nggrpc.http2 import STREAM_WINDOW_BYTES, ErrorCode, Headers
from nggrpc.messages import Message
from nggrpc.methods import Method

if TYPE_CHECKING:
    from collections.abc import Callable

    from nggrpc.connection import Connection
    from nggrpc.runners import Runner
    from nggrpc.timers import Timer

_LOGGER = logging.getLogger(__name__)

# What a message takes in memory besides its bytes: a tuple and an object.
_MESSAGE_BYTES = 100

# Up to this size, it is cheaper to copy a message behind its prefix than to queue two pieces.
_JOINED_BYTES = 16 * 1024

MAX_UNSENT_BYTES = 64 * 1024
"""A handler that sends faster than its client reads waits while so many bytes wait to be sent."""


class Call:
    """One call. It belongs to the I/O thread; a handler has a `Context` of it.

    | state | begins with | messages of the client | messages of the handler |
    | --- | --- | --- | --- |
    | open | the headers of the request | are queued | are sent |
    | `status_queued` | the queueing of its status: `finish`, `end_early` | are dropped | are dropped |
    | `stream_closed` | the end of its stream or connection: `close` | are dropped | are dropped |

    Attributes:
        connection: the connection that it belongs to.
        stream_id: the number of its HTTP/2 stream.
        head: what the headers of its request say.
        method: what it calls.
        deadline: when its client gives up, by time.monotonic; None for never.
        runner: what runs its handler, once that has begun.
        timer: ends it at the deadline.
        requests: the messages that its handler has not taken yet; the handler removes them, in whichever thread it is.
        has_all_requests: whether the client has ended its side.
        status_queued: see the table.
        stream_closed: see the table.
        is_scheduled: whether its connection will start its handler, or tell it of a change, at the end of this pass.
        code: the status code, once its status is queued.
        callbacks: what to call when its stream is closed.
        written_bytes: how many bytes of responses have reached the I/O thread, prefixes included.
        queued_bytes: how many of those wait for the client to read them, when this was last measured.
        unacknowledged_bytes: how much of the stream's receive window its request occupies.
        early_bytes: how many bytes of its request were acknowledged before its handler has taken them, since a message
            was larger than the window.
        held_bytes: how much memory it counts for in the share of its connection.
    """

    __slots__ = (
        "_has_begun",
        "_owed",
        "_reader",
        "callbacks",
        "code",
        "connection",
        "deadline",
        "early_bytes",
        "has_all_requests",
        "head",
        "held_bytes",
        "is_scheduled",
        "method",
        "queued_bytes",
        "requests",
        "runner",
        "status_queued",
        "stream_closed",
        "stream_id",
        "timer",
        "unacknowledged_bytes",
        "written_bytes",
    )

    def __init__(self, connection: "Connection", stream_id: int, head: RequestHead, method: Method) -> None:
        """Begin with the headers of a request."""
        self.connection = connection
        self.stream_id = stream_id
        self.head = head
        self.method = method
        self.deadline = None if head.timeout is None else time.monotonic() + head.timeout
        self.runner: Runner | None = None
        self.timer: Timer | None = None
        self.requests: deque[Message] = deque()
        self.has_all_requests = self.status_queued = self.stream_closed = self.is_scheduled = False
        self.code: grpc.StatusCode | None = None
        self.callbacks: deque[Callable[[], None]] = deque()
        self.written_bytes = self.queued_bytes = 0
        self.unacknowledged_bytes = self.early_bytes = self.held_bytes = 0
        self._reader: messages.Reader | None = None
        self._has_begun = False
        self._owed: tuple[str, int] | None = None

    # The request.

    def receive(self, data: bytes, *, is_last: bool) -> None:
        """Take a part of the body of the request.

        Raises:
            StatusError: it is not valid.
        """
        self.unacknowledged_bytes += len(data)
        size = len(data) - messages.PREFIX_BYTES
        if self._reader is None and size >= 0 and int.from_bytes(data[1 : messages.PREFIX_BYTES], "big") == size:
            messages.check_size(size, self.connection.options.max_message_bytes)
            self.requests.append((data[0], data[messages.PREFIX_BYTES :]))  # mostly: one whole message in one frame
            self._hold(len(data) + _MESSAGE_BYTES)
        elif data:
            if self._reader is None:
                self._reader = messages.Reader(self.connection.options.max_message_bytes)
            completed = self._reader.read(data)
            self.requests += completed
            self._hold(len(data) + _MESSAGE_BYTES * len(completed))
            if not self.requests and self.needs_room:
                self._make_room()
        if is_last:
            self.end_requests()
        elif len(self.requests) > 1 and not self.method.request_streaming:
            raise self._wrong_count()

    def end_requests(self) -> None:
        """Note that the client has ended its side.

        Raises:
            StatusError: it did so within a message, or has sent too few or too many.
        """
        if self._reader and not self._reader.is_at_boundary:
            raise StatusError(grpc.StatusCode.INTERNAL, "the request ended within a message")
        if not self.method.request_streaming and len(self.requests) != 1:
            raise self._wrong_count()
        self.has_all_requests = True

    def _wrong_count(self) -> StatusError:
        return StatusError(grpc.StatusCode.UNIMPLEMENTED, f"{self.head.path} requires exactly one request message")

    @property
    def is_ready(self) -> bool:
        """Whether its handler has what it needs to begin."""
        return self.has_all_requests or self.method.request_streaming

    def take(self, size: int, count: int) -> None:
        """Note that the handler has taken messages, so that the client may send as many bytes again.

        Args:
            size: how many bytes they have, prefixes included.
            count: how many messages they are.
        """
        self._release(size + _MESSAGE_BYTES * count)
        early = min(size, self.early_bytes)
        self.early_bytes -= early
        self._acknowledge(size - early)
        if not self.requests and self.needs_room:
            self._make_room()

    @property
    def needs_room(self) -> bool:
        """Whether the client may be unable to send the rest of a message, for want of a window."""
        return self.unacknowledged_bytes >= STREAM_WINDOW_BYTES // 2

    def _make_room(self) -> None:
        """Acknowledge a part of a message before the handler has taken it."""
        self.early_bytes += self.unacknowledged_bytes
        self._acknowledge(self.unacknowledged_bytes)

    def _hold(self, amount: int) -> None:
        """Count bytes of memory.

        Raises:
            StatusError: the connection or the server holds too much.
        """
        self.held_bytes += amount
        self.connection.hold(amount)

    def _release(self, amount: int) -> None:
        amount = min(amount, self.held_bytes)
        self.held_bytes -= amount
        self.connection.release(amount)

    def _acknowledge(self, amount: int) -> None:
        amount = min(amount, self.unacknowledged_bytes)
        self.unacknowledged_bytes -= amount
        self.connection.acknowledge(self.stream_id, amount)

    # The response.

    def begin(self, fields: Headers) -> None:
        """Send the response headers."""
        if not self.status_queued:
            self._has_begun = True
            self.connection.session.send_response(self.stream_id, fields)
            self.connection.note_response()

    def write(self, message: Message) -> None:
        """Send a message."""
        self.written_bytes += messages.PREFIX_BYTES + len(message[1])
        if self.status_queued:
            return
        self._queue(message)
        self.connection.note_response()
        self.queued_bytes = self.connection.session.queued_body_size(self.stream_id)
        if self.queued_bytes >= MAX_UNSENT_BYTES:
            self.connection.backpressured.add(self)
        elif self.runner:  # its handler may have seen a larger figure, and wait
            self.runner.notify()

    def _queue(self, message: Message) -> None:
        flag, data = message
        prefix = messages.prefix(flag, len(data))
        if len(data) < _JOINED_BYTES:
            self.connection.session.send_data(self.stream_id, prefix + data)
        else:
            self.connection.session.send_data(self.stream_id, prefix)
            self.connection.session.send_data(self.stream_id, data)

    def finish(self, code: grpc.StatusCode, fields: Headers | None, message: Message | None, trailers: Headers) -> None:
        """Send the end of the response.

        Args:
            code: the status code that the trailers have.
            fields: the response headers, unless they were sent.
            message: the last message, if there is one.
            trailers: the trailers.
        """
        if self.status_queued:
            return
        if message is not None and len(message[1]) >= MAX_UNSENT_BYTES:
            try:
                self._hold(len(message[1]))  # until the client has read it
            except StatusError as error:
                code, message = error.code, None
                trailers = headers.trailers(error.code, error.details, ())
        self.status_queued = True
        self.code = code
        session = self.connection.session
        if fields is not None and message is None:
            session.send_response(self.stream_id, (*fields, *trailers), end_stream=True)
        else:
            if fields is not None:
                session.send_response(self.stream_id, fields)
            if message is not None:
                self._queue(message)
            session.send_trailers(self.stream_id, trailers)
        self.connection.note_response()
        if not self.has_all_requests:
            self.connection.finished_early[self.stream_id] = message is not None or fields is None

    def end_early(self, code: grpc.StatusCode, details: str, *, is_closing: bool = False) -> None:
        """End it with a status, whatever its handler does.

        If the client does not read, a status cannot reach it: it would come after the messages that wait. Then the
        stream is reset.

        Args:
            code: the status code.
            details: the text of the status.
            is_closing: whether the connection is about to be closed, so that the stream need not be reset.
        """
        if self.stream_closed:
            return
        session = self.connection.session
        if self.status_queued or session.queued_body_size(self.stream_id):
            self.status_queued = True
            self.code = code
            if not is_closing:
                session.reset_stream(self.stream_id, ErrorCode.CANCEL)
                self.connection.note_response()
        else:
            fields = None if self._has_begun else headers.RESPONSE
            self.finish(code, fields, None, headers.trailers(code, details, ()))
        self.connection.schedule(self)

    def end_if_stalled(self) -> None:
        """End it if its client has neither completed a message nor read since this was last called, but has to."""
        owed = self._find_owed()
        if owed and owed == self._owed:
            if self.status_queued:  # its status stays what it was, or becomes CANCELLED: see close
                self.connection.session.reset_stream(self.stream_id, ErrorCode.CANCEL)
                self.connection.note_response()
            else:
                self.end_early(grpc.StatusCode.DEADLINE_EXCEEDED, "the client has not completed its request in time")
        self._owed = owed

    def _find_owed(self) -> tuple[str, int] | None:
        """Return what the client has to do next, and how far it is; None if it is the turn of the handler."""
        if self.status_queued:
            return "read", self.connection.session.queued_body_size(self.stream_id)
        if self.has_all_requests:
            return None
        if not self.method.request_streaming:
            return "send", 0
        if self._reader and not self._reader.is_at_boundary and not self.requests:
            return "send", self._reader.completed
        return None

    def close(self, *, is_delivered: bool) -> None:
        """Note the end of the stream, and call back.

        Args:
            is_delivered: whether everything was sent, rather than the client gone before.
        """
        if self.stream_closed:
            return
        if not self.status_queued or (not is_delivered and self.code is grpc.StatusCode.OK):
            expired = self.deadline is not None and time.monotonic() >= self.deadline
            self.code = grpc.StatusCode.DEADLINE_EXCEEDED if expired else grpc.StatusCode.CANCELLED
        self.status_queued = self.stream_closed = True
        self._acknowledge(self.unacknowledged_bytes)
        self.requests.clear()  # its handler may wait for a thread of the pool, and keep the call, for long
        self._reader = None
        self._release(self.held_bytes)
        while self.callbacks:
            callback = self.callbacks.popleft()
            try:
                callback()
            except Exception:
                _LOGGER.exception("a callback of %s failed", self.head.path)
