"""The servicer of calculator.v1: converts messages to calls of arithmetic, expression and aggregation, and back."""

from collections.abc import Iterator

import grpc
from calculator.v1 import calculator_pb2 as pb
from calculator.v1 import calculator_pb2_grpc

from nggrpc import never_blocks
from server.domain.aggregation import Aggregation
from server.domain.arithmetic import Operation, calculate
from server.domain.errors import CalculatorError, TooLongError, UnknownOperationError
from server.domain.expression import Step, evaluate
from server.domain.functions import Function

_BY_NUMBER: dict[int, Operation] = {
    pb.OPERATION_ADD: Operation.ADD,
    pb.OPERATION_SUBTRACT: Operation.SUBTRACT,
    pb.OPERATION_MULTIPLY: Operation.MULTIPLY,
    pb.OPERATION_DIVIDE: Operation.DIVIDE,
    pb.OPERATION_POWER: Operation.POWER,
    pb.OPERATION_REMAINDER: Operation.REMAINDER,
}
# Each number takes a few microseconds of the I/O thread, during which other calls wait.
_MAX_NUMBERS = 10_000

_NAMES = {operation: pb.Operation.Name(number) for number, operation in _BY_NUMBER.items()}


def _operation(number: int) -> Operation:
    operation = _BY_NUMBER.get(number)
    if operation is None:
        accepted = {name: value for name, value in pb.Operation.items() if value in _BY_NUMBER}
        raise UnknownOperationError(number, accepted)
    return operation


def _step(step: Step) -> pb.EvaluateResponse:
    if isinstance(step.operation, Function):
        message = pb.EvaluateResponse.Step(function=step.operation.name, arguments=step.operands)
    else:
        first, second = step.operands
        message = pb.EvaluateResponse.Step(operation=_NAMES[step.operation], first_operand=first, second_operand=second)
    message.result, message.remaining = step.result, step.remaining
    return pb.EvaluateResponse(step=message)


class CalculatorServicer(calculator_pb2_grpc.CalculatorServicer):
    """`calculator.v1.Calculator`: one method of each kind."""

    @never_blocks
    def Calculate(self, request: pb.CalculateRequest, context: grpc.ServicerContext) -> pb.CalculateResponse:
        """Return the result of one operation."""
        return pb.CalculateResponse(
            result=calculate(_operation(request.operation), request.first_operand, request.second_operand)
        )

    @never_blocks
    def Evaluate(self, request: pb.EvaluateRequest, context: grpc.ServicerContext) -> Iterator[pb.EvaluateResponse]:
        """Yield each step as it is taken, then the value."""
        for progress in evaluate(request.expression):
            yield _step(progress) if isinstance(progress, Step) else pb.EvaluateResponse(result=progress)

    @never_blocks
    def Aggregate(
        self, request_iterator: Iterator[pb.AggregateRequest], context: grpc.ServicerContext
    ) -> pb.AggregateResponse:
        """Return the statistics of all numbers once the request stream has ended."""
        aggregation = Aggregation()
        for request in request_iterator:
            if len(request.numbers) > _MAX_NUMBERS:
                text = f"a message has {len(request.numbers)} numbers; at most {_MAX_NUMBERS} are allowed per message"
                raise TooLongError(text, field="numbers")
            aggregation.add(request.numbers)
        if not aggregation.count:
            return pb.AggregateResponse()
        return pb.AggregateResponse(
            count=aggregation.count,
            sum=aggregation.sum(),
            mean=aggregation.mean(),
            variance=aggregation.variance(),
            minimum=aggregation.minimum,
            maximum=aggregation.maximum,
        )

    @never_blocks
    def Converse(
        self, request_iterator: Iterator[pb.ConverseRequest], context: grpc.ServicerContext
    ) -> Iterator[pb.ConverseResponse]:
        """Yield a response to each operation before the next is read. A failed operation does not end the stream."""
        last = 0.0
        for request in request_iterator:
            first = request.first_operand if request.HasField("first_operand") else last
            try:
                last = calculate(_operation(request.operation), first, request.second_operand)
            except CalculatorError as error:
                failure = pb.ConverseResponse.Failure(reason=error.reason, message=str(error))
                yield pb.ConverseResponse(failure=failure)
            else:
                yield pb.ConverseResponse(result=last)
