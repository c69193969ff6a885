"""The workloads of the benchmarks: calls of each kind, with the expected responses from our own servicers."""

from collections.abc import Iterator
from typing import Any

import grpc
from calculator.v1 import calculator_pb2 as pb
from google.protobuf.message import Message
from routeguide import route_guide_pb2

from benchmarks.load import CONNECTIONS, STREAMS, Workload
from server.services.calculator_v1 import CalculatorServicer
from server.services.route_guide import RouteGuideServicer

_MESSAGES = 100
_CALCULATE = "/calculator.v1.Calculator/Calculate"
_ECHO = "/benchmarks.Echo/Echo"

EVERYWHERE = route_guide_pb2.Rectangle(
    lo=route_guide_pb2.Point(latitude=-900000000, longitude=-1800000000),
    hi=route_guide_pb2.Point(latitude=900000000, longitude=1800000000),
)
"""A rectangle that contains all features."""

_CONTEXT: Any = grpc.ServicerContext  # the methods below do not use their context


def _bytes(messages: Iterator[Message]) -> list[bytes]:
    return [message.SerializeToString() for message in messages]


def unary(calls: int, name: str = "unary", connections: int = CONNECTIONS, streams: int = STREAMS) -> Workload:
    """Return a workload of unary calls.

    Args:
        calls: the number of calls in a round.
        name: the name of the workload.
        connections: the number of connections.
        streams: the number of calls in flight per connection.
    """
    request = pb.CalculateRequest(operation=pb.OPERATION_MULTIPLY, first_operand=6, second_operand=7)
    response = CalculatorServicer().Calculate(request, _CONTEXT)
    return Workload(name, _CALCULATE, _bytes(iter([request])), _bytes(iter([response])), calls, connections, streams)


def streaming(calls: int) -> list[Workload]:
    """Return a workload for each of the three kinds of streaming calls, which have 100 messages or a few more.

    Args:
        calls: the number of unary calls in a round; a round has fewer streaming calls.
    """
    calculator, guide = CalculatorServicer(), RouteGuideServicer()
    numbers = [pb.AggregateRequest(numbers=[number]) for number in range(_MESSAGES)]
    sums = [pb.ConverseRequest(operation=pb.OPERATION_ADD, second_operand=1)] * _MESSAGES
    streams = max(calls // 25, 80)
    return [
        Workload(
            "server streaming",
            "/routeguide.RouteGuide/ListFeatures",
            _bytes(iter([EVERYWHERE])),
            _bytes(guide.ListFeatures(EVERYWHERE, _CONTEXT)),
            streams,
        ),
        Workload(
            "client streaming",
            "/calculator.v1.Calculator/Aggregate",
            _bytes(iter(numbers)),
            _bytes(iter([calculator.Aggregate(iter(numbers), _CONTEXT)])),
            streams,
        ),
        Workload(
            "bidirectional streaming",
            "/calculator.v1.Calculator/Converse",
            _bytes(iter(sums)),
            _bytes(calculator.Converse(iter(sums), _CONTEXT)),
            streams,
        ),
    ]


def workloads(calls: int) -> list[Workload]:
    """Return the workloads of all kinds of calls, the unary calls first.

    Args:
        calls: the number of unary calls in a round.
    """
    return [unary(calls), *streaming(calls)]


def echo(name: str, size: int, calls: int, streams: int) -> Workload:
    """Return a workload of calls that echo a request of `size` bytes."""
    message = [bytes(size)]
    return Workload(name, _ECHO, message, message, max(calls, CONNECTIONS), streams=streams)


def sleeping(name: str, calls: int) -> Workload:
    """Return a workload of calls whose handler sleeps for a millisecond before it sends the request back."""
    message = [b"a request"]
    return Workload(name, "/benchmarks.Echo/Sleep", message, message, calls)
