"""Standard input of the commands, as words or as lines, in any amount."""

import re
import sys
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, TypeVar, cast

import click

if TYPE_CHECKING:
    import io

T = TypeVar("T")

_CHUNK_BYTES = 64 * 1024
_MAX_WORD_BYTES = 1000
_MAX_LINE_BYTES = 1_000_000
_BYTE_ORDER_MARK = b"\xef\xbb\xbf"
_LINE_END = re.compile(rb"\r\n|\r|\n")
_WORD_END = re.compile(rb"[\t\n\v\f\r ]+")


class InputError(click.ClickException):
    """Invalid input. The error is printed in one line, without the usage of the command, and the exit status is 2."""

    exit_code = 2


class StandardInput:
    """A reader that keeps the first problem instead of raising it.

    gRPC would report an exception of a request iterator as the status UNKNOWN. So a problem ends the input, and `check`
    raises it after the call.
    """

    def __init__(self) -> None:
        """Take the standard input of the process.

        Raises:
            UsageError: the parent process has closed it.
        """
        if sys.stdin is None:
            raise click.UsageError("standard input is closed")
        self._file = cast("io.BufferedReader", sys.stdin.buffer)
        self._problem = ""

    def words(self, parse: Callable[[str], T]) -> Iterator[T]:
        """Yield the parsed words, which whitespace separates; a word that is invalid ends the input.

        Args:
            parse: parses a word, or raises ValueError with the reason.
        """
        # Unlike `read`, `read1` does not wait for a full buffer.
        words = self._split(_WORD_END, _MAX_WORD_BYTES, self._file.read1)
        for place, word in enumerate(filter(None, words), 1):
            try:
                yield parse(_decode(word, _MAX_WORD_BYTES))
            except ValueError as error:
                self._problem = f"number {place}: {error}"
                return

    def lines(self, parse: Callable[[str], T]) -> Iterator[T]:
        """Yield the parsed lines that are not empty; report an invalid line on standard error, and continue.

        A line that is not UTF-8 ends the input, since the rest of a file in another encoding would not be right either.

        Args:
            parse: parses a line, or raises ValueError or click.BadParameter with the reason.
        """
        for place, line in enumerate(self._split(_LINE_END, _MAX_LINE_BYTES, self._file.readline), 1):
            try:
                text = _decode(line, _MAX_LINE_BYTES).strip()
            except ValueError as error:
                self._problem = f"line {place}: {error}"
                return
            try:
                if text:
                    yield parse(text)
            except (ValueError, click.BadParameter) as error:
                reason = error.message if isinstance(error, click.BadParameter) else error
                click.echo(f"Invalid line '{text}': {reason}", err=True)

    def check(self) -> None:
        """Raise the problem that ended the input.

        Raises:
            InputError: the input was invalid; the message says which number or line.
        """
        if self._problem:
            raise InputError(self._problem)

    @staticmethod
    def _split(end: re.Pattern[bytes], max_bytes: int, read: Callable[[int], bytes]) -> Iterator[bytes]:
        """Yield pieces of the input. If a piece that is not complete yet is too long, yield its beginning, and stop."""
        rest = b""
        is_first = True
        while data := read(_CHUNK_BYTES):
            if is_first:
                data, is_first = data.removeprefix(_BYTE_ORDER_MARK), False
            *pieces, rest = end.split(rest + data)
            yield from pieces
            if len(rest) > max_bytes:
                break
        if rest:
            yield rest


def _decode(data: bytes, max_bytes: int) -> str:
    if len(data) > max_bytes:
        raise ValueError(f"longer than {max_bytes} bytes")
    try:
        return data.decode()
    except UnicodeDecodeError as error:
        raise ValueError("not UTF-8") from error
