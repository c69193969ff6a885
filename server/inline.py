"""A call that is answered inline, as its handler sees it: while it waits, the thread goes on with other calls."""

import logging
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any, NoReturn, TypeAlias

import greenlet
import grpc
from grpc import _common, _compression  # type: ignore[attr-defined] # its published types leave it out
from grpc._cython import cygrpc  # type: ignore[import-not-found]

_LOGGER = logging.getLogger(__name__)

_Metadata: TypeAlias = tuple[tuple[str, str | bytes], ...]

_NO_FLAGS = 0
_EMPTY_METADATA = cygrpc.SendInitialMetadataOperation((), _NO_FLAGS)
_FAILED = b"the server failed at this call"
_WELL = cygrpc.SendStatusFromServerOperation((), cygrpc.StatusCode.ok, b"", _NO_FLAGS)


class Fiber(greenlet.greenlet):
    """The stack of a handler, which it keeps while it waits: the tag of what it waits for.

    Attributes:
        method: what it answers a call of.
    """

    method: Any


class InlineContext(grpc.ServicerContext):
    """A call, over a completion queue that one thread alone reads.

    Args:
        event: what grpc tells of its beginning.
        fiber: what answers it.
        wait: has the thread go on with other calls until the fiber has what it waits for, and returns that.
        streams: whether there may be more than one message either way: then its client may leave before the end.

    Attributes:
        client: "cancelled" when the client does not wait any more, or the call was ended before its time.
    """

    client = "open"
    _code: grpc.StatusCode | None = None
    _details: bytes | None = None
    _initial: _Metadata = ()
    _trailing: _Metadata | None = None
    _flags = _NO_FLAGS
    _has_begun = False
    _has_ended = False
    _is_aborted = False

    def __init__(self, event: Any, fiber: Fiber, wait: Callable[[], Any], *, streams: bool) -> None:  # noqa: ANN401
        """Begin a call."""
        self._rpc_event = event
        self._start = event.call.start_server_batch
        self._fiber = fiber
        self._wait = wait
        self._streams = streams
        self._callbacks: list[Callable[[], None]] | None = []
        if streams:
            self._start((cygrpc.ReceiveCloseOnServerOperation(_NO_FLAGS),), self)

    # What its handler may ask and say: as with grpc's own.

    @property
    def _state(self) -> "InlineContext":
        return self  # where grpc's own context says whether the client has cancelled

    def is_active(self) -> bool:
        """Return whether it has neither ended nor been cancelled."""
        return not self._has_ended and self.client != "cancelled"

    def time_remaining(self) -> float:
        """Return how many seconds there are to its deadline."""
        deadline: float = self._rpc_event.call_details.deadline
        return max(deadline - time.time(), 0)

    def cancel(self) -> bool:
        """End it."""
        self._rpc_event.call.cancel()
        return True

    def add_callback(self, callback: Callable[[], None]) -> bool:
        """Have something called when it is over; return whether it is not."""
        if self._callbacks is None:
            return False
        self._callbacks.append(callback)
        return True

    def invocation_metadata(self) -> _Metadata:
        """Return what came with it."""
        metadata: _Metadata = self._rpc_event.invocation_metadata
        return metadata

    def peer(self) -> str:
        """Return where it came from."""
        peer: bytes = self._rpc_event.call.peer()
        return peer.decode()

    def peer_identities(self) -> Iterable[bytes] | None:
        """Return who its client has proved to be, by TLS."""
        identities: Iterable[bytes] | None = cygrpc.peer_identities(self._rpc_event.call)
        return identities

    def peer_identity_key(self) -> str | None:
        """Return by which property."""
        key: bytes | None = cygrpc.peer_identity_key(self._rpc_event.call)
        return None if key is None else key.decode()

    def auth_context(self) -> Mapping[str, Any]:
        """Return all those properties."""
        properties = cygrpc.auth_context(self._rpc_event.call) or {}
        return {_common.decode(key): value for key, value in properties.items()}

    def code(self) -> grpc.StatusCode | None:
        """Return its status, if it has one."""
        return self._code

    def details(self) -> bytes | None:
        """Return the text of its status, if it has one."""
        return self._details

    def trailing_metadata(self) -> _Metadata | None:  # type: ignore[override] # as grpc's own
        """Return what is to be sent after the answer, if anything was said of it."""
        return self._trailing

    def set_compression(self, compression: grpc.Compression) -> None:
        """Have the answer compressed."""
        self._initial = (*self._initial, _compression.compression_algorithm_to_metadata(compression))

    def disable_next_message_compression(self) -> None:
        """Have the next message go as it is."""
        self._flags = cygrpc.WriteFlag.no_compress

    def send_initial_metadata(self, initial_metadata: _Metadata) -> None:
        """Send metadata: of a stream now, otherwise before the answer, which comes as soon as may be.

        Raises:
            ValueError: some has been sent.
        """
        if self._has_begun:
            raise ValueError("the initial metadata has been sent")
        self._initial = (*self._initial, *initial_metadata)
        if self._streams:
            self._start(self._beginning(), self._fiber)
            self._has_begun = True
            self._wait()

    def set_trailing_metadata(self, trailing_metadata: _Metadata) -> None:
        """Have metadata sent after the answer."""
        self._trailing = tuple(trailing_metadata)

    def set_code(self, code: grpc.StatusCode) -> None:
        """Set its status."""
        self._code = code

    def set_details(self, details: str) -> None:
        """Set the text of its status."""
        self._details = details.encode()

    def abort_with_status(self, status: grpc.Status) -> NoReturn:
        """End it; see `abort`."""
        self._trailing = tuple(status.trailing_metadata or ())
        self.abort(status.code, status.details)

    def abort(self, code: grpc.StatusCode, details: str) -> NoReturn:
        """End it.

        Raises:
            Exception: always, and without a word, as grpc's own.
        """
        self._code, self._details = code, details.encode()
        if code is grpc.StatusCode.OK:
            self._code, self._details = grpc.StatusCode.UNKNOWN, b""
        self._is_aborted = True
        raise Exception  # noqa: TRY002

    # What its fiber does with it.

    def crash(self, error: Exception) -> bool:
        """Give it the status of a handler that failed; return whether it is none that was meant, or has no client."""
        if self._is_aborted or (isinstance(error, grpc.RpcError) and self.client == "cancelled"):
            return False
        self._code, self._details = grpc.StatusCode.UNKNOWN, _FAILED
        return True

    def __iter__(self) -> Iterator[bytes]:
        """Return its messages as they come."""
        return self

    def __next__(self) -> bytes:
        """Wait for the next message.

        Raises:
            grpc.RpcError: its client has left, or it was ended.
            StopIteration: there will be none.
        """
        self._start((cygrpc.ReceiveMessageOperation(_NO_FLAGS),), self._fiber)
        message: bytes | None = self._wait().batch_operations[0].message()
        if message is not None:
            return message
        raise grpc.RpcError if self.client == "cancelled" else StopIteration

    def send(self, message: bytes, *, waits: bool) -> bool:
        """Send one of several messages; return whether anybody is there to read it.

        Args:
            message: it.
            waits: whether it may wait for the next, to go with it: otherwise each is a packet of its own.
        """
        flags = self._flags | cygrpc.WriteFlag.buffer_hint if waits else self._flags
        self._start((*self._beginning(), cygrpc.SendMessageOperation(message, flags)), self._fiber)
        self._has_begun = True
        self._flags = _NO_FLAGS
        return bool(self._wait().success)

    def end(self, message: bytes | None) -> None:
        """Send a last message, if there is one, and the status; what comes of it is for `heard`."""
        operations = [] if self._streams else [cygrpc.ReceiveCloseOnServerOperation(_NO_FLAGS)]
        operations += self._beginning()
        if message is not None:
            operations.append(cygrpc.SendMessageOperation(message, self._flags))
        if self._code is None and not self._trailing and not self._details:
            operations.append(_WELL)
        else:
            [number, _] = (self._code or grpc.StatusCode.OK).value
            status = (self._trailing or (), number, self._details or b"", _NO_FLAGS)
            operations.append(cygrpc.SendStatusFromServerOperation(*status))
        self._start(operations, self)
        self._has_ended = True

    def heard(self, event: Any) -> None:  # noqa: ANN401
        """Take note of how it was closed; that a stream's status has been sent says nothing of that."""
        operation = event.batch_operations[0]
        if not isinstance(operation, cygrpc.ReceiveCloseOnServerOperation):
            return
        if operation.cancelled():
            self.client = "cancelled"
        callbacks, self._callbacks = self._callbacks, None
        for callback in callbacks or ():
            try:
                callback()
            except Exception:  # the others are to be called, too
                _LOGGER.exception("What was to be done at the end of a call failed")

    def end_plainly(self) -> None:
        """Send a status alone, where what the handler wanted sent cannot be."""
        self._initial, self._trailing = (), ()
        self._code, self._details = grpc.StatusCode.UNKNOWN, _FAILED
        self.end(None)

    def _beginning(self) -> tuple[Any, ...]:
        if self._has_begun:
            return ()
        return (cygrpc.SendInitialMetadataOperation(self._initial, _NO_FLAGS) if self._initial else _EMPTY_METADATA,)
