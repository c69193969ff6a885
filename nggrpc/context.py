"""The handler's view of a call: its requests and responses, and `grpc.ServicerContext`."""

import logging
import time
from collections.abc import Iterable, Iterator, Mapping
from typing import TYPE_CHECKING, Any, NoReturn

import grpc

from nggrpc import headers, messages
from nggrpc.call import MAX_UNSENT_BYTES, Call
from nggrpc.errors import StatusError
from nggrpc.headers import Metadata, Pairs

if TYPE_CHECKING:
    from collections.abc import Callable

    from nggrpc.runners import Runner

_LOGGER = logging.getLogger(__name__)

# Number of bytes that a handler takes before they are acknowledged to the client.
_ACKNOWLEDGED_BYTES = 16 * 1024


class Context(grpc.ServicerContext):
    """The context of a call. It is used in the thread of the handler.

    Args:
        call: the call. The context reads only those of its attributes that are safe to read from any thread.
        runner: waits and calls functions on the I/O thread, in the way that suits the thread of the handler.
    """

    _code: grpc.StatusCode | None = None
    _details = ""
    _initial: Pairs = ()
    _trailing: Metadata | None = None
    _encoding = "identity"
    _compresses_next = True
    _has_begun = False
    _is_aborted = False
    _is_cancelled = False
    _taken_bytes = _taken_count = 0  # not yet reported to the I/O thread
    _sent_bytes = 0

    def __init__(self, call: Call, runner: "Runner") -> None:
        """Create a context without a status or metadata."""
        self._call = call
        self._runner = runner

    # Requests and responses, used by `runners.serve`.

    def only_request(self) -> Any:  # noqa: ANN401
        """Return the only request of a call without request streaming."""
        return self._take()

    def requests(self) -> Iterator[Any]:
        """Yield the requests as they arrive.

        Raises:
            grpc.RpcError: the call ended early, such as by cancellation or at its deadline.
        """
        while True:
            self._runner.wait_until(self._has_request_or_end)
            if self._call.status_queued:
                raise grpc.RpcError("the call has ended")
            if not self._call.requests:
                return
            yield self._take()

    def _has_request_or_end(self) -> bool:
        call = self._call
        return bool(call.requests or call.has_all_requests or call.status_queued)

    def _take(self) -> Any:  # noqa: ANN401
        """Return the next request, which must have arrived.

        Raises:
            grpc.RpcError: the call has ended, possibly because the request is invalid.
        """
        call = self._call
        try:
            message = call.requests.popleft()
        except IndexError:  # the I/O thread has just closed the call
            raise grpc.RpcError("the call has ended") from None
        self._taken_bytes += messages.PREFIX_BYTES + len(message[1])
        self._taken_count += 1
        if self._taken_bytes >= _ACKNOWLEDGED_BYTES or (call.needs_room and not call.requests):
            self._runner.run_on_io_thread(call.take, self._taken_bytes, self._taken_count)
            self._taken_bytes = self._taken_count = 0
        try:
            content = messages.decoded(message, call.head.encoding, call.connection.options.max_message_bytes)
        except StatusError as error:
            self._reject(error)
        deserialize = call.method.deserialize
        if not deserialize:
            return content
        try:
            return deserialize(content)
        except Exception:
            _LOGGER.exception("a request of %s cannot be deserialized", call.head.path)
            self._reject(StatusError(grpc.StatusCode.INTERNAL, "Exception deserializing request!"))

    def _reject(self, error: StatusError) -> NoReturn:
        call = self._call
        self._runner.run_on_io_thread(call.end_early, error.code, error.details, error.headers)
        self._runner.wait_until(lambda: call.status_queued)
        raise grpc.RpcError(error.details)

    def send(self, response: Any) -> bool:  # noqa: ANN401
        """Send one of several responses, and wait while too much is unsent; return whether the call is still active."""
        self._begin()
        message = self._encoded(response)
        self._sent_bytes += messages.PREFIX_BYTES + len(message[1])
        self._runner.run_on_io_thread(self._call.write, message)
        self._runner.wait_until(self._has_room_or_end)
        return not self._call.status_queued

    def send_or_finish(self, response: Any) -> None:  # noqa: ANN401
        """Send one of several responses without waiting, or finish if it is None; safe to call from any thread."""
        if response is None:
            self.finish()
        else:
            self._begin()
            self._runner.run_on_io_thread(self._call.write, self._encoded(response))

    def _has_room_or_end(self) -> bool:
        call = self._call
        return self._sent_bytes - call.written_bytes + call.queued_bytes < MAX_UNSENT_BYTES or call.status_queued

    def _begin(self) -> None:
        if not self._has_begun:
            fields = headers.response(self._encoding, self._initial)
            self._has_begun = True
            self._runner.run_on_io_thread(self._call.begin, fields)

    def _encoded(self, response: Any) -> messages.Message:  # noqa: ANN401
        serialize = self._call.method.serialize
        try:
            data = serialize(response) if serialize else response
        except Exception as error:
            _LOGGER.exception("a response of %s cannot be serialized", self._call.head.path)
            raise StatusError(grpc.StatusCode.INTERNAL, "Failed to serialize response!") from error
        encoding = self._encoding if self._compresses_next else "identity"
        self._compresses_next = True
        return messages.encoded(data, encoding)

    def respond(self, response: Any) -> None:  # noqa: ANN401
        """Send the status, preceded by the only response if the status is OK."""
        code = self._code or grpc.StatusCode.OK
        self._finish(code, self._encoded(response) if code is grpc.StatusCode.OK else None)

    def finish(self) -> None:
        """Send the status after all responses."""
        self._finish(self._code or grpc.StatusCode.OK, None)

    def _finish(self, code: grpc.StatusCode, message: messages.Message | None) -> None:
        if self._is_cancelled:  # `cancel` has made the I/O thread end the call
            return
        fields = None if self._has_begun else headers.response(self._encoding, self._initial)
        trailers = headers.trailers(code, self._details, self._trailing or ())
        self._runner.run_on_io_thread(self._call.finish, code, fields, message, trailers)

    def fail(self, error: BaseException) -> None:
        """End the call with the status for an exception that its handler raised."""
        if isinstance(error, StatusError):
            self._code, self._details = error.code, error.details
        elif not self._is_aborted:
            if isinstance(error, grpc.RpcError) and self._call.status_queued:
                return  # raised by `requests`: the call has ended already
            _LOGGER.error("%s raised an exception", self._call.head.path, exc_info=error)
            self._code, self._details = grpc.StatusCode.UNKNOWN, f"Exception calling application: {error}"
        try:
            self._finish(self._code or grpc.StatusCode.UNKNOWN, None)
        except Exception:
            _LOGGER.exception("the status of %s cannot be sent", self._call.head.path)
            self._initial, self._trailing, self._details = (), None, "the status cannot be sent"
            self._finish(grpc.StatusCode.INTERNAL, None)

    # grpc.ServicerContext.

    def is_active(self) -> bool:
        """Return whether the call has neither ended nor been cancelled."""
        return not self._call.status_queued

    def time_remaining(self) -> float | None:  # type: ignore[override] # its published type lacks None
        """Return the seconds until the deadline, at least 0; None without a deadline."""
        deadline = self._call.deadline
        return None if deadline is None else max(0, deadline - time.monotonic())

    def cancel(self) -> bool:
        """End the call with the code (default: CANCELLED) and details that were set; safe to call from any thread."""
        code = self._code or grpc.StatusCode.CANCELLED
        self._is_cancelled = True
        self._call.connection.post(self._call.end_early, code, self._details)
        return True

    def add_callback(self, callback: "Callable[[], None]") -> bool:
        """Add a function to call on the I/O thread when the call ends; return False if it has ended already."""
        call = self._call
        call.callbacks.append(callback)
        if call.stream_closed:
            try:
                call.callbacks.remove(callback)
            except ValueError:
                return True  # it has just been called
            return False
        return True

    def invocation_metadata(self) -> Metadata:
        """Return the metadata of the request."""
        return self._call.head.metadata

    def peer(self) -> str:
        """Return the address of the client, such as "ipv4:127.0.0.1:51234"."""
        return self._call.connection.peer

    def peer_identities(self) -> Iterable[bytes] | None:
        """Return None, since nggrpc does not support TLS."""
        return None

    def peer_identity_key(self) -> str | None:
        """Return None, since nggrpc does not support TLS."""
        return None

    def auth_context(self) -> Mapping[str, bytes]:
        """Return an empty mapping, since nggrpc does not support TLS."""
        return {}

    def set_compression(self, compression: grpc.Compression) -> None:
        """Compress the responses, if the client accepts the encoding.

        Raises:
            ValueError: the response headers have already been sent.
        """
        encoding = messages.NAMES[compression]
        if self._has_begun:
            raise ValueError("the compression must be set before the response headers are sent")
        if encoding in self._call.head.accepted_encodings:
            self._encoding = encoding

    def disable_next_message_compression(self) -> None:
        """Send the next response uncompressed."""
        self._compresses_next = False

    def send_initial_metadata(self, initial_metadata: Pairs) -> None:
        """Send the response headers now.

        Raises:
            ValueError: the headers have already been sent, or the metadata is invalid.
        """
        if self._has_begun:
            raise ValueError("the initial metadata has already been sent")
        self._initial = tuple(initial_metadata)
        self._begin()

    def set_trailing_metadata(self, trailing_metadata: Pairs) -> None:
        """Set the metadata to send with the status."""
        self._trailing = tuple(trailing_metadata or ())  # type: ignore[arg-type] # plain pairs are accepted, too

    def trailing_metadata(self) -> Metadata | None:  # type: ignore[override] # its published type lacks None
        """Return the metadata to send with the status, if it was set."""
        return self._trailing

    def abort(self, code: grpc.StatusCode, details: str) -> NoReturn:
        """End the call with a status.

        Raises:
            Exception: always, to end the handler; like grpcio's, it has no arguments.
        """
        if code is grpc.StatusCode.OK:
            _LOGGER.error("abort() was called with StatusCode.OK; the call ends with UNKNOWN")
            code, details = grpc.StatusCode.UNKNOWN, ""
        self.set_details(details)
        self._code, self._is_aborted = code, True
        raise Exception  # noqa: TRY002

    def abort_with_status(self, status: grpc.Status) -> NoReturn:
        """End the call with a status that may have trailing metadata; see `abort`."""
        self.set_trailing_metadata(status.trailing_metadata)
        self.abort(status.code, status.details)

    def set_code(self, code: grpc.StatusCode) -> None:
        """Set the status code."""
        self._code = code

    def code(self) -> grpc.StatusCode | None:
        """Return the status code of a finished call; before that, the code that was set, if any."""
        return self._call.code or self._code

    def set_details(self, details: str) -> None:
        """Set the status message; like grpcio, accept bytes, too."""
        self._details = details.decode(errors="replace") if isinstance(details, bytes) else str(details)

    def details(self) -> bytes:
        """Return the status message."""
        return self._details.encode()
