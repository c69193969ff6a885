"""A gRPC server that answers calls which never block on the thread that reads them.

grpc's own server hands every call to a thread of a pool, and that thread waits until the reading one has its message:
for a small call that is most of what it costs. Here the reading thread answers such a call itself, with two batches of
operations; all others go grpc's own way, over the same connections. What grpc keeps to itself is used for that, so it
is pinned, and a test says so when it changes.
"""

import logging
import threading
import time
from collections.abc import Callable, Iterable, Sequence
from concurrent import futures
from typing import Any, NoReturn, Protocol, TypeVar

import grpc
from grpc import _compression, _server  # type: ignore[attr-defined] # its published types leave it out
from grpc._cython import cygrpc  # type: ignore[import-not-found]

_LOGGER = logging.getLogger(__name__)

_NO_FLAGS = 0
_POLL_SECONDS = 1.0
# How many calls of a method may begin before the loop comes round to ask for more.
_AHEAD = 16
_WORK = "calls that are answered here"
_STARTED = _server._ServerStage.STARTED  # noqa: SLF001


class Ended(Exception):  # noqa: N818 - it is no error
    """A call was ended by its handler, with a status that its context knows."""


F = TypeVar("F", bound=Callable[..., Any])


def never_blocks(method: F) -> F:
    """Mark a servicer's method as one that never blocks, so that it may be answered by the thread that reads."""
    method.never_blocks = True  # type: ignore[attr-defined]
    return method


class Inline(Protocol):
    """What answers the calls of a unary method, without ever blocking."""

    def begin(self, context: "InlineContext") -> None:
        """Take note of a call; raise Ended, by its context, to refuse it."""

    def answer(self, context: "InlineContext", message: bytes | None) -> bytes:
        """Return the answer to a message, or to none; raise Ended, by the context, for another status."""

    def over(self, context: "InlineContext") -> None:
        """Take note that a call has ended, and that its status is certain."""


class InlineContext:
    """What a handler is told of a call, and tells: as much of grpc.ServicerContext as such a handler needs.

    Attributes:
        client: "cancelled" when the client does not wait any more, or the call was ended before its time.
        call: whatever the method's `begin` wants to remember.
    """

    __slots__ = ("_code", "_details", "_initial", "_rpc_event", "_trailing", "call", "client")

    def __init__(self, event: Any) -> None:  # noqa: ANN401 - grpc's own
        """Begin a call."""
        self._rpc_event = event
        self._code: grpc.StatusCode | None = None
        self._details = b""
        self._initial: tuple[tuple[str, str | bytes], ...] = ()
        self._trailing: tuple[tuple[str, str | bytes], ...] = ()
        self.client = "open"
        self.call: Any = None

    @property
    def _state(self) -> "InlineContext":
        return self  # where grpc's own context says whether the client has cancelled

    def invocation_metadata(self) -> Sequence[tuple[str, str | bytes]]:
        """Return what came with the call."""
        metadata: Sequence[tuple[str, str | bytes]] = self._rpc_event.invocation_metadata
        return metadata

    def peer(self) -> str:
        """Return where it came from."""
        peer: bytes = self._rpc_event.call.peer()
        return peer.decode()

    def time_remaining(self) -> float:
        """Return how many seconds there are to its deadline."""
        deadline: float = self._rpc_event.call_details.deadline
        return max(deadline - time.time(), 0)

    def code(self) -> grpc.StatusCode | None:
        """Return its status, if it has one."""
        return self._code

    def send_initial_metadata(self, metadata: Iterable[tuple[str, str | bytes]]) -> None:
        """Have metadata sent before the answer."""
        self._initial += tuple(metadata)

    def set_trailing_metadata(self, metadata: Iterable[tuple[str, str | bytes]]) -> None:
        """Have metadata sent after the answer."""
        self._trailing = tuple(metadata)

    def set_compression(self, compression: grpc.Compression) -> None:
        """Have the answer compressed."""
        self._initial += (_compression.compression_algorithm_to_metadata(compression),)

    def set_code(self, code: grpc.StatusCode) -> None:
        """Set its status."""
        self._code = code

    def set_details(self, details: str) -> None:
        """Set the text of its status."""
        self._details = details.encode()

    def abort_with_status(self, status: grpc.Status) -> NoReturn:
        """End it."""
        self._trailing = tuple(status.trailing_metadata or ())
        self.abort(status.code, status.details)

    def abort(self, code: grpc.StatusCode, details: str) -> NoReturn:
        """End it."""
        self._code, self._details = code, details.encode()
        raise Ended

    def operations(self, message: bytes | None) -> tuple[Any, ...]:
        """Return what sends an answer, or none, and its status."""
        sent = () if message is None else (cygrpc.SendMessageOperation(message, _NO_FLAGS),)
        initial = cygrpc.SendInitialMetadataOperation(self._initial, _NO_FLAGS) if self._initial else _EMPTY_METADATA
        if self._code is None and not self._trailing:
            return (initial, *sent, _WELL)
        [number, _] = (self._code or grpc.StatusCode.OK).value
        status = cygrpc.SendStatusFromServerOperation(self._trailing, number, self._details, _NO_FLAGS)
        return (initial, *sent, status)


class _Begins:
    """The tag of a method's calls that are yet to come."""

    __slots__ = ("inline", "method")

    def __init__(self, method: str, inline: Inline) -> None:
        self.method = method
        self.inline = inline


class _Reads:
    """The tag of a call whose message is yet to come."""

    __slots__ = ("context", "inline")

    def __init__(self, context: InlineContext, inline: Inline) -> None:
        self.context = context
        self.inline = inline


class _Ends:
    """The tag of a call whose status is on its way."""

    __slots__ = ("context", "inline")

    def __init__(self, context: InlineContext, inline: Inline) -> None:
        self.context = context
        self.inline = inline


def _end_with(context: InlineContext, error: Exception) -> None:
    """Give a call its status, as grpc's own server does, if its handler has not done so."""
    if not isinstance(error, Ended):
        _LOGGER.error("A call that is answered inline crashed", exc_info=error)
        context.set_code(grpc.StatusCode.UNKNOWN)
        context.set_details("the server failed at this call")


_EMPTY_METADATA = cygrpc.SendInitialMetadataOperation((), _NO_FLAGS)
_WELL = cygrpc.SendStatusFromServerOperation((), cygrpc.StatusCode.ok, b"", _NO_FLAGS)


class InlineServer(_server._Server):  # type: ignore[misc] # noqa: SLF001
    """grpc's own server, but for the methods that are answered inline.

    Args:
        thread_pool: for all other methods.
        inline: returns what answers a method that is marked as never blocking.
        interceptors: for all other methods.
        options: as for grpc.server.
        maximum_concurrent_rpcs: of all other methods.
    """

    def __init__(
        self,
        thread_pool: futures.ThreadPoolExecutor,
        inline: Callable[[str, "grpc.RpcMethodHandler[Any, Any]"], Inline],
        interceptors: Sequence[grpc.ServerInterceptor],
        options: Sequence[tuple[str, Any]],
        maximum_concurrent_rpcs: int,
    ) -> None:
        """Take no port, and start nothing."""
        super().__init__(thread_pool, (), interceptors, options, maximum_concurrent_rpcs, None, xds=False)
        self._make = inline
        self._inline: dict[str, Inline] = {}
        self._pending = 0  # calls that are asked for, or under way; the loop's own

    def add_registered_method_handlers(
        self, service_name: str, method_handlers: "dict[str, grpc.RpcMethodHandler[Any, Any]]"
    ) -> None:
        """Add a service, as its generated code does."""
        super().add_registered_method_handlers(service_name, method_handlers)
        for name, handler in method_handlers.items():
            if getattr(handler.unary_unary, "never_blocks", False):
                path = f"/{service_name}/{name}"
                self._inline[path] = self._make(path, handler)

    def start(self) -> None:
        """Start to serve."""
        state = self._state
        with state.lock:
            if state.stage is not _server._ServerStage.STOPPED:  # noqa: SLF001
                raise ValueError("the server has been started before")
            state.server.start()
            state.stage = _STARTED
            for method in state.registered_method_handlers.keys() - self._inline.keys():
                _server._request_registered_call(state, method)  # noqa: SLF001
            _server._request_call(state)  # noqa: SLF001
            state.due.add(_WORK)
        threading.Thread(target=self._serve, name="engine", daemon=True).start()

    def _serve(self) -> None:
        state, poll = self._state, self._state.completion_queue.poll
        for method, inline in self._inline.items():
            tag = _Begins(method, inline)
            for _ in range(_AHEAD):
                self._ask(tag)
        work: dict[type, Callable[[Any, Any], None]] = {_Begins: self._begin, _Reads: self._answer, _Ends: self._end}
        while True:
            event = poll(time.time() + _POLL_SECONDS)
            if mine := work.get(event.tag.__class__):
                mine(event.tag, event)
            elif event.completion_type == cygrpc.CompletionType.queue_timeout:
                if state.server_deallocated:
                    _server._begin_shutdown_once(state)  # noqa: SLF001
            elif not _server._process_event_and_continue(state, event):  # noqa: SLF001
                return
            if not self._pending and self._has_ended():
                return
            del event  # or the next poll would keep a call alive that is over

    def _ask(self, tag: _Begins) -> None:
        """Ask for one more call of a method, unless the server is to stop."""
        state = self._state
        with state.lock:
            if state.stage is _STARTED:
                state.server.request_registered_call(state.completion_queue, state.completion_queue, tag.method, tag)
                self._pending += 1

    def _begin(self, tag: _Begins, event: Any) -> None:  # noqa: ANN401
        self._pending -= 1
        if not event.success:  # the server is shutting down
            return
        self._ask(tag)
        context = InlineContext(event)
        try:
            tag.inline.begin(context)
        except Exception as error:  # noqa: BLE001 - whatever it is, the loop goes on
            _end_with(context, error)
            self._send(tag.inline, context, None)
            return
        event.call.start_server_batch((cygrpc.ReceiveMessageOperation(_NO_FLAGS),), _Reads(context, tag.inline))
        self._pending += 1

    def _answer(self, tag: _Reads, event: Any) -> None:  # noqa: ANN401
        self._pending -= 1
        message: bytes | None
        try:
            message = tag.inline.answer(tag.context, event.batch_operations[0].message())
        except Exception as error:  # noqa: BLE001 - whatever it is, the loop goes on
            _end_with(tag.context, error)
            message = None
        self._send(tag.inline, tag.context, message)

    def _send(self, inline: Inline, context: InlineContext, message: bytes | None) -> None:
        close = cygrpc.ReceiveCloseOnServerOperation(_NO_FLAGS)
        operations = (close, *context.operations(message))
        context._rpc_event.call.start_server_batch(operations, _Ends(context, inline))  # noqa: SLF001
        self._pending += 1

    def _end(self, tag: _Ends, event: Any) -> None:  # noqa: ANN401
        self._pending -= 1
        if event.batch_operations[0].cancelled():
            tag.context.client = "cancelled"
        tag.inline.over(tag.context)

    def _has_ended(self) -> bool:
        """Say that nothing is left to be done here; return whether that is so of everything."""
        state = self._state
        with state.lock:
            state.due.discard(_WORK)
            ended: bool = _server._stop_serving(state)  # noqa: SLF001
            return ended
