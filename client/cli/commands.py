"""Shared code of all commands: parameter types, channels, errors and output."""

import json
import math
import os
import struct
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import click
import grpc
from google.protobuf import json_format
from google.protobuf.message import Message

from client import access, failures
from client.access import Access, AccessError
from client.address import parse
from client.channel import connect
from client.cli.numbers import parse_number

# A negative operand looks like an unknown option; click passes it on as an argument.
OPERANDS = {"ignore_unknown_options": True}


class Number(click.ParamType[float]):
    """A 64-bit operand."""

    name = "number"

    def convert(self, value: object, param: click.Parameter | None, ctx: click.Context | None) -> float:
        """Return the number, or fail with a usage error."""
        try:
            return parse_number(str(value))
        except ValueError as error:
            self.fail(str(error), param, ctx)


class Float32(Number):
    """A 32-bit operand: a number in the range of a 32-bit float, which may round it."""

    def convert(self, value: object, param: click.Parameter | None, ctx: click.Context | None) -> float:
        """Return the number, or fail with a usage error."""
        number = super().convert(value, param, ctx)
        try:
            struct.pack("<f", number)  # unlike "f", rejects numbers that round to infinity
        except OverflowError:
            self.fail(f"{value!r} is out of range: the largest 32-bit number is 3.4028235e38", param, ctx)
        return number


class Range(click.FloatRange):
    """A number in a range. Unlike click.FloatRange, it rejects nan, for which every comparison is false."""

    def convert(self, value: float, param: click.Parameter | None, ctx: click.Context | None) -> float:
        """Return the number, or fail with a usage error."""
        number = super().convert(value, param, ctx)
        if math.isnan(number):
            self.fail(f"{value!r} is not in the range {self._describe_range()}", param, ctx)
        return number


class Text(click.ParamType[str]):
    """A UTF-8 string, as protobuf requires; command-line arguments can be any bytes."""

    name = "text"

    def convert(self, value: object, param: click.Parameter | None, ctx: click.Context | None) -> str:
        """Return the text, or fail with a usage error."""
        text = str(value)
        try:
            text.encode()
        except UnicodeEncodeError:
            self.fail(f"{text!r} is not UTF-8", param, ctx)
        return text


class File(click.Path):
    """The path of a file. An empty one, such as that of an unset variable, is refused; Path would make it a folder."""

    def convert(
        self, value: str | os.PathLike[str], param: click.Parameter | None, ctx: click.Context | None
    ) -> str | bytes | os.PathLike[str]:
        """Return the path, or fail with a usage error."""
        if not str(value):
            self.fail("'' is not a file", param, ctx)
        return super().convert(value, param, ctx)


class Target(click.ParamType[str]):
    """The address of a server."""

    name = "target"

    def convert(self, value: object, param: click.Parameter | None, ctx: click.Context | None) -> str:
        """Return the address, or fail with a usage error."""
        target = str(value)
        if not target or not target.isprintable() or " " in target:
            self.fail(f"{target!r} is invalid: must be HOST:PORT, such as localhost:50051, or HOST", param, ctx)
        try:
            parse(target)
        except ValueError as error:
            self.fail(str(error), param, ctx)
        return target


@dataclass(frozen=True)
class Caller:
    """The global options, and the channels and the output that they define.

    Attributes:
        target: the address of the server.
        access: how to connect to the server.
        timeout: the timeout of a call, in seconds; calls that read their requests from standard input have none.
        as_json: whether to print each message as one line of JSON.
    """

    target: str
    access: Access
    timeout: float
    as_json: bool

    @contextmanager
    def channel(self) -> Iterator[grpc.Channel]:
        """Open a channel; turn the error of a failed call in the block into a one-line ClickException."""
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
        """Print a message as JSON if --json is set, otherwise its text form."""
        if not self.as_json:
            click.echo(text)
            return
        fields = json_format.MessageToDict(
            message, preserving_proto_field_name=True, always_print_fields_with_no_presence=True
        )
        click.echo(json.dumps(fields))
