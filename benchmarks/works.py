"""What is asked of every server alike: a call of each kind, and what our own servicers answer it."""

from collections.abc import Iterator
from typing import Any

import grpc
from calculator.v1 import calculator_pb2 as pb
from google.protobuf.message import Message
from routeguide import route_guide_pb2

from benchmarks.load import Work
from server.calculator import CalculatorServicer
from server.route_guide import RouteGuideServicer

_MESSAGES = 100

_EVERYWHERE = route_guide_pb2.Rectangle(
    lo=route_guide_pb2.Point(latitude=-900000000, longitude=-1800000000),
    hi=route_guide_pb2.Point(latitude=900000000, longitude=1800000000),
)


def _bytes(messages: Iterator[Message]) -> list[bytes]:
    return [message.SerializeToString() for message in messages]


def works(calls: int) -> list[Work]:
    """Return the works.

    Args:
        calls: how many unary calls are a round; of streams there are fewer, since each has many messages.
    """
    context: Any = grpc.ServicerContext  # none of these methods asks anything of it
    calculator, guide = CalculatorServicer(), RouteGuideServicer()
    one = pb.CalculateRequest(operation=pb.OPERATION_MULTIPLY, first_operand=6, second_operand=7)
    numbers = [pb.AggregateRequest(numbers=[number]) for number in range(_MESSAGES)]
    sums = [pb.ConverseRequest(operation=pb.OPERATION_ADD, second_operand=1)] * _MESSAGES
    streams = max(calls // _MESSAGES, 80)
    return [
        Work(
            "unary",
            "/calculator.v1.Calculator/Calculate",
            _bytes(iter([one])),
            _bytes(iter([calculator.Calculate(one, context)])),
            calls,
        ),
        Work(
            "stream of answers",
            "/routeguide.RouteGuide/ListFeatures",
            _bytes(iter([_EVERYWHERE])),
            _bytes(guide.ListFeatures(_EVERYWHERE, context)),
            streams,
        ),
        Work(
            "stream of requests",
            "/calculator.v1.Calculator/Aggregate",
            _bytes(iter(numbers)),
            _bytes(iter([calculator.Aggregate(iter(numbers), context)])),
            streams,
        ),
        Work(
            "streams both ways",
            "/calculator.v1.Calculator/Converse",
            _bytes(iter(sums)),
            _bytes(calculator.Converse(iter(sums), context)),
            streams,
        ),
    ]
