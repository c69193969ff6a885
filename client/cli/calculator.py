"""The commands of calculator.v1: calc, eval, aggregate, converse."""

import itertools
import re
import sys
from collections.abc import Iterator

import click
from calculator.v1 import calculator_pb2 as pb
from calculator.v1 import calculator_pb2_grpc

from client import conversation
from client.cli.commands import OPERANDS, Caller, Number, Text
from client.cli.numbers import format_number, parse_number
from client.cli.standard_input import StandardInput

_OPERATIONS = {
    "+": pb.OPERATION_ADD,
    "-": pb.OPERATION_SUBTRACT,
    "*": pb.OPERATION_MULTIPLY,
    "/": pb.OPERATION_DIVIDE,
    "^": pb.OPERATION_POWER,
    "%": pb.OPERATION_REMAINDER,
}
_SIGNS = {number: sign for sign, number in _OPERATIONS.items()}

# About 40 kB per message: large enough for throughput, and far below gRPC's message size limit.
_NUMBERS_PER_MESSAGE = 5000


@click.command(context_settings=OPERANDS)
@click.argument("first", type=Number())
@click.argument("operation", type=click.Choice(list(_OPERATIONS)))
@click.argument("second", type=Number())
@click.pass_obj
def calc(caller: Caller, first: float, operation: str, second: float) -> None:
    """Print the result of one operation, such as 7 / 2."""
    request = pb.CalculateRequest(operation=_OPERATIONS[operation], first_operand=first, second_operand=second)
    with caller.channel() as channel:
        response = calculator_pb2_grpc.CalculatorStub(channel).Calculate(request, timeout=caller.timeout)
    caller.show(response, format_number(response.result))


@click.command("eval", context_settings=OPERANDS)
@click.argument("expression", type=Text())
@click.pass_obj
def evaluate(caller: Caller, expression: str) -> None:
    """Print the steps of evaluating EXPRESSION, such as '2*(3+4)^2' or 'sqrt(9)*pi', and then its value."""
    with caller.channel() as channel:
        stub = calculator_pb2_grpc.CalculatorStub(channel)
        for response in stub.Evaluate(pb.EvaluateRequest(expression=expression), timeout=caller.timeout):
            caller.show(response, _progress(response))


def _progress(response: pb.EvaluateResponse) -> str:
    if response.WhichOneof("progress") == "result":
        return format_number(response.result)
    step = response.step
    return f"{_taken(step)} = {format_number(step.result)}    {step.remaining}"


def _taken(step: pb.EvaluateResponse.Step) -> str:
    """Return what a step computed, such as 3 + 4, sqrt(9) or pi."""
    if step.function:
        arguments = ", ".join(map(format_number, step.arguments))
        return f"{step.function}({arguments})" if arguments else step.function
    sign = _SIGNS.get(step.operation, "?")  # the server may have operations that are newer than this client
    return f"{format_number(step.first_operand)} {sign} {format_number(step.second_operand)}"


@click.command(context_settings=OPERANDS)
@click.argument("numbers", nargs=-1)
@click.pass_obj
def aggregate(caller: Caller, numbers: tuple[str, ...]) -> None:
    """Print count, sum, mean, variance and range of NUMBERS. Pass "-" to read them from standard input."""
    if numbers == ("-",):
        source = StandardInput()
        # Reading standard input can take any time, so a deadline would limit the input, not the server.
        response = _aggregate(caller, source.words(parse_number), timeout=None)
        source.check()
    else:
        response = _aggregate(caller, iter(_parse_all(numbers)), caller.timeout)
    caller.show(response, "\n".join(_lines(response)))


def _parse_all(words: tuple[str, ...]) -> list[float]:
    numbers = []
    for place, word in enumerate(words, 1):
        try:
            numbers.append(parse_number(word))
        except ValueError as error:
            raise click.UsageError(f"number {place}: {error}") from error
    return numbers


def _aggregate(caller: Caller, numbers: Iterator[float], timeout: float | None) -> pb.AggregateResponse:
    """Call Aggregate; show on a terminal how many numbers were read."""
    progress = click.progressbar(
        numbers,
        file=sys.stderr,
        hidden=not sys.stderr.isatty(),
        label="numbers",
        show_pos=True,
        update_min_steps=_NUMBERS_PER_MESSAGE,
    )
    with caller.channel() as channel, progress as counted:
        stub = calculator_pb2_grpc.CalculatorStub(channel)
        return stub.Aggregate(_messages(iter(counted)), timeout=timeout)


def _messages(numbers: Iterator[float]) -> Iterator[pb.AggregateRequest]:
    while batch := list(itertools.islice(numbers, _NUMBERS_PER_MESSAGE)):
        yield pb.AggregateRequest(numbers=batch)


def _lines(response: pb.AggregateResponse) -> Iterator[str]:
    yield f"count     {response.count}"
    yield f"sum       {format_number(response.sum)}"
    for field in ("mean", "variance", "minimum", "maximum"):
        if response.HasField(field):
            yield f"{field:9} {format_number(getattr(response, field))}"


@click.command()
@click.pass_obj
def converse(caller: Caller) -> None:
    """Evaluate one operation per input line, such as "3 + 4"; "* 2" continues from the last result."""
    source = StandardInput()
    with caller.channel() as channel:
        operations = source.lines(_operation)
        for response in conversation.converse(calculator_pb2_grpc.CalculatorStub(channel), operations):
            failure = f"{response.failure.reason}: {response.failure.message}"
            caller.show(response, failure if response.HasField("failure") else format_number(response.result))
    source.check()


_LINE = re.compile(r"\s*(?P<first>\S+\s+)?(?P<sign>[-+*/^%])\s+(?P<second>\S+)\s*")


def _operation(line: str) -> pb.ConverseRequest:
    match = _LINE.fullmatch(line)
    if not match:
        raise ValueError("must be an operation such as 3 + 4, or * 2 to continue from the last result")
    return pb.ConverseRequest(
        operation=_OPERATIONS[match["sign"]],
        first_operand=parse_number(match["first"].strip()) if match["first"] else None,
        second_operand=parse_number(match["second"]),
    )
