"""A call that the server is known to have begun, and that ends when the test says so."""

import queue
from collections.abc import Iterator

import grpc
from calculator.v1 import calculator_pb2 as pb
from calculator.v1 import calculator_pb2_grpc

from testing import timeouts


class OpenCall:
    """A conversation of which the first operation has been answered."""

    def __init__(self, channel: grpc.Channel) -> None:
        """Begin it."""
        self._requests = queue.SimpleQueue[pb.ConverseRequest | None]()
        self.responses = calculator_pb2_grpc.CalculatorStub(channel).Converse(self._sent(), timeout=timeouts.SECONDS)
        self.add_one()

    def _sent(self) -> Iterator[pb.ConverseRequest]:
        while request := self._requests.get():
            yield request

    def add_one(self) -> float:
        """Have one more operation answered: how many there were."""
        self._requests.put(pb.ConverseRequest(operation=pb.OPERATION_ADD, second_operand=1))
        return next(self.responses).result

    def end(self) -> grpc.StatusCode:
        """End it from the client's side, and return its status."""
        self._requests.put(None)
        assert list(self.responses) == []
        return self.responses.code()
