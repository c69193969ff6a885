"""One call: its messages, its status, and what the access log says of it."""

import functools
import logging
import math
import os
import time
from collections.abc import Callable, Iterator
from typing import Any, NoReturn

import grpc
from google.protobuf.message import DecodeError

from server import statuses, tracing
from server.errors import CalculatorError, MalformedMessageError, MissingMessageError, UnknownMethodError

_LOGGER = logging.getLogger(__name__)

_EXPIRED = "the call took longer than this server lets any call take"

_FAR_FUTURE_SECONDS = 10 * 365 * 24 * 3600

# A client can make up names as long as it likes, and each is a line in the log.
_LONGEST_UNKNOWN_METHOD = 100


class Call:
    """One call, from its metadata to its status.

    Attributes:
        method: its path, such as "/calculator.v1.Calculator/Calculate".
        is_known: whether the server has such a method; if not, its name is whatever a client made up.
        context: grpc's.
        peer: where it came from, as grpc says it.
        trace: where in a trace it is, if in any.
        caller: whose identity token it came with, by e-mail address, if that was checked.
        refusal: why it has no good identity token, if that was asked for.
        received_bytes: how long the messages were that came, so far.
        sent_bytes: how long those were that went.
        is_stopped: whether it was still going on when the server had to end.
        is_cut: whether it ended before its servicer was done.
    """

    caller: str | None = None
    refusal: str | None = None
    received_bytes = 0
    sent_bytes = 0
    is_stopped = False
    is_cut = False
    _is_expired = False

    def __init__(
        self,
        method: str,
        handler: "grpc.RpcMethodHandler[Any, Any]",
        context: grpc.ServicerContext,
        *,
        is_known: bool = True,
    ) -> None:
        """Start the clock."""
        self.method = method if is_known else method[:_LONGEST_UNKNOWN_METHOD]
        self.is_known = is_known
        self.context = context
        self.peer = context.peer()  # when the call is over it may be gone
        self.trace = tracing.of_metadata(context.invocation_metadata())
        self._handler = handler
        self._began = time.perf_counter()

    @property
    def duration(self) -> float:
        """How long it has taken so far, in seconds."""
        return time.perf_counter() - self._began

    @property
    def status(self) -> grpc.StatusCode:
        """How it ended, or would if it ended now."""
        if self._is_expired:
            return grpc.StatusCode.DEADLINE_EXCEEDED
        code: grpc.StatusCode | None = self.context.code()  # type: ignore[attr-defined] # its published type lacks it
        if code:
            return code
        # nggrpc has a code for every call that has ended. grpcio has the one that the servicer has set, if it has.
        if self.is_stopped:  # its servicer may have taken that for the end of the requests
            return grpc.StatusCode.UNAVAILABLE  # as its client is told
        if self.is_cut:
            return grpc.StatusCode.DEADLINE_EXCEEDED if self.deadline_left_ms == 0 else grpc.StatusCode.CANCELLED
        return grpc.StatusCode.OK

    def when_over(self, callback: "Callable[[Call], None]") -> None:
        """Call back when it has ended and its status is certain: a servicer may well have ended before."""
        if not self.context.add_callback(functools.partial(callback, self)):
            callback(self)

    @property
    def deadline_left_ms(self) -> int | None:
        """How many milliseconds there are to the deadline that its client set, if it did."""
        left = self.context.time_remaining()
        if left is None or left > _FAR_FUTURE_SECONDS:  # a call without a deadline has one that far away
            return None
        return math.ceil(left * 1000)

    def receive(self, requests: Iterator[bytes]) -> Any:  # noqa: ANN401
        """Return what the servicer is to get: an iterator of messages, or the first where there is to be one.

        Raises:
            MissingMessageError: there is none.
        """
        if self._handler.request_streaming:
            return map(self.parsed, requests)
        for request in requests:
            return self.parsed(request)
        raise MissingMessageError(f"{self.method} requires a request message")

    def parsed(self, request: bytes) -> Any:  # noqa: ANN401
        """Return the message that some bytes are.

        Raises:
            MalformedMessageError: they are none.
        """
        self.received_bytes += len(request)
        deserialize = self._handler.request_deserializer
        try:
            return deserialize(request) if deserialize else request
        except DecodeError as error:
            raise MalformedMessageError(f"a request message of {self.method} cannot be parsed: {error}") from error

    def serialized(self, response: Any) -> bytes:  # noqa: ANN401
        """Return the bytes of a message that the servicer gave."""
        serialize = self._handler.response_serializer
        message = serialize(response) if serialize else response
        self.sent_bytes += len(message)
        return message

    def expire(self) -> None:
        """End it, from another thread than its own: with DEADLINE_EXCEEDED by nggrpc, with CANCELLED by grpcio."""
        self._is_expired = True
        self.context.set_code(grpc.StatusCode.DEADLINE_EXCEEDED)
        self.context.set_details(_EXPIRED)
        self.context.cancel()

    def fail(self, error: Exception) -> NoReturn:
        """End it with the status of an error; a crash is told the caller by an id alone."""
        if self._is_expired:
            self.context.abort(grpc.StatusCode.DEADLINE_EXCEEDED, _EXPIRED)  # whatever the servicer made of its end
        if isinstance(error, CalculatorError):
            self.context.abort_with_status(statuses.of_error(error))
        # What a generated servicer does for a method that nobody wrote.
        if type(error) is NotImplementedError and self.status is grpc.StatusCode.UNIMPLEMENTED:
            self.context.abort_with_status(statuses.of_error(UnknownMethodError(str(error))))
        # grpc's own way to end a servicer that called context.abort, and one whose client has left.
        is_abort = type(error) is Exception and not error.args and self.status is not grpc.StatusCode.OK
        is_gone = isinstance(error, grpc.RpcError) and not self.context.is_active()
        if is_abort or is_gone:
            raise error
        crash_id = os.urandom(8).hex()
        _LOGGER.error("%s crashed: %s", self.method, crash_id, exc_info=error)
        self.context.abort_with_status(statuses.of_crash(crash_id))
