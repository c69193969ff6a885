"""One HTTP/2 connection without its socket: bytes come in, calls are served, bytes go out."""

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

# A handler that keeps the I/O thread for longer delays all other calls noticeably.
_SLOW_HANDLER_SECONDS = 0.1

# How much is serialized at once: a larger buffer does not stay in the processor's cache.
_OUTPUT_BYTES = 131072

# How often the log names the same slow handler.
_WARNING_SECONDS = 60.0

# How much of the connection's receive window may be missing before the client is asked to open a new connection.
# nghttp2 announces what was acknowledged once it is half the window.
_MAX_LOST_WINDOW_BYTES = http2.CONNECTION_WINDOW_BYTES * 3 // 4

# The share of one connection in the memory that the server holds for requests and responses.
_SHARE = 4


class Host(Protocol):
    """What a connection needs of the server that it belongs to.

    Attributes:
        options: those of the server.
        timers: those of the I/O thread.
        held_bytes: how much memory all calls hold.
        max_held_bytes: how much they may hold.
    """

    options: Options
    timers: Timers
    held_bytes: int
    max_held_bytes: int

    def post(self, function: Callable[..., None], *arguments: object) -> None:
        """Have the I/O thread call a function soon, from any thread."""

    def admit(self, head: headers.RequestHead) -> Method:
        """Count one more call, and return its method.

        Raises:
            StatusError: there is no such method, or there are as many calls as there may be.
        """

    def release_call(self) -> None:
        """Count one call less."""

    def start_handler(self, call: Call) -> None:
        """Start the handler of a call."""


class Connection:
    """One connection. It belongs to the I/O thread.

    Data goes one way in a pass: `receive` takes bytes, hands them to calls, and schedules those that have changed.
    `run_scheduled` starts or resumes their handlers. These queue frames, which `data_to_send` returns.

    Args:
        host: the server.
        session: its HTTP/2 state.
        peer: the address of the client, such as "ipv4:127.0.0.1:51234".
        flush_requested: is called when there may be something to do, and no pass is under way or was asked for.

    Attributes:
        options: those of the server.
        session: its HTTP/2 state.
        peer: the address of the client.
        backpressured: the calls whose handlers have sent more than their clients read.
        finished_early: the streams whose status was queued before the client had ended its side; true for those that
            have a body.
        is_flush_pending: whether a pass is under way or was asked for, so that `request_flush` need not ask for one.
        lifecycle: when the connection is pinged, shut down and closed.
    """

    def __init__(self, host: Host, session: Session, peer: str, flush_requested: Callable[[], None]) -> None:
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
        self._flush_requested = flush_requested
        self.is_flush_pending = self._is_lost = False
        self._calls: dict[int, Call] = {}
        self._scheduled: deque[Call] = deque()
        self._new: list[Call] = []
        self._process: dict[type[http2.Event], Callable[[Any], None]] = {
            http2.RequestReceived: self._begin,
            http2.DataReceived: self._receive,
            http2.TrailersReceived: self._receive_trailers,
            http2.StreamClosed: self._end_stream,
            http2.ConnectionClosed: self._end_connection,
        }

    def receive(self, data: bytes | memoryview) -> None:
        """Process bytes from the client.

        Raises:
            http2.ProtocolError: the connection cannot go on, and is to be closed.
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
        """Return what can be sent to the client now; there may be more if `has_more` is true afterwards.

        Raises:
            http2.ProtocolError: the connection cannot go on, and is to be closed.
        """
        data = self.session.data_to_send(_OUTPUT_BYTES)
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

    def settle(self) -> None:
        """End a pass: the calls that go on get timers."""
        self.is_flush_pending = False
        if self._new:
            self._start_timers()

    def request_flush(self) -> None:
        """Note that there may be something to send."""
        self._has_more = True
        if not self.is_flush_pending:
            self.is_flush_pending = True
            self._flush_requested()

    def schedule(self, call: Call) -> None:
        """Start or resume the handler of a call in this pass or the next one."""
        if not call.is_scheduled:
            call.is_scheduled = True
            self._scheduled.append(call)

    def acknowledge(self, stream_id: int, amount: int) -> None:
        """Let the client send as many bytes again."""
        if amount and not self._is_lost:
            try:
                self.session.acknowledge_received_data(amount, stream_id)
            except http2.ProtocolError:  # the session has ended, as an event will say
                return
            self.request_flush()  # a WINDOW_UPDATE frame may be queued

    def hold(self, amount: int) -> None:
        """Count memory for messages: requests that no handler has taken, and large responses that were not read.

        Raises:
            StatusError: this connection, or all together, hold too much. The memory counts until it is released.
        """
        host = self._host
        self._held_bytes += amount
        host.held_bytes += amount
        if host.held_bytes > host.max_held_bytes or self._held_bytes > host.max_held_bytes // _SHARE:
            raise StatusError(
                grpc.StatusCode.RESOURCE_EXHAUSTED,
                f"the server holds {host.held_bytes} bytes of messages, {self._held_bytes} of them of this connection;"
                " try again later",
            )

    def release(self, amount: int) -> None:
        """Count so much memory less."""
        self._held_bytes -= amount
        self._host.held_bytes -= amount

    def _process_events(self) -> None:
        process = self._process
        for event in self.session.events():
            process.get(type(event), self.lifecycle.note)(event)

    def _begin(self, event: http2.RequestReceived) -> None:
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
            _LOGGER.exception("an interceptor or a generic handler failed")
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

    def _end_stream(self, event: http2.StreamClosed) -> None:
        if self.finished_early:
            self.finished_early.pop(event.stream_id, None)
        call = self._calls.pop(event.stream_id, None)
        if call:
            self._close(call, is_delivered=not event.error_code)
        if event.error_code:
            self._check_window()

    def _refuse(self, event: http2.RequestReceived, fields: http2.Headers) -> None:
        with contextlib.suppress(http2.ProtocolError):  # the client has reset the stream, as an event will say
            self.session.send_response(event.stream_id, fields, end_stream=True)
            if not event.end_stream:
                self.finished_early[event.stream_id] = False

    def _receive(self, event: http2.DataReceived) -> None:
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
        with contextlib.suppress(http2.ProtocolError):  # the client has reset the stream, as an event will say
            call.end_early(error.code, error.details)

    def run_scheduled(self, until: float = math.inf) -> None:
        """Start or resume the handlers of the calls that have changed.

        Args:
            until: when to leave the rest for later, by time.perf_counter.
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
            except http2.ProtocolError:  # the session has ended, which the next use of it will say again
                pass
            except Exception:  # one call must not keep the others from being served
                _LOGGER.exception("%s failed on the I/O thread", call.head.path)
                self._end_early(call, StatusError(grpc.StatusCode.INTERNAL, "the server failed"))
            now = time.perf_counter()
            if now - began > _SLOW_HANDLER_SECONDS and call.method.never_blocks:
                _warn(call, now, now - began)

    def note_response(self) -> None:
        """Note that a call has something to send."""
        self.lifecycle.has_sent = self._has_more = True
        if not self.is_flush_pending:
            self.request_flush()

    def _close(self, call: Call, *, is_delivered: bool) -> None:
        self.backpressured.discard(call)
        if call.timer:
            self._host.timers.cancel(call.timer)
        call.close(is_delivered=is_delivered)
        self._host.release_call()
        if call.runner and call.runner.is_waiting:  # which is looked at after its condition has changed
            self.schedule(call)
        self.lifecycle.note_end_of_call()

    def _start_timers(self) -> None:
        for call in self._new:
            if call.deadline is not None and not call.stream_closed:
                call.timer = self._host.timers.add(call.deadline, functools.partial(_expire, call))
        self._new.clear()

    def _check_window(self) -> None:
        """Shut down once much of the receive window is lost.

        nghttp2 does not give back the part of a frame that had come when its stream was closed.
        """
        if http2.CONNECTION_WINDOW_BYTES - self.session.local_window_size > _MAX_LOST_WINDOW_BYTES:
            self.lifecycle.shut_down()

    def _reset_finished(self) -> None:
        """Tell the clients of calls that were finished early to send no more, once they have been sent the status."""
        session = self.session
        for stream_id, has_body in tuple(self.finished_early.items()):
            blocked = session.remote_window_size <= 0 or session.stream_remote_window_size(stream_id) <= 0
            if session.queued_body_size(stream_id) or (has_body and blocked):
                continue
            session.reset_stream(stream_id, ErrorCode.NO_ERROR)
            del self.finished_early[stream_id]
            self.request_flush()

    def end_calls(self, code: grpc.StatusCode, details: str) -> None:
        """End all calls early, since the connection is about to be closed."""
        for call in tuple(self._calls.values()):
            with contextlib.suppress(http2.ProtocolError):  # the session has ended, as an event will say
                call.end_early(code, details, is_closing=True)
        self.run_scheduled()

    def end_stalled_calls(self) -> None:
        """End the calls whose clients have to send or read, but have done neither since this was last called.

        A message counts once it is complete: a client that sends byte by byte must not hold a call for long.
        """
        for call in tuple(self._calls.values()):
            with contextlib.suppress(http2.ProtocolError):  # the session has ended, as an event will say
                call.end_if_stalled()

    def lose(self) -> None:
        """Cancel all calls and free the HTTP/2 session: nothing more is sent."""
        self.lifecycle.cancel_timers()
        self._cancel_calls()
        self.run_scheduled()
        # The objects of a connection refer to each other, and Python's garbage collector, which does not see the memory
        # of nghttp2, may free them much later.
        del self.session

    def _cancel_calls(self) -> None:
        self._is_lost = True
        while self._calls:
            _, call = self._calls.popitem()
            self._close(call, is_delivered=False)

    @property
    def has_calls(self) -> bool:
        """Whether there are calls whose streams are open."""
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
