"""What all commands share: which server they call, how they fail, how they print."""

import json
import math
import struct
import sys
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TextIO, TypeVar

import click
import grpc
from google.protobuf import json_format
from google.protobuf.message import Message

from client import access, failures
from client.access import Access, AccessError
from client.address import parse
from client.channel import connect

T = TypeVar("T")

# An operand may be negative, so what looks like an unknown option is an operand.
OPERANDS = {"ignore_unknown_options": True}


class Number(click.ParamType[float]):
    """An operand of 64 bit."""

    name = "number"

    def convert(self, value: object, param: click.Parameter | None, ctx: click.Context | None) -> float:
        """Return the number, or fail with what is accepted."""
        try:
            number = float(str(value))
        except ValueError:
            self.fail(f"{value!r} is not a number", param, ctx)
        if math.isinf(number) and "inf" not in str(value).lower():
            self.fail(f"{value!r} is out of range: numbers end at 1.7976931348623157e308", param, ctx)
        return number


class Float32(Number):
    """An operand of 32 bit: a number that such a float can hold, if not exactly."""

    def convert(self, value: object, param: click.Parameter | None, ctx: click.Context | None) -> float:
        """Return the number, or fail with what is accepted."""
        number = super().convert(value, param, ctx)
        try:
            struct.pack("<f", number)  # unlike "f", refuses what rounds to infinity
        except OverflowError:
            self.fail(f"{value!r} is out of range: 32-bit numbers end at 3.4028235e38", param, ctx)
        return number


class Range(click.FloatRange):
    """A number in a range; nan, which compares with nothing, is in none."""

    def convert(self, value: float, param: click.Parameter | None, ctx: click.Context | None) -> float:
        """Return the number, or fail with what is accepted."""
        number = super().convert(value, param, ctx)
        if math.isnan(number):
            self.fail(f"{value!r} is not in the range {self._describe_range()}", param, ctx)
        return number


class Text(click.ParamType[str]):
    """Text that a message can hold; a command line can hold any bytes."""

    name = "text"

    def convert(self, value: object, param: click.Parameter | None, ctx: click.Context | None) -> str:
        """Return the text, or fail with what is accepted."""
        text = str(value)
        try:
            text.encode()
        except UnicodeEncodeError:
            self.fail(f"{text!r} is not UTF-8", param, ctx)
        return text


class Target(click.ParamType[str]):
    """A name of a server."""

    name = "target"

    def convert(self, value: object, param: click.Parameter | None, ctx: click.Context | None) -> str:
        """Return the name, or fail with what is accepted."""
        target = str(value)
        if not target or not target.isprintable() or " " in target:
            self.fail(f"{target!r} is no HOST:PORT, such as localhost:50051, and no HOST", param, ctx)
        try:
            parse(target)
        except ValueError as error:
            self.fail(str(error), param, ctx)
        return target


@dataclass(frozen=True)
class Caller:
    """What the options in front of the command say.

    Attributes:
        target: the server to call.
        access: how it is to be reached.
        timeout: how long a call of one request may take, in seconds; streams that are sent have no deadline.
        as_json: whether to print messages as JSON, one a line.
    """

    target: str
    access: Access
    timeout: float
    as_json: bool

    @contextmanager
    def channel(self) -> Iterator[grpc.Channel]:
        """Open a channel; a call that fails in the block ends the program with one line about it."""
        try:
            opened = connect(self.target, access=self.access)
        except AccessError as error:
            raise click.ClickException(str(error)) from error
        with opened as channel:
            try:
                yield channel
            except grpc.RpcError as error:
                raise click.ClickException(self._failure(error)) from error

    def _failure(self, error: grpc.RpcError) -> str:
        address = parse(self.target)
        audience, is_tls = access.audience(address, self.access), access.speaks_tls(address, self.access)
        return failures.describe(error, self.target, self.timeout, audience, is_tls=is_tls)

    def show(self, message: Message, text: str) -> None:
        """Print a message as JSON if asked to, else the text that says the same to a person."""
        if not self.as_json:
            click.echo(text)
            return
        fields = json_format.MessageToDict(
            message, preserving_proto_field_name=True, always_print_fields_with_no_presence=True
        )
        click.echo(json.dumps(fields))


def format_number(value: float) -> str:
    """Write a number with as few digits as tell it from its neighbours, and no more."""
    return repr(value).removesuffix(".0")


def standard_input() -> TextIO:
    """Return standard input; it may have been closed by whoever started the program."""
    if sys.stdin is None:
        raise click.UsageError("standard input is closed")
    return sys.stdin


def understood(lines: Iterable[str], parse: Callable[[str], T], expected: str) -> Iterator[T]:
    """Give what each line says; tell of a line that says nothing, and go on.

    Args:
        lines: what a person types, or a file.
        parse: gives what a line says, or raises ValueError or click.BadParameter.
        expected: what a line should have been.
    """
    for line in filter(str.strip, lines):
        try:
            yield parse(line)
        except (ValueError, click.BadParameter):
            click.echo(f"Not understood: {line.strip()!r}; write {expected}", err=True)
