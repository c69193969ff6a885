"""A conversation with the calculator that outlives its streams.

Cloud Run ends a stream when its time is over, and has clients begin another, which may reach another instance:
https://cloud.google.com/run/docs/configuring/request-timeout. So a request is kept until it has its answer, and a new
stream begins with the last result, which its server cannot know.
"""

import itertools
import threading
import time
from collections.abc import Iterable, Iterator

import grpc
from calculator.v1 import calculator_pb2 as pb
from calculator.v1.calculator_pb2_grpc import CalculatorStub

from client.channel import ATTEMPTS, PASSING, backoff_seconds


class _Requests:
    """Requests by number, each read when it is asked for, and kept in `unanswered`.

    A thread of grpc's reads them for a stream. It may be at it when the stream ends: what it reads is for the next.
    """

    def __init__(self, requests: Iterable[pb.ConverseRequest]) -> None:
        self.unanswered: dict[int, pb.ConverseRequest] = {}
        self._requests = iter(requests)
        self._count = 0
        self._reading = threading.Lock()

    def get(self, number: int) -> pb.ConverseRequest | None:
        """Return a request, once it is there; None if there are no more, or it has been answered."""
        if number not in self.unanswered:
            with self._reading:
                request = next(self._requests, None) if number == self._count else None
                if request is not None:
                    self.unanswered[number] = request
                    self._count += 1
        return self.unanswered.get(number)

    def since(self, number: int) -> Iterator[pb.ConverseRequest]:
        """Give all from a number on."""
        while (request := self.get(number)) is not None:
            yield request
            number += 1


def converse(stub: CalculatorStub, requests: Iterable[pb.ConverseRequest]) -> Iterator[pb.ConverseResponse]:
    """Give the answer to each request in its turn, over as many streams as it takes.

    Args:
        stub: calls the server.
        requests: may wait for answers; other threads read it, one at a time.

    Raises:
        grpc.RpcError: a stream has ended for a reason that does not pass, or five in a row without an answer.
    """
    kept = _Requests(requests)
    answered = in_vain = 0
    reminder: list[pb.ConverseRequest] = []  # what has a server know the last result, even if the next request fails
    while kept.get(answered) is not None:  # an open stream without requests would keep an instance for nothing
        stream = stub.Converse(itertools.chain(reminder, kept.since(answered)))
        in_vain += 1
        try:
            for response in itertools.islice(stream, len(reminder), None):
                del kept.unanswered[answered]
                answered, in_vain = answered + 1, 0
                if response.HasField("result"):
                    reminder = [_itself(response.result)]
                yield response
        except grpc.RpcError as error:
            if in_vain == ATTEMPTS or not _passes(error):
                raise
            time.sleep(backoff_seconds(in_vain))
        else:
            return


def _itself(number: float) -> pb.ConverseRequest:
    return pb.ConverseRequest(operation=pb.OPERATION_MULTIPLY, first_operand=number, second_operand=1)


def _passes(error: grpc.RpcError) -> bool:
    """Return whether another stream may do better. A front that cuts one off amid answers has no better status."""
    code = error.code()
    is_cut_off = code is grpc.StatusCode.INTERNAL and "RST_STREAM" in (error.details() or "")
    return is_cut_off or code is grpc.StatusCode.DEADLINE_EXCEEDED or code.name in PASSING
