"""A call on the I/O thread, from its request headers to the end of its stream."""

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

# The memory overhead of a message in addition to its bytes: a tuple and a bytes object.
_MESSAGE_BYTES = 100

# Below this size, joining a prefix and a message by a copy is cheaper than queueing both.
_JOINED_BYTES = 16 * 1024

MAX_UNSENT_BYTES = 64 * 1024
"""Backpressure: a handler waits while this many bytes of its responses are unsent."""


class Call:
    """A call. Only the I/O thread may use it; the handler uses it through a `Context`.

    | state | begins when | messages from the client | messages from the handler |
    | --- | --- | --- | --- |
    | open | the request headers arrive | are queued | are sent |
    | `status_queued` | `finish` or `end_early` queues the status | are dropped | are dropped |
    | `stream_closed` | the stream or the connection ends: `close` | are dropped | are dropped |

    Attributes:
        connection: the connection of the call.
        stream_id: the ID of its HTTP/2 stream.
        head: the parsed request headers.
        method: the called method.
        deadline: the deadline, by time.monotonic; None for no deadline.
        runner: the runner of the handler; None until the handler is started.
        timer: the timer that ends the call at its deadline.
        requests: the messages that the handler has not taken yet; the handler removes them, in any thread.
        has_all_requests: whether the client has ended its side of the stream.
        status_queued: see the table.
        stream_closed: see the table.
        is_scheduled: whether the connection will start or notify the handler in this pass or the next one.
        code: the status code; None until the status is queued.
        callbacks: the functions to call when the stream is closed.
        written_bytes: the bytes of responses that have reached the I/O thread, including prefixes.
        queued_bytes: the part of `written_bytes` that was not sent when this was last measured.
        unacknowledged_bytes: the part of the stream's receive window that the request occupies.
        early_bytes: the bytes of the request that were acknowledged before the handler took them, since a message was
            larger than the window.
        held_bytes: the memory that counts towards the limits of the connection and the server.
    """

    __slots__ = (
        "_has_begun",
        "_last_progress",
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
        """Create a call from its request headers."""
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
        self._last_progress: tuple[str, int] | None = None

    # The request.

    def receive(self, data: bytes, *, is_last: bool) -> None:
        """Process a part of the request body.

        Raises:
            StatusError: the request is invalid or exceeds a limit.
        """
        self.unacknowledged_bytes += len(data)
        size = len(data) - messages.PREFIX_BYTES
        if self._reader is None and size >= 0 and int.from_bytes(data[1 : messages.PREFIX_BYTES], "big") == size:
            messages.check_size(size, self.connection.options.max_message_bytes)
            self.requests.append((data[0], data[messages.PREFIX_BYTES :]))  # the common case: one message in one frame
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
        """Note that the client has ended its side of the stream.

        Raises:
            StatusError: the request ends in the middle of a message, or has the wrong number of messages.
        """
        if self._reader and not self._reader.is_at_boundary:
            raise StatusError(grpc.StatusCode.INTERNAL, "the request ended in the middle of a message")
        if not self.method.request_streaming and len(self.requests) != 1:
            raise self._wrong_count()
        self.has_all_requests = True

    def _wrong_count(self) -> StatusError:
        return StatusError(grpc.StatusCode.UNIMPLEMENTED, f"{self.head.path} requires exactly one request message")

    @property
    def is_ready(self) -> bool:
        """Whether the handler can be started."""
        return self.has_all_requests or self.method.request_streaming

    def take(self, size: int, count: int) -> None:
        """Note that the handler has taken messages, and acknowledge their bytes to the client.

        Args:
            size: the bytes of the messages, including prefixes.
            count: the number of messages.
        """
        self._release(size + _MESSAGE_BYTES * count)
        early = min(size, self.early_bytes)
        self.early_bytes -= early
        self._acknowledge(size - early)
        if not self.requests and self.needs_room:
            self._make_room()

    @property
    def needs_room(self) -> bool:
        """Whether the receive window may be too small for the rest of a message."""
        return self.unacknowledged_bytes >= STREAM_WINDOW_BYTES // 2

    def _make_room(self) -> None:
        """Acknowledge a part of a message before the handler takes it."""
        self.early_bytes += self.unacknowledged_bytes
        self._acknowledge(self.unacknowledged_bytes)

    def _hold(self, amount: int) -> None:
        """Count bytes towards the memory limits.

        Raises:
            StatusError: the connection or the server exceeds its limit.
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
        """Queue the response headers."""
        if not self.status_queued:
            self._has_begun = True
            self.connection.session.send_response(self.stream_id, fields)
            self.connection.note_response()

    def write(self, message: Message) -> None:
        """Queue a response message."""
        self.written_bytes += messages.PREFIX_BYTES + len(message[1])
        if self.status_queued:
            return
        self._queue(message)
        self.connection.note_response()
        self.queued_bytes = self.connection.session.queued_body_size(self.stream_id)
        if self.queued_bytes >= MAX_UNSENT_BYTES:
            self.connection.backpressured.add(self)
        elif self.runner:  # the handler may be waiting because too many bytes were unsent before
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
        """Queue the end of the response.

        Args:
            code: the status code, as in the trailers.
            fields: the response headers; None if they were sent before.
            message: the last message, if any.
            trailers: the trailers.
        """
        if self.status_queued:
            return
        if message is not None and len(message[1]) >= MAX_UNSENT_BYTES:
            try:
                self._hold(len(message[1]))  # until the stream is closed
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

    def end_early(self, code: grpc.StatusCode, details: str, extra: Headers = (), *, is_closing: bool = False) -> None:
        """End the call with a status, without waiting for its handler.

        If responses are still queued because the client does not read, a status cannot overtake them. In that case,
        the stream is reset.

        Args:
            code: the status code.
            details: the status message.
            extra: additional trailers.
            is_closing: whether the connection is about to be closed, so that resetting the stream is unnecessary.
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
            self.finish(code, fields, None, (*headers.trailers(code, details, ()), *extra))
        self.connection.schedule(self)

    def end_if_stalled(self) -> None:
        """End the call if it waits for its client, and the client has made no progress since the previous check."""
        progress = self._client_progress()
        if progress and progress == self._last_progress:
            if self.status_queued:  # close() turns an OK status into CANCELLED
                self.connection.session.reset_stream(self.stream_id, ErrorCode.CANCEL)
                self.connection.note_response()
            else:
                self.end_early(grpc.StatusCode.DEADLINE_EXCEEDED, "the client did not complete its request in time")
        self._last_progress = progress

    def _client_progress(self) -> tuple[str, int] | None:
        """Return what the call waits for the client to do, and its progress; None if it waits for the handler."""
        if self.status_queued:
            return "read", self.connection.session.queued_body_size(self.stream_id)
        if self.has_all_requests:
            return None
        if not self.method.request_streaming:
            return "send", 0
        if self._reader and not self._reader.is_at_boundary and not self.requests:
            return "send", self._reader.completed
        return None

    def close(self, *, is_complete: bool) -> None:
        """Note the end of the stream, and run the callbacks.

        Args:
            is_complete: whether the whole response was written to the send buffer before the stream ended.
        """
        if self.stream_closed:
            return
        if not self.status_queued or (not is_complete and self.code is grpc.StatusCode.OK):
            expired = self.deadline is not None and time.monotonic() >= self.deadline
            self.code = grpc.StatusCode.DEADLINE_EXCEEDED if expired else grpc.StatusCode.CANCELLED
        self.status_queued = self.stream_closed = True
        self._acknowledge(self.unacknowledged_bytes)
        self.requests.clear()  # a handler that is still running may keep the call alive for a long time
        self._reader = None
        self._release(self.held_bytes)
        while self.callbacks:
            callback = self.callbacks.popleft()
            try:
                callback()
            except Exception:
                _LOGGER.exception("a callback of %s raised an exception", self.head.path)
