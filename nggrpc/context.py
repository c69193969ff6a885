"""One call as its handler has it: its requests, its responses, and `grpc.ServicerContext`."""

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

# How much a handler takes before the client may send as much again.
_ACKNOWLEDGED_BYTES = 16 * 1024


class Context(grpc.ServicerContext):
    """What a handler may ask of its call, and tell it. It belongs to the handler.

    Args:
        call: the call; of what the I/O thread changes in it, a handler reads only what is safe to read at any time.
        runner: waits, and has the I/O thread do something, as is right in the thread of the handler.
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
    _taken_bytes = _taken_count = 0  # since the I/O thread was told
    _sent_bytes = 0

    def __init__(self, call: Call, runner: "Runner") -> None:
        """Start with nothing said."""
        self._call = call
        self._runner = runner

    # Requests and responses, for `runners.serve`.

    def only_request(self) -> Any:  # noqa: ANN401
        """Return the one request of a method that has one."""
        return self._take()

    def requests(self) -> Iterator[Any]:
        """Return all requests, as they come.

        Raises:
            grpc.RpcError: the call ended early: its client cancelled it, or its deadline passed.
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
        """Return the next request, which is there.

        Raises:
            grpc.RpcError: the call has ended, perhaps because the request is not valid.
        """
        call = self._call
        try:
            message = call.requests.popleft()
        except IndexError:  # the call was closed just now
            raise grpc.RpcError("the call has ended") from None
        self._taken_bytes += messages.PREFIX_BYTES + len(message[1])
        self._taken_count += 1
        if self._taken_bytes >= _ACKNOWLEDGED_BYTES or (call.needs_room and not call.requests):
            self._runner.run_on_io_thread(call.take, self._taken_bytes, self._taken_count)
            self._taken_bytes = self._taken_count = 0
        try:
            content = messages.decoded(message, call.head.encoding, call.connection.options.max_message_bytes)
        except StatusError as error:
            self._reject(error.code, error.details)
        deserialize = call.method.deserialize
        if not deserialize:
            return content
        try:
            return deserialize(content)
        except Exception:
            _LOGGER.exception("a request of %s cannot be deserialized", call.head.path)
            self._reject(grpc.StatusCode.INTERNAL, "Exception deserializing request!")

    def _reject(self, code: grpc.StatusCode, details: str) -> NoReturn:
        call = self._call
        self._runner.run_on_io_thread(call.end_early, code, details)
        self._runner.wait_until(lambda: call.status_queued)
        raise grpc.RpcError(details)

    def send(self, response: Any) -> bool:  # noqa: ANN401
        """Send one of several responses; wait while too much waits to be sent. Return whether the call goes on."""
        self._begin()
        message = self._encoded(response)
        self._sent_bytes += messages.PREFIX_BYTES + len(message[1])
        self._runner.run_on_io_thread(self._call.write, message)
        self._runner.wait_until(self._has_room_or_end)
        return not self._call.status_queued

    def send_or_finish(self, response: Any) -> None:  # noqa: ANN401
        """Send one of several responses without waiting, from any thread; finish if it is None."""
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
        """Send the only response, or none where the code is not OK, and the status."""
        code = self._code or grpc.StatusCode.OK
        self._finish(code, self._encoded(response) if code is grpc.StatusCode.OK else None)

    def finish(self) -> None:
        """Send the status, after all responses."""
        self._finish(self._code or grpc.StatusCode.OK, None)

    def _finish(self, code: grpc.StatusCode, message: messages.Message | None) -> None:
        if self._is_cancelled:  # the I/O thread was told, and ends the call
            return
        fields = None if self._has_begun else headers.response(self._encoding, self._initial)
        trailers = headers.trailers(code, self._details, self._trailing or ())
        self._runner.run_on_io_thread(self._call.finish, code, fields, message, trailers)

    def fail(self, error: BaseException) -> None:
        """End the call, since its handler raised an error."""
        if isinstance(error, StatusError):
            self._code, self._details = error.code, error.details
        elif not self._is_aborted:
            if isinstance(error, grpc.RpcError) and self._call.status_queued:
                return  # the handler was told that its call has ended
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
        """Return whether the call goes on: it has neither ended nor been cancelled."""
        return not self._call.status_queued

    def time_remaining(self) -> float | None:  # type: ignore[override] # its published type lacks None
        """Return the seconds to the deadline, at least 0; None without a deadline."""
        deadline = self._call.deadline
        return None if deadline is None else max(0, deadline - time.monotonic())

    def cancel(self) -> bool:
        """End the call with the code and the details that were set, by default CANCELLED, from any thread."""
        code = self._code or grpc.StatusCode.CANCELLED
        self._is_cancelled = True
        self._call.connection.post(self._call.end_early, code, self._details)
        return True

    def add_callback(self, callback: "Callable[[], None]") -> bool:
        """Have something called in the I/O thread when the call is over; return False if it is over already."""
        call = self._call
        call.callbacks.append(callback)
        if call.stream_closed:
            try:
                call.callbacks.remove(callback)
            except ValueError:
                return True  # it was called just now
            return False
        return True

    def invocation_metadata(self) -> Metadata:
        """Return the metadata of the request."""
        return self._call.head.metadata

    def peer(self) -> str:
        """Return the address of the client, such as "ipv4:127.0.0.1:51234"."""
        return self._call.connection.peer

    def peer_identities(self) -> Iterable[bytes] | None:
        """Return None: there is no TLS."""
        return None

    def peer_identity_key(self) -> str | None:
        """Return None: there is no TLS."""
        return None

    def auth_context(self) -> Mapping[str, bytes]:
        """Return an empty mapping: there is no TLS."""
        return {}

    def set_compression(self, compression: grpc.Compression) -> None:
        """Compress the responses, if the client accepts that."""
        encoding = messages.NAMES[compression]
        if self._has_begun:
            raise ValueError("the compression has to be set before the response begins")
        if encoding in self._call.head.accepted_encodings:
            self._encoding = encoding

    def disable_next_message_compression(self) -> None:
        """Send the next response uncompressed."""
        self._compresses_next = False

    def send_initial_metadata(self, initial_metadata: Pairs) -> None:
        """Send the response headers now.

        Raises:
            ValueError: they were sent before, or the metadata cannot be sent.
        """
        if self._has_begun:
            raise ValueError("the initial metadata was sent before")
        self._initial = tuple(initial_metadata)
        self._begin()

    def set_trailing_metadata(self, trailing_metadata: Pairs) -> None:
        """Set the metadata to send with the status."""
        self._trailing = tuple(trailing_metadata or ())  # type: ignore[arg-type] # pairs are as good as Metadatum

    def trailing_metadata(self) -> Metadata | None:  # type: ignore[override] # its published type lacks None
        """Return the metadata to send with the status, if it was set."""
        return self._trailing

    def abort(self, code: grpc.StatusCode, details: str) -> NoReturn:
        """End the call with a status.

        Raises:
            Exception: always, without arguments, as grpcio does: it ends the handler.
        """
        if code is grpc.StatusCode.OK:
            _LOGGER.error("abort() was called with StatusCode.OK; the call ends with UNKNOWN")
            code, details = grpc.StatusCode.UNKNOWN, ""
        self.set_details(details)
        self._code, self._is_aborted = code, True
        raise Exception  # noqa: TRY002

    def abort_with_status(self, status: grpc.Status) -> NoReturn:
        """End the call with a status, which may have trailing metadata; see `abort`."""
        self.set_trailing_metadata(status.trailing_metadata)
        self.abort(status.code, status.details)

    def set_code(self, code: grpc.StatusCode) -> None:
        """Set the status code."""
        self._code = code

    def code(self) -> grpc.StatusCode | None:
        """Return the status code: that of the call when it is finished, before that the one that was set."""
        return self._call.code or self._code

    def set_details(self, details: str) -> None:
        """Set the text of the status; bytes are accepted as by grpcio."""
        self._details = details.decode(errors="replace") if isinstance(details, bytes) else str(details)

    def details(self) -> bytes:
        """Return the text of the status."""
        return self._details.encode()
