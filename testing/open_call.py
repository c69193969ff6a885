"""A call that is in flight on the server until the test ends it."""

import queue
from collections.abc import Iterator

import grpc
from calculator.v1 import calculator_pb2 as pb
from calculator.v1 import calculator_pb2_grpc

from testing import timeouts


class OpenCall:
    """A Converse call whose first operation has been answered.

    Args:
        channel: the channel to the server.

    Attributes:
        responses: the call, which is also the iterator of its responses.
    """

    def __init__(self, channel: grpc.Channel) -> None:
        """Start the call and wait for the first answer."""
        self._requests = queue.SimpleQueue[pb.ConverseRequest | None]()
        self.responses = calculator_pb2_grpc.CalculatorStub(channel).Converse(self._sent(), timeout=timeouts.SECONDS)
        self.add_one()

    def _sent(self) -> Iterator[pb.ConverseRequest]:
        while request := self._requests.get():
            yield request

    def add_one(self) -> float:
        """Send one more operation, and return its result: the number of operations so far."""
        self._requests.put(pb.ConverseRequest(operation=pb.OPERATION_ADD, second_operand=1))
        return next(self.responses).result

    def end(self) -> grpc.StatusCode:
        """Half-close the call from the client, and return its status."""
        self._requests.put(None)
        assert list(self.responses) == []
        return self.responses.code()
