"""One HTTP/2 connection without its socket: bytes come in, calls are served, bytes go out."""

import contextlib
import functools
import logging
import time
from collections.abc import Callable
from typing import Protocol

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
_LONGEST_SECONDS = 0.1


class Host(Protocol):
    """What a connection needs of the server that it belongs to.

    Attributes:
        options: those of the server.
        timers: those of the I/O thread.
    """

    options: Options
    timers: Timers

    def post(self, function: Callable[..., None], *arguments: object) -> None:
        """Have the I/O thread call a function soon, from any thread."""

    def admit(self, head: headers.RequestHead) -> Method:
        """Count one more call, and return its method.

        Raises:
            StatusError: there is no such method, or there are as many calls as there may be.
        """

    def leave(self) -> None:
        """Count one call less."""

    def start_handler(self, call: Call) -> None:
        """Start the handler of a call."""


class Connection:
    """One connection. It belongs to the I/O thread.

    Data goes one way: `receive` takes bytes, hands them to calls, and starts or resumes the handlers of the calls that
    have changed. These queue frames, which `data_to_send` returns.

    Args:
        host: the server.
        session: its HTTP/2 state.
        peer: the address of the client, such as "ipv4:127.0.0.1:51234".
        touched: is called when there may be something to send, and nobody is about to call `data_to_send`.

    Attributes:
        options: those of the server.
        session: its HTTP/2 state.
        peer: the address of the client.
        full: the calls whose handlers have sent more than their clients read.
        finished_early: the streams whose status was queued before the client had ended its side; true for those that
            have a body.
        has_more: whether there may be something to send.
        is_driven: whether `data_to_send` will be called soon, so that `touch` need not ask for it.
        lifecycle: when the connection is pinged, shut down and closed.
    """

    def __init__(self, host: Host, session: Session, peer: str, touched: Callable[[], None]) -> None:
        """Start without calls."""
        self.options = host.options
        self.session = session
        self.peer = peer
        self.post = host.post
        self.full: set[Call] = set()
        self.finished_early: dict[int, bool] = {}
        self.lifecycle = Lifecycle(self, host.timers)
        self._host = host
        self.has_more = True
        self._touched = touched
        self.is_driven = self._is_lost = False
        self._calls: dict[int, Call] = {}
        self._marked: list[Call] = []
        self._new: list[Call] = []

    def receive(self, data: bytes | memoryview) -> None:
        """Process bytes from the client.

        Raises:
            http2.ProtocolError: the connection cannot go on, and is to be closed.
        """
        self.lifecycle.has_received = True
        self.session.receive_data(data)
        self._process_events()
        self.run_marked()
        self.has_more = True

    def data_to_send(self) -> bytes:
        """Return what can be sent to the client now; there may be more if `has_more` is true afterwards.

        Raises:
            http2.ProtocolError: the connection cannot go on, and is to be closed.
        """
        self.has_more = False
        data = self.session.data_to_send()
        self._process_events()
        for call in tuple(self.full):
            call.queued_bytes = self.session.queued_body_size(call.stream_id)
            if call.queued_bytes < MAX_UNSENT_BYTES:
                self.full.discard(call)
                self.mark(call)
        if self.finished_early:
            self._reset_finished()
        self.run_marked()
        return data

    def settle(self) -> None:
        """End a pass, in which everything was sent that could be: the calls that still go on get timers."""
        self.is_driven = False
        if self._new:
            self._start_timers()

    def touch(self) -> None:
        """Note that there may be something to send."""
        self.has_more = True
        if not self.is_driven:
            self.is_driven = True
            self._touched()

    def mark(self, call: Call) -> None:
        """Start or resume the handler of a call at the end of this pass."""
        if not call.is_marked:
            call.is_marked = True
            self._marked.append(call)

    def acknowledge(self, stream_id: int, amount: int) -> None:
        """Let the client send as many bytes again."""
        if amount and not self._is_lost:
            with contextlib.suppress(http2.ProtocolError):  # the session has ended, as an event will say
                self.session.acknowledge_received_data(amount, stream_id)
                self.touch()  # a WINDOW_UPDATE frame may be queued

    def _process_events(self) -> None:
        calls = self._calls
        for event in self.session.events():
            if isinstance(event, http2.RequestReceived):
                self._begin(event)
            elif isinstance(event, http2.DataReceived):
                call = calls.get(event.stream_id)
                if call is None or call.is_finished:
                    self.acknowledge(event.stream_id, len(event.data))
                else:
                    self._receive(call, event)
            elif isinstance(event, http2.TrailersReceived):
                call = calls.get(event.stream_id)
                if call and not call.is_finished:
                    self._end_requests(call)
            elif isinstance(event, http2.StreamClosed):
                self.finished_early.pop(event.stream_id, None)
                closed = calls.pop(event.stream_id, None)
                if closed:
                    self._close(closed, is_delivered=not event.error_code)
            elif isinstance(event, http2.ConnectionClosed):
                self.lifecycle.is_done = True
                self._cancel_calls()
            else:
                self.lifecycle.note(event)

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
        if call.deadline is not None:
            self._new.append(call)
        if event.end_stream:
            self._end_requests(call)
        elif method.request_streaming:
            self.mark(call)

    def _refuse(self, event: http2.RequestReceived, fields: http2.Headers) -> None:
        with contextlib.suppress(http2.ProtocolError):  # the client has reset the stream, as an event will say
            self.session.send_response(event.stream_id, fields, end_stream=True)
            if not event.end_stream:
                self.finished_early[event.stream_id] = False

    def _receive(self, call: Call, event: http2.DataReceived) -> None:
        try:
            call.receive(event.data, is_last=event.end_stream)
        except StatusError as error:
            self._end_early(call, error)
        if call.is_ready:
            self.mark(call)

    def _end_requests(self, call: Call) -> None:
        try:
            call.end_requests()
        except StatusError as error:
            self._end_early(call, error)
        self.mark(call)

    @staticmethod
    def _end_early(call: Call, error: StatusError) -> None:
        with contextlib.suppress(http2.ProtocolError):  # the client has reset the stream, as an event will say
            call.end_early(error.code, error.details)

    def run_marked(self) -> None:
        """Start or resume the handlers of the calls that have changed."""
        while self._marked:
            marked, self._marked = self._marked, []
            for call in marked:
                call.is_marked = False
                began = time.perf_counter()
                try:
                    if call.runner:
                        call.runner.notify()
                    elif not call.is_finished:
                        self._host.start_handler(call)
                except http2.ProtocolError:  # the session has ended, which the next use of it will say again
                    pass
                except Exception:  # one call must not keep the others from being served
                    _LOGGER.exception("%s failed on the I/O thread", call.head.path)
                    self._end_early(call, StatusError(grpc.StatusCode.INTERNAL, "the server failed"))
                if time.perf_counter() - began > _LONGEST_SECONDS and call.method.never_blocks:
                    _warn(call, time.perf_counter() - began)

    def note_response(self) -> None:
        """Note that a call has something to send."""
        self.lifecycle.has_sent = True
        self.touch()

    def _close(self, call: Call, *, is_delivered: bool) -> None:
        call.acknowledge(call.unacknowledged_bytes)
        self.full.discard(call)
        if call.timer:
            self._host.timers.cancel(call.timer)
        call.close(is_delivered=is_delivered)
        self._host.leave()
        if call.runner:
            self.mark(call)
        self.lifecycle.note_end_of_call()

    def _start_timers(self) -> None:
        for call in self._new:
            if not call.is_over and call.deadline is not None:
                call.timer = self._host.timers.add(call.deadline, functools.partial(_expire, call))
        self._new.clear()

    def _reset_finished(self) -> None:
        """Tell the clients of calls that were finished early to send no more, once they have been sent the status."""
        session = self.session
        for stream_id, has_body in tuple(self.finished_early.items()):
            blocked = session.remote_window_size <= 0 or session.stream_remote_window_size(stream_id) <= 0
            if session.queued_body_size(stream_id) or (has_body and blocked):
                continue
            session.reset_stream(stream_id, ErrorCode.NO_ERROR)
            del self.finished_early[stream_id]
            self.touch()

    def end_calls(self, code: grpc.StatusCode, details: str) -> None:
        """End all calls early, since the connection is about to be closed."""
        for call in tuple(self._calls.values()):
            call.end_early(code, details, is_closing=True)
        self.run_marked()

    def lose(self) -> None:
        """Note that the socket was closed: the calls are cancelled."""
        self.lifecycle.end()
        self._cancel_calls()
        self.run_marked()

    def _cancel_calls(self) -> None:
        self._is_lost = True
        while self._calls:
            _, call = self._calls.popitem()
            self._close(call, is_delivered=False)

    @property
    def has_calls(self) -> bool:
        """Whether there are calls that are not over."""
        return bool(self._calls)


def _warn(call: Call, seconds: float) -> None:
    _LOGGER.warning(
        "%s kept all other calls waiting for %.1f s: it must not be marked @never_blocks", call.head.path, seconds
    )


def _expire(call: Call) -> None:
    call.end_early(grpc.StatusCode.DEADLINE_EXCEEDED, "Deadline Exceeded")
