"""The commands of the tutorial's 32-bit calculator: add and subtract."""

import calculator_pb2
import calculator_pb2_grpc
import click
from google.protobuf import json_format

from client.cli.commands import OPERANDS, Caller, Float32


def _text(message: calculator_pb2.CalculationResult) -> str:
    # protobuf's JSON format rounds a float to its shortest 32-bit form: 0.3, not 0.30000001192092896.
    result = json_format.MessageToDict(message, always_print_fields_with_no_presence=True)["result"]
    return str(result).removesuffix(".0")


def _calculate(caller: Caller, operation: calculator_pb2.Operation, first: float, second: float) -> None:
    request = calculator_pb2.BinaryOperation(first_operand=first, second_operand=second, operation=operation)
    with caller.channel() as channel:
        result = calculator_pb2_grpc.CalculatorStub(channel).Calculate(request, timeout=caller.timeout)
    caller.show(result, _text(result))


@click.command(context_settings=OPERANDS)
@click.argument("first", type=Float32())
@click.argument("second", type=Float32())
@click.pass_obj
def add(caller: Caller, first: float, second: float) -> None:
    """Print FIRST + SECOND."""
    _calculate(caller, calculator_pb2.ADD, first, second)


@click.command(context_settings=OPERANDS)
@click.argument("first", type=Float32())
@click.argument("second", type=Float32())
@click.pass_obj
def subtract(caller: Caller, first: float, second: float) -> None:
    """Print FIRST - SECOND."""
    _calculate(caller, calculator_pb2.SUBTRACT, first, second)
