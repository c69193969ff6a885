"""An HTTP/2 connection without its socket: it turns received bytes into calls, and responses into bytes."""

import contextlib
import functools
import logging
import math
import time
from collections import deque
from collections.abc import Callable
from typing import Any, Protocol

import grpc

from nggrpc import headers, http2
from nggrpc.call import MAX_UNSENT_BYTES, Call
from nggrpc.errors import StatusError
from nggrpc.headers import HttpError
from nggrpc.http2 import ErrorCode, Session
from nggrpc.lifecycle import Lifecycle
from nggrpc.methods import Method
from nggrpc.options import Options
from nggrpc.timers import Timers

_LOGGER = logging.getLogger(__name__)

# A handler on the I/O thread that runs for longer than this is logged, since it delays all other calls.
_SLOW_HANDLER_SECONDS = 0.1

# The maximum size of one serialized piece of output. A larger buffer does not stay in the processor's cache.
_OUTPUT_BYTES = 131072

# The minimum interval between log lines about the same slow handler.
_WARNING_SECONDS = 60.0

# The connection is shut down, so that the client opens a new one, once its receive window has shrunk by more than this
# (see `_check_window`). This is more than half the window: nghttp2 sends WINDOW_UPDATE only once half the window has
# been acknowledged, so even a healthy window may be half used up.
_MAX_LOST_WINDOW_BYTES = http2.CONNECTION_WINDOW_BYTES * 3 // 4

# One connection may use at most 1/4 of the server's memory limit.
_CONNECTION_SHARE = 4


class Host(Protocol):
    """The interface of the server that a connection requires.

    Attributes:
        options: the server options.
        timers: the timers of the I/O thread.
        held_bytes: the memory that messages of all calls occupy.
        max_held_bytes: the limit of `held_bytes`.
    """

    options: Options
    timers: Timers
    held_bytes: int
    max_held_bytes: int

    def post(self, function: Callable[..., None], *arguments: object) -> None:
        """Schedule a call of a function on the I/O thread; safe to call from any thread."""

    def admit(self, head: headers.RequestHead) -> Method:
        """Count a new call as in flight, and return its method.

        Raises:
            StatusError: the method is not implemented, or the limit of concurrent calls is reached.
        """

    def release_call(self) -> None:
        """Count a call as no longer in flight."""

    def start_handler(self, call: Call) -> None:
        """Start the handler of a call."""


class Connection:
    """A connection. Only the I/O thread may use it.

    The connection works in passes. `receive` parses bytes, passes events to calls, and schedules the calls that have
    changed. `run_scheduled` starts or resumes their handlers. These queue frames, which `data_to_send` returns.

    Args:
        host: the server.
        session: the HTTP/2 session.
        peer: the address of the client, such as "ipv4:127.0.0.1:51234".
        pass_requested: called to request a pass, unless one is already running or requested.

    Attributes:
        options: the server options.
        session: the HTTP/2 session.
        peer: the address of the client.
        post: schedules a call of a function on the I/O thread; see `Host.post`.
        backpressured: the calls with too many unsent bytes of responses, whose handlers have to wait.
        finished_early: the streams whose status was queued before the client ended its side; the value is whether the
            response has a body.
        is_pass_pending: whether a pass is running or requested.
        lifecycle: the pings, shutdown and end of the connection.
    """

    def __init__(self, host: Host, session: Session, peer: str, pass_requested: Callable[[], None]) -> None:
        """Start without calls."""
        self.options = host.options
        self.session = session
        self.peer = peer
        self.post = host.post
        self.backpressured: set[Call] = set()
        self.finished_early: dict[int, bool] = {}
        self.lifecycle = Lifecycle(self, host.timers)
        self._held_bytes = 0
        self._host = host
        self._has_more = True
        self._pass_requested = pass_requested
        self.is_pass_pending = self._is_lost = False
        self._calls: dict[int, Call] = {}
        self._scheduled: deque[Call] = deque()
        self._new: list[Call] = []
        self._event_handlers: dict[type[http2.Event], Callable[[Any], None]] = {
            http2.RequestReceived: self._on_request,
            http2.DataReceived: self._on_data,
            http2.TrailersReceived: self._receive_trailers,
            http2.StreamClosed: self._on_stream_closed,
            http2.ConnectionClosed: self._end_connection,
        }

    def receive(self, data: bytes | memoryview) -> None:
        """Process bytes from the client.

        Raises:
            http2.ProtocolError: the connection is broken and must be closed.
        """
        self.lifecycle.has_received = True
        self.session.receive_data(data)
        self._process_events()
        self._has_more = True

    @property
    def has_more(self) -> bool:
        """Whether there may be handlers to run or bytes to send."""
        return self._has_more or bool(self._scheduled)

    def data_to_send(self) -> bytes:
        """Return bytes that can be sent to the client now; if `has_more` is true afterwards, call this again.

        Raises:
            http2.ProtocolError: the connection is broken and must be closed.
        """
        window = self._send_window()
        data = self.session.data_to_send(_OUTPUT_BYTES)
        if self._send_window() < window:  # there are DATA frames, perhaps of a response that was queued long ago
            self.lifecycle.has_sent = True
        self._has_more = len(data) == _OUTPUT_BYTES
        self._process_events()
        for call in tuple(self.backpressured):
            call.queued_bytes = self.session.queued_body_size(call.stream_id)
            if call.queued_bytes < MAX_UNSENT_BYTES:
                self.backpressured.discard(call)
                self.schedule(call)
        if self.finished_early:
            self._reset_finished()
        return data

    def _send_window(self) -> int:
        """Return the send window of the connection, in bytes; 0 once the session has ended."""
        try:
            return self.session.remote_window_size
        except http2.ProtocolError:
            return 0

    def settle(self) -> None:
        """End a pass, and start deadline timers for the new calls that are still open."""
        self.is_pass_pending = False
        if self._new:
            self._start_timers()

    def request_pass(self) -> None:
        """Note that there may be bytes to send, and request a pass if necessary."""
        self._has_more = True
        if not self.is_pass_pending:
            self.is_pass_pending = True
            self._pass_requested()

    def schedule(self, call: Call) -> None:
        """Start or resume the handler of a call in this pass or the next one."""
        if not call.is_scheduled:
            call.is_scheduled = True
            self._scheduled.append(call)

    def acknowledge(self, stream_id: int, amount: int) -> None:
        """Acknowledge received bytes, so that the client may send more."""
        if amount and not self._is_lost:
            try:
                self.session.acknowledge_received_data(amount, stream_id)
            except http2.ProtocolError:  # the session has ended; an event will report it
                return
            self.request_pass()  # there may be a WINDOW_UPDATE frame to send

    def hold(self, amount: int) -> None:
        """Count the memory of messages: requests that no handler has taken yet, and large unread responses.

        Raises:
            StatusError: the connection or the server exceeds its limit. The memory counts anyway, until it is released.
        """
        host = self._host
        self._held_bytes += amount
        host.held_bytes += amount
        if host.held_bytes > host.max_held_bytes or self._held_bytes > host.max_held_bytes // _CONNECTION_SHARE:
            raise StatusError(
                grpc.StatusCode.RESOURCE_EXHAUSTED,
                f"the server buffers {host.held_bytes} bytes of messages, {self._held_bytes} of them"
                " for this connection; try again later",
            )

    def release(self, amount: int) -> None:
        """Release memory that was counted by `hold`."""
        self._held_bytes -= amount
        self._host.held_bytes -= amount

    def _process_events(self) -> None:
        handlers = self._event_handlers
        for event in self.session.events():
            handlers.get(type(event), self.lifecycle.note)(event)

    def _on_request(self, event: http2.RequestReceived) -> None:
        stream_id = event.stream_id
        try:
            head = headers.parse(event.headers, self.options.max_metadata_bytes)
            method = self._host.admit(head)
        except StatusError as error:
            fields = (*headers.RESPONSE, *headers.trailers(error.code, error.details, ()))
            self._refuse(event, (*fields, *error.headers))
            return
        except HttpError as error:
            self._refuse(event, ((b":status", error.status),))
            return
        except Exception:
            _LOGGER.exception("an interceptor or a generic handler raised an exception")
            trailers = headers.trailers(grpc.StatusCode.UNKNOWN, "Error in service handler!", ())
            self._refuse(event, (*headers.RESPONSE, *trailers))
            return
        call = self._calls[stream_id] = Call(self, stream_id, head, method)
        self.lifecycle.has_called = True
        self._new.append(call)
        if event.end_stream:
            self._end_requests(call)
        elif method.request_streaming:
            self.schedule(call)

    def _on_stream_closed(self, event: http2.StreamClosed) -> None:
        if self.finished_early:
            self.finished_early.pop(event.stream_id, None)
        call = self._calls.pop(event.stream_id, None)
        if call:
            self._close_call(call, is_complete=not event.error_code)
        if event.error_code:
            self._check_window()

    def _refuse(self, event: http2.RequestReceived, fields: http2.Headers) -> None:
        with contextlib.suppress(http2.ProtocolError):  # the client has reset the stream; an event will report it
            self.session.send_response(event.stream_id, fields, end_stream=True)
            if not event.end_stream:
                self.finished_early[event.stream_id] = False

    def _on_data(self, event: http2.DataReceived) -> None:
        call = self._calls.get(event.stream_id)
        if call is None or call.status_queued:
            self.acknowledge(event.stream_id, len(event.data))
            return
        try:
            call.receive(event.data, is_last=event.end_stream)
        except StatusError as error:
            self._end_early(call, error)
        if call.is_ready and not call.is_scheduled:
            self.schedule(call)

    def _receive_trailers(self, event: http2.TrailersReceived) -> None:
        call = self._calls.get(event.stream_id)
        if call and not call.status_queued:
            self._end_requests(call)

    def _end_connection(self, _event: http2.ConnectionClosed) -> None:
        self.lifecycle.is_done = True
        self._cancel_calls()

    def _end_requests(self, call: Call) -> None:
        try:
            call.end_requests()
        except StatusError as error:
            self._end_early(call, error)
        self.schedule(call)

    @staticmethod
    def _end_early(call: Call, error: StatusError) -> None:
        with contextlib.suppress(http2.ProtocolError):  # the client has reset the stream; an event will report it
            call.end_early(error.code, error.details, error.headers)

    def run_scheduled(self, until: float = math.inf) -> None:
        """Start or resume the handlers of the scheduled calls.

        Args:
            until: when to stop and leave the rest for the next pass, by time.perf_counter.
        """
        now = time.perf_counter()
        scheduled = self._scheduled
        while scheduled and now < until:
            call = scheduled.popleft()
            call.is_scheduled = False
            began = now
            try:
                if call.runner:
                    call.runner.notify()
                elif not call.status_queued:
                    self._host.start_handler(call)
            except http2.ProtocolError:  # the session has ended; its next use will raise this again
                pass
            except Exception:  # a failure of one call must not stop the others
                _LOGGER.exception("%s failed on the I/O thread", call.head.path)
                self._end_early(call, StatusError(grpc.StatusCode.INTERNAL, "internal server error"))
            now = time.perf_counter()
            if now - began > _SLOW_HANDLER_SECONDS and call.method.never_blocks:
                _warn(call, now, now - began)

    def note_response(self) -> None:
        """Note that a call has queued frames."""
        self.lifecycle.has_sent = self._has_more = True
        if not self.is_pass_pending:
            self.request_pass()

    def _close_call(self, call: Call, *, is_complete: bool) -> None:
        self.backpressured.discard(call)
        if call.timer:
            self._host.timers.cancel(call.timer)
        call.close(is_complete=is_complete)
        self._host.release_call()
        if call.runner and call.runner.is_waiting:  # a handler that begins to wait after close() sees the end itself
            self.schedule(call)
        self.lifecycle.note_end_of_call()

    def _start_timers(self) -> None:
        for call in self._new:
            if call.deadline is not None and not call.stream_closed:
                call.timer = self._host.timers.add(call.deadline, functools.partial(_expire, call))
        self._new.clear()

    def _check_window(self) -> None:
        """Shut down once too much of the receive window is lost.

        If a stream is closed while a DATA frame is incomplete, nghttp2 never acknowledges the part that has arrived.
        """
        if http2.CONNECTION_WINDOW_BYTES - self.session.local_window_size > _MAX_LOST_WINDOW_BYTES:
            self.lifecycle.shut_down()

    def _reset_finished(self) -> None:
        """Reset each stream that finished early once its status has been sent, so that the client stops sending."""
        session = self.session
        for stream_id, has_body in tuple(self.finished_early.items()):
            blocked = session.remote_window_size <= 0 or session.stream_remote_window_size(stream_id) <= 0
            if session.queued_body_size(stream_id) or (has_body and blocked):
                continue
            session.reset_stream(stream_id, ErrorCode.NO_ERROR)
            del self.finished_early[stream_id]
            self.request_pass()

    def end_calls(self, code: grpc.StatusCode, details: str) -> None:
        """End all calls with a status, since the connection is about to be closed."""
        for call in tuple(self._calls.values()):
            with contextlib.suppress(http2.ProtocolError):  # the session has ended; an event will report it
                call.end_early(code, details, is_closing=True)
        self.run_scheduled()

    def end_stalled_calls(self) -> None:
        """End the calls that wait for a client that has made no progress since the previous check.

        For requests, only complete messages count, so that a client cannot keep a call open by sending byte by byte.
        """
        for call in tuple(self._calls.values()):
            with contextlib.suppress(http2.ProtocolError):  # the session has ended; an event will report it
                call.end_if_stalled()

    def lose(self) -> None:
        """Cancel all calls and free the HTTP/2 session, without sending anything."""
        self.lifecycle.cancel_timers()
        self._cancel_calls()
        self.run_scheduled()
        # The objects of a connection form reference cycles. Python's garbage collector does not know how much memory
        # nghttp2 has allocated, and may free them much later.
        del self.session

    def _cancel_calls(self) -> None:
        self._is_lost = True
        while self._calls:
            _, call = self._calls.popitem()
            self._close_call(call, is_complete=False)

    @property
    def has_calls(self) -> bool:
        """Whether the connection has open streams with calls."""
        return bool(self._calls)


_next_warnings: dict[str, float] = {}


def _warn(call: Call, now: float, seconds: float) -> None:
    path = call.head.path
    if now >= _next_warnings.get(path, 0.0):
        _next_warnings[path] = now + _WARNING_SECONDS
        advice = "if it blocks, it must not be marked @never_blocks"
        _LOGGER.warning("%s kept all other calls waiting for %.1f s; %s", path, seconds, advice)


def _expire(call: Call) -> None:
    call.end_early(grpc.StatusCode.DEADLINE_EXCEEDED, "Deadline Exceeded")
