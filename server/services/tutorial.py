"""The servicer of the tutorial's Calculator: converts messages to calls of arithmetic, and back."""

import calculator_pb2
import calculator_pb2_grpc
import grpc

from nggrpc import never_blocks
from server.domain.arithmetic import Operation, calculate
from server.domain.errors import UnknownOperationError

_OPERATIONS: dict[int, Operation] = {
    calculator_pb2.ADD: Operation.ADD,
    calculator_pb2.SUBTRACT: Operation.SUBTRACT,
}


class TutorialServicer(calculator_pb2_grpc.CalculatorServicer):
    """`Calculator` of proto/calculator.proto."""

    @never_blocks
    def Calculate(
        self, request: calculator_pb2.BinaryOperation, context: grpc.ServicerContext
    ) -> calculator_pb2.CalculationResult:
        """Return the result, which protobuf rounds to 32 bits."""
        operation = _OPERATIONS.get(request.operation)
        if operation is None:
            raise UnknownOperationError(request.operation, dict(calculator_pb2.Operation.items()))
        return calculator_pb2.CalculationResult(
            result=calculate(operation, request.first_operand, request.second_operand)
        )
