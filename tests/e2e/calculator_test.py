"""Tests of calculator.v1 over a real socket: each kind of RPC, and errors with their details."""

import math
import queue
from collections.abc import Iterator
from typing import cast

import grpc
import pytest
from calculator.v1 import calculator_pb2 as pb
from calculator.v1 import calculator_pb2_grpc
from google.rpc import error_details_pb2
from grpc_status import rpc_status

from testing import timeouts


@pytest.fixture
def stub(channel: grpc.Channel) -> calculator_pb2_grpc.CalculatorStub:
    return calculator_pb2_grpc.CalculatorStub(channel)


def _details(error: grpc.RpcError) -> tuple[error_details_pb2.ErrorInfo, error_details_pb2.BadRequest]:
    info, bad_request = error_details_pb2.ErrorInfo(), error_details_pb2.BadRequest()
    status = rpc_status.from_call(cast("grpc.Call", error))  # the error is also the call
    assert status
    for detail in status.details:
        for message in (info, bad_request):
            if detail.Is(message.DESCRIPTOR):
                detail.Unpack(message)
    return info, bad_request


@pytest.mark.parametrize(
    ("operation", "result"),
    [
        (pb.OPERATION_ADD, 9),
        (pb.OPERATION_SUBTRACT, 5),
        (pb.OPERATION_MULTIPLY, 14),
        (pb.OPERATION_DIVIDE, 3.5),
        (pb.OPERATION_POWER, 49),
        (pb.OPERATION_REMAINDER, 1),
    ],
)
def test_calculate_applies_every_operation(
    stub: calculator_pb2_grpc.CalculatorStub, operation: pb.Operation, result: float
) -> None:
    request = pb.CalculateRequest(operation=operation, first_operand=7, second_operand=2)
    assert stub.Calculate(request, timeout=timeouts.SECONDS).result == result


@pytest.mark.parametrize(
    ("operation", "operands", "status"),
    [
        (pb.OPERATION_DIVIDE, (1, 0), ("INVALID_ARGUMENT", "DIVISION_BY_ZERO", ["second_operand"])),
        (pb.OPERATION_POWER, (-8, 0.5), ("INVALID_ARGUMENT", "UNDEFINED", ["second_operand"])),
        (pb.OPERATION_MULTIPLY, (1e200, 1e200), ("OUT_OF_RANGE", "OVERFLOW", [])),
        (pb.OPERATION_UNSPECIFIED, (1, 1), ("INVALID_ARGUMENT", "UNKNOWN_OPERATION", ["operation"])),
    ],
)
def test_an_error_has_a_reason_and_names_the_invalid_field(
    stub: calculator_pb2_grpc.CalculatorStub,
    operation: pb.Operation,
    operands: tuple[float, float],
    status: tuple[str, str, list[str]],
) -> None:
    first, second = operands
    with pytest.raises(grpc.RpcError) as refused:
        stub.Calculate(
            pb.CalculateRequest(operation=operation, first_operand=first, second_operand=second),
            timeout=timeouts.SECONDS,
        )
    info, bad_request = _details(refused.value)
    fields = [violation.field for violation in bad_request.field_violations]
    assert (refused.value.code().name, info.reason, fields) == status
    assert info.domain == "calculator"


def test_evaluate_streams_each_step_and_the_result_last(stub: calculator_pb2_grpc.CalculatorStub) -> None:
    *steps, last = stub.Evaluate(pb.EvaluateRequest(expression="2*(3+4)^2"), timeout=timeouts.SECONDS)
    assert [(response.step.result, response.step.remaining) for response in steps] == [
        (7, "2*7^2"),
        (49, "2*49"),
        (98, "98"),
    ]
    assert last.WhichOneof("progress") == "result"
    assert last.result == 98


def test_evaluate_refuses_a_malformed_expression_with_the_position(stub: calculator_pb2_grpc.CalculatorStub) -> None:
    with pytest.raises(grpc.RpcError) as refused:
        next(stub.Evaluate(pb.EvaluateRequest(expression="2*(3+"), timeout=timeouts.SECONDS))
    assert refused.value.code() == grpc.StatusCode.INVALID_ARGUMENT
    info, bad_request = _details(refused.value)
    assert (info.reason, info.metadata["position"]) == ("MALFORMED_EXPRESSION", "6")
    assert bad_request.field_violations[0].field == "expression"


def test_evaluate_streams_the_steps_before_an_error(stub: calculator_pb2_grpc.CalculatorStub) -> None:
    responses = stub.Evaluate(pb.EvaluateRequest(expression="1+2/(3-3)"), timeout=timeouts.SECONDS)
    assert next(responses).step.result == 0
    with pytest.raises(grpc.RpcError) as refused:
        next(responses)
    assert _details(refused.value)[0].reason == "DIVISION_BY_ZERO"


def test_aggregate_covers_the_numbers_of_all_messages(stub: calculator_pb2_grpc.CalculatorStub) -> None:
    requests = iter([pb.AggregateRequest(numbers=[1, 2]), pb.AggregateRequest(), pb.AggregateRequest(numbers=[3, 6])])
    response = stub.Aggregate(requests, timeout=timeouts.SECONDS)
    assert (response.count, response.sum, response.mean, response.variance) == (4, 12, 3, 3.5)
    assert (response.minimum, response.maximum) == (1, 6)


def test_aggregate_of_no_numbers_has_only_a_count_and_a_sum(stub: calculator_pb2_grpc.CalculatorStub) -> None:
    response = stub.Aggregate(iter([]), timeout=timeouts.SECONDS)
    assert (response.count, response.sum) == (0, 0)
    for field in ("mean", "variance", "minimum", "maximum"):
        assert not response.HasField(field)


def test_aggregate_accepts_at_most_ten_thousand_numbers_per_message(stub: calculator_pb2_grpc.CalculatorStub) -> None:
    most = pb.AggregateRequest(numbers=[1] * 10_000)
    assert stub.Aggregate(iter([most, most]), timeout=timeouts.SECONDS).count == 20_000
    with pytest.raises(grpc.RpcError) as refused:
        stub.Aggregate(iter([pb.AggregateRequest(numbers=[1] * 10_001)]), timeout=timeouts.SECONDS)
    info, bad_request = _details(refused.value)
    assert info.reason == "TOO_LONG"
    assert [violation.field for violation in bad_request.field_violations] == ["numbers"]


def test_aggregate_refuses_a_number_that_is_not_finite_with_its_position(
    stub: calculator_pb2_grpc.CalculatorStub,
) -> None:
    with pytest.raises(grpc.RpcError) as refused:
        stub.Aggregate(iter([pb.AggregateRequest(numbers=[1, math.nan])]), timeout=timeouts.SECONDS)
    assert refused.value.code() == grpc.StatusCode.INVALID_ARGUMENT
    assert refused.value.details() == "number 2 is nan; accepted: finite numbers"


class _Conversation:
    """A Converse call that sends each operation only after the previous one has been answered."""

    def __init__(self, stub: calculator_pb2_grpc.CalculatorStub) -> None:
        self._requests = queue.SimpleQueue[pb.ConverseRequest | None]()
        self._responses = stub.Converse(self._sent(), timeout=timeouts.SECONDS)

    def _sent(self) -> Iterator[pb.ConverseRequest]:
        while request := self._requests.get():
            yield request

    def say(self, operation: pb.Operation, second: float, first: float | None = None) -> pb.ConverseResponse:
        self._requests.put(pb.ConverseRequest(operation=operation, first_operand=first, second_operand=second))
        return next(self._responses)

    def end(self) -> None:
        self._requests.put(None)
        assert list(self._responses) == []
        assert self._responses.code() == grpc.StatusCode.OK


def test_converse_answers_each_operation_before_the_next_and_remembers_the_result(
    stub: calculator_pb2_grpc.CalculatorStub,
) -> None:
    conversation = _Conversation(stub)
    assert conversation.say(pb.OPERATION_ADD, 5).result == 5
    assert conversation.say(pb.OPERATION_MULTIPLY, 4).result == 20
    assert conversation.say(pb.OPERATION_SUBTRACT, 1, first=10).result == 9
    assert conversation.say(pb.OPERATION_POWER, 2).result == 81
    conversation.end()


def test_converse_continues_after_a_failed_operation(stub: calculator_pb2_grpc.CalculatorStub) -> None:
    conversation = _Conversation(stub)
    assert conversation.say(pb.OPERATION_ADD, 5).result == 5
    assert conversation.say(pb.OPERATION_DIVIDE, 0).failure.reason == "DIVISION_BY_ZERO"
    assert conversation.say(pb.OPERATION_UNSPECIFIED, 0).failure.reason == "UNKNOWN_OPERATION"
    assert conversation.say(pb.OPERATION_ADD, 1).result == 6
    conversation.end()
