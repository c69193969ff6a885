"""Writes to a full pipe or socket, which must not block, must drop only whole lines, and must report them later."""

import fcntl
import logging
import os
import socket
from collections.abc import Iterator

import pytest

from server.observability.stderr import Stderr, StderrHandler

# A Stderr keeps its socket open until the process ends.
pytestmark = [
    pytest.mark.filterwarnings("ignore::ResourceWarning"),
    pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning"),
]

LINE = b"a line of the log" * 10 + b"\n"


@pytest.fixture(params=["pipe", "socket"])
def ends(request: pytest.FixtureRequest) -> Iterator[tuple[int, int]]:
    """The reading and the writing end of a pipe or a pair of sockets."""
    if request.param == "pipe":
        reading, writing = os.pipe()
    else:
        reading, writing = (each.detach() for each in socket.socketpair())
    os.set_blocking(reading, False)
    yield reading, writing
    os.close(reading)
    os.close(writing)


def _read_all(reading: int) -> bytes:
    data = b""
    try:
        while more := os.read(reading, 65536):
            data += more
    except BlockingIOError:
        pass
    return data


def _fill(stderr: Stderr) -> int:
    """Write lines until one is dropped, and return how many were written."""
    written = 0
    while not stderr._dropped:  # noqa: SLF001
        stderr.write(LINE, 1)
        written += 1
    return written - 1


def test_lines_that_would_block_are_dropped_counted_and_reported(
    ends: tuple[int, int], caplog: pytest.LogCaptureFixture
) -> None:
    reading, writing = ends
    stderr = Stderr(writing)
    written = _fill(stderr)
    stderr.write(LINE * 3, 3)
    assert _read_all(reading).startswith(LINE * (written - 1))
    stderr.write(b"last\n", 1)
    read = _read_all(reading)
    assert read.endswith(b"last\n")
    assert not read.removesuffix(b"last\n") or LINE.endswith(read.removesuffix(b"last\n"))
    assert "4 log lines were dropped" in caplog.text


def test_the_original_descriptor_still_blocks(ends: tuple[int, int]) -> None:
    _, writing = ends
    _fill(Stderr(writing))
    assert not fcntl.fcntl(writing, fcntl.F_GETFL) & os.O_NONBLOCK


def test_a_pipe_without_a_reader_is_not_an_error() -> None:
    reading, writing = os.pipe()
    stderr = Stderr(writing)
    os.close(reading)
    stderr.write(LINE, 1)
    os.close(writing)


def test_the_handler_writes_records_as_lines(ends: tuple[int, int]) -> None:
    reading, writing = ends
    handler = StderrHandler(Stderr(writing))
    handler.handle(logging.LogRecord("server", logging.INFO, __file__, 1, "%d calls \ud800", (2,), None))
    assert _read_all(reading) == b"2 calls \\ud800\n"
