"""Load by h2load: calls of one kind to any server; all responses together must have the length that they should."""

import os
import re
import statistics
import subprocess
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

CONNECTIONS, STREAMS = 8, 10  # 80 calls in flight: https://cloud.google.com/run/docs/about-concurrency
_SECONDS = 4
_PREFIX = 5  # https://github.com/grpc/grpc/blob/master/doc/PROTOCOL-HTTP2.md: what a message is preceded by


@dataclass(frozen=True)
class Work:
    """What is asked of a server.

    Attributes:
        name: what kind of call it is.
        path: the method.
        requests: the messages of a call, as bytes.
        responses: the messages of its response.
        calls: how many calls are one round.
        connections: how many connections there are.
        streams: how many calls are in flight on each connection.
    """

    name: str
    path: str
    requests: Sequence[bytes]
    responses: Sequence[bytes]
    calls: int
    connections: int = CONNECTIONS
    streams: int = STREAMS

    @property
    def messages(self) -> int:
        """How many messages a call has, in the direction in which it has more."""
        return max(len(self.requests), len(self.responses))

    @property
    def body(self) -> bytes:
        """What a call sends."""
        return b"".join(bytes(1) + len(message).to_bytes(4) + message for message in self.requests)

    @property
    def response_bytes(self) -> int:
        """The size of all responses of a round."""
        return self.calls * sum(_PREFIX + len(message) for message in self.responses)


@dataclass(frozen=True)
class Sample:
    """What h2load measured in one round.

    Attributes:
        calls_per_second: how many calls were answered.
        p50: the median latency, in milliseconds.
        p99: the 99th percentile of the latency, in milliseconds.
    """

    calls_per_second: float
    p50: float
    p99: float


class LoadError(Exception):
    """The load was not answered as it should be; the message has what h2load said."""


def read(output: str, times: str, work: Work) -> Sample:
    """Return what h2load measured.

    Args:
        output: what it printed.
        times: its log: a line "when TAB status TAB microseconds" for each call.
        work: what it asked for.

    Raises:
        LoadError: there were other calls than those, or other answers: an error has none, and so no length.
    """
    answered = re.search(rf"{work.calls} succeeded, 0 failed", output)
    data = re.search(r"\((\d+)\) data", output)
    speed = re.search(r", ([0-9.]+) req/s", output)
    if not (answered and data and speed and int(data[1]) == work.response_bytes):
        raise LoadError(f"not every call of {work.path} was answered:\n{output}")
    taken = statistics.quantiles((int(line.split("\t")[2]) / 1000 for line in times.splitlines()), n=100)
    return Sample(float(speed[1]), taken[49], taken[98])


class Load:
    """h2load.

    Args:
        program: it.
        folder: where to put what it reads and writes.
    """

    def __init__(self, program: Path, folder: Path) -> None:
        """Send nothing yet."""
        self._program = program
        self._body, self._times = folder / "body", folder / "times"

    def send(self, work: Work, port: int, headers: Sequence[str] = ()) -> Sample:
        """Send a round of calls to a server on this machine, and return what they took.

        Args:
            work: the calls.
            port: the port of the server.
            headers: what each call has besides, as "name: value".

        Raises:
            LoadError: some calls were not answered as they should be.
        """
        self._times.unlink(missing_ok=True)
        finished = self._run(
            work,
            port,
            headers,
            f"--requests={work.calls}",
            f"--clients={work.connections}",
            f"--max-concurrent-streams={work.streams}",
            f"--log-file={self._times}",
        )
        return read(finished, self._times.read_text("ascii"), work)

    def keep_up(self, work: Work, port: int, connections: int) -> float:
        """Send calls to a server for some seconds, one after the other on each connection; return how many a second.

        Raises:
            LoadError: some were not answered as they should be.
        """
        times = ("--warm-up-time=1", f"--duration={_SECONDS}")
        finished = self._run(work, port, (), f"--clients={connections}", "--max-concurrent-streams=1", *times)
        answered = re.search(r"(\d+) succeeded, 0 failed", finished)
        data = re.search(r"\((\d+)\) data", finished)
        speed = re.search(r", ([0-9.]+) req/s", finished)
        size = work.response_bytes // work.calls
        # The bytes are those of the time for warming up, too.
        if not (answered and data and speed) or int(data[1]) % size or int(data[1]) < int(answered[1]) * size:
            raise LoadError(f"not every call of {work.path} was answered:\n{finished}")
        return float(speed[1])

    def _run(self, work: Work, port: int, headers: Sequence[str], *options: str) -> str:
        self._body.write_bytes(work.body)
        headers = ("content-type: application/grpc", "te: trailers", *headers)
        url = f"http://127.0.0.1:{port}{work.path}"
        finished = subprocess.run(
            [self._program, *options, f"--data={self._body}", *(f"--header={header}" for header in headers), url],
            capture_output=True,
            text=True,
            check=False,
        )
        if finished.returncode:
            raise LoadError(f"h2load failed: {finished.stderr}")
        return finished.stdout


def cores() -> list[int]:
    """Return the cores that this process may run on.

    Raises:
        LoadError: there is only one; the server takes one, and the load another.
    """
    found = sorted(os.sched_getaffinity(0))
    if len(found) < 2:  # noqa: PLR2004
        raise LoadError("it takes two cores: one for the server, one for the load")
    return found


def pin(process: int, core: int) -> None:
    """Have a process run on one core; the threads that it will have inherit it."""
    for thread in Path(f"/proc/{process}/task").iterdir():
        os.sched_setaffinity(int(thread.name), {core})
