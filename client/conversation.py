"""Conversations with the calculator that continue after a stream ends.

Cloud Run ends a stream at its request timeout and expects the client to reconnect, possibly to another instance:
https://cloud.google.com/run/docs/configuring/request-timeout. Therefore each request is kept until it is answered, and
a new stream starts by sending the last result, which the new instance does not know.
"""

import itertools
import threading
import time
from collections.abc import Iterable, Iterator

import grpc
from calculator.v1 import calculator_pb2 as pb
from calculator.v1.calculator_pb2_grpc import CalculatorStub

from client.channel import ATTEMPTS, RETRYABLE_CODES, backoff_seconds


class ConversationError(grpc.RpcError):
    """The server broke the rules of a conversation: each request has one answer, and the client ends the stream."""

    def __init__(self, details: str) -> None:
        super().__init__(details)
        self._details = details

    def code(self) -> grpc.StatusCode:
        """Return INTERNAL, with which gRPC itself reports that a server breaks a protocol."""
        return grpc.StatusCode.INTERNAL

    def details(self) -> str:
        """Return what the server did."""
        return self._details

    def trailing_metadata(self) -> tuple[()]:
        """Return no metadata, since no call failed."""
        return ()


class _Requests:
    """Requests by their number, read on demand and kept in `unanswered`.

    A gRPC thread reads them for a stream. If the thread is still waiting for a request when its stream ends, that
    request goes to the next stream.
    """

    def __init__(self, requests: Iterable[pb.ConverseRequest]) -> None:
        self.unanswered: dict[int, pb.ConverseRequest] = {}
        self._requests = iter(requests)
        self._count = 0
        self._read_lock = threading.Lock()

    def get(self, number: int) -> pb.ConverseRequest | None:
        """Wait for a request and return it; None if there are no more requests, or if it has been answered."""
        if number not in self.unanswered:
            with self._read_lock:
                request = next(self._requests, None) if number == self._count else None
                if request is not None:
                    self.unanswered[number] = request
                    self._count += 1
        return self.unanswered.get(number)

    def forget(self, number: int) -> None:
        """Forget a request that has been answered.

        Raises:
            ConversationError: there is no such request.
        """
        if self.unanswered.pop(number, None) is None:
            raise ConversationError("the server sent more answers than there were requests")

    def since(self, number: int) -> Iterator[pb.ConverseRequest]:
        """Yield all requests from a number on."""
        while (request := self.get(number)) is not None:
            yield request
            number += 1


def converse(stub: CalculatorStub, requests: Iterable[pb.ConverseRequest]) -> Iterator[pb.ConverseResponse]:
    """Yield the answer to each request in order, over as many streams as necessary.

    Args:
        stub: the stub of the server.
        requests: the requests; the iterator may wait for answers. It is read by this thread and by gRPC's threads, one
            at a time.

    Yields:
        One response for each request.

    Raises:
        grpc.RpcError: a stream failed with a permanent error, or five streams in a row ended without an answer.
    """
    kept = _Requests(requests)
    answered = failed_attempts = 0
    # The first request of a new stream, which sets the server's last result. If an operation fails, the reminder stays
    # the same, because the server also keeps its last result.
    reminder: list[pb.ConverseRequest] = []
    while kept.get(answered) is not None:  # an open stream without requests would keep an instance busy
        stream = stub.Converse(itertools.chain(reminder, kept.since(answered)))
        failed_attempts += 1
        try:
            for response in itertools.islice(stream, len(reminder), None):
                kept.forget(answered)
                answered, failed_attempts = answered + 1, 0
                if response.HasField("result"):
                    reminder = [_reminder_of(response.result)]
                yield response
        except grpc.RpcError as error:
            if failed_attempts == ATTEMPTS or not _is_transient(error):
                raise
        else:
            if failed_attempts == ATTEMPTS:
                raise ConversationError("the server ended the stream without an answer")
        time.sleep(backoff_seconds(failed_attempts))


def _reminder_of(number: float) -> pb.ConverseRequest:
    """Return a request whose result is the number, so that the server knows it as the last result."""
    return pb.ConverseRequest(operation=pb.OPERATION_MULTIPLY, first_operand=number, second_operand=1)


def _is_transient(error: grpc.RpcError) -> bool:
    """Return whether another stream may succeed.

    A front end that cuts a stream off between answers resets it, which gRPC reports as INTERNAL. A server forbids
    retries by a negative pushback: https://github.com/grpc/proposal/blob/master/A6-client-retries.md#pushback
    """
    trailer = {entry.key: str(entry.value) for entry in error.trailing_metadata() or ()}
    if trailer.get("grpc-retry-pushback-ms") == "-1":
        return False
    code = error.code()
    is_cut_off = code is grpc.StatusCode.INTERNAL and "RST_STREAM" in (error.details() or "")
    return is_cut_off or code is grpc.StatusCode.DEADLINE_EXCEEDED or code.name in RETRYABLE_CODES
