"""Sends calls of one kind to a server with h2load, and checks that all responses together have the expected length."""

import os
import re
import statistics
import subprocess
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

CONNECTIONS, STREAMS = 8, 10  # 80 calls in flight: https://cloud.google.com/run/docs/about-concurrency
_SECONDS = 4
_PREFIX = 5  # bytes before each message: https://github.com/grpc/grpc/blob/master/doc/PROTOCOL-HTTP2.md


@dataclass(frozen=True)
class Workload:
    """A workload.

    Attributes:
        name: the name, such as "unary".
        path: the path of the method, /SERVICE/METHOD.
        requests: the serialized request messages of a call.
        responses: the serialized response messages of a call.
        calls: the number of calls in a round.
        connections: the number of connections.
        streams: the number of calls in flight per connection.
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
        """The number of messages of a call, in the direction that has more of them."""
        return max(len(self.requests), len(self.responses))

    @property
    def body(self) -> bytes:
        """The body of a request: all its messages with their prefixes."""
        return b"".join(bytes(1) + len(message).to_bytes(4) + message for message in self.requests)

    @property
    def response_bytes(self) -> int:
        """The size of all responses of a round, in bytes, with prefixes."""
        return self.calls * sum(_PREFIX + len(message) for message in self.responses)


@dataclass(frozen=True)
class Sample:
    """The figures of one round.

    Attributes:
        calls_per_second: the answered calls per second.
        p50: the median latency, in milliseconds.
        p99: the 99th percentile of the latency, in milliseconds.
    """

    calls_per_second: float
    p50: float
    p99: float


class LoadError(Exception):
    """The server did not answer as expected, or the load cannot be sent; the message has h2load's output."""


def read(output: str, times: str, workload: Workload) -> Sample:
    """Parse the output of h2load.

    Args:
        output: its standard output.
        times: its log, with a line "when TAB status TAB microseconds" for each call.
        workload: the workload that it sent.

    Raises:
        LoadError: a call failed, or the responses do not have the expected length. A gRPC error has no message.
    """
    answered = re.search(rf"{workload.calls} succeeded, 0 failed", output)
    data = re.search(r"\((\d+)\) data", output)
    speed = re.search(r", ([0-9.]+) req/s", output)
    if not (answered and data and speed and int(data[1]) == workload.response_bytes):
        raise LoadError(f"not every call of {workload.path} was answered:\n{output}")
    taken = statistics.quantiles((int(line.split("\t")[2]) / 1000 for line in times.splitlines()), n=100)
    return Sample(float(speed[1]), taken[49], taken[98])


class Load:
    """The load generator, h2load.

    Args:
        program: the path of h2load.
        folder: a folder for its files.
    """

    def __init__(self, program: Path, folder: Path) -> None:
        """Keep the paths; nothing is sent yet."""
        self._program = program
        self._body, self._times = folder / "body", folder / "times"

    def send(self, workload: Workload, port: int, headers: Sequence[str] = ()) -> Sample:
        """Send a round of calls to a server on this machine, and return its figures.

        Args:
            workload: the workload.
            port: the port of the server.
            headers: additional headers of each call, as "name: value".

        Raises:
            LoadError: not every call was answered as expected.
        """
        self._times.unlink(missing_ok=True)
        finished = self._run(
            workload,
            port,
            headers,
            f"--requests={workload.calls}",
            f"--clients={workload.connections}",
            f"--max-concurrent-streams={workload.streams}",
            f"--log-file={self._times}",
        )
        return read(finished, self._times.read_text("ascii"), workload)

    def measure_sustained_rate(self, workload: Workload, port: int, connections: int) -> float:
        """Send calls to a server for a few seconds, one after the other on each connection; return the calls/s.

        Args:
            workload: the workload; its numbers of calls, connections and streams are ignored.
            port: the port of the server.
            connections: the number of connections.

        Raises:
            LoadError: not every call was answered as expected.
        """
        times = ("--warm-up-time=1", f"--duration={_SECONDS}")
        finished = self._run(workload, port, (), f"--clients={connections}", "--max-concurrent-streams=1", *times)
        answered = re.search(r"(\d+) succeeded, 0 failed", finished)
        data = re.search(r"\((\d+)\) data", finished)
        speed = re.search(r", ([0-9.]+) req/s", finished)
        size = workload.response_bytes // workload.calls
        # The bytes include those of the warm-up.
        if not (answered and data and speed) or int(data[1]) % size or int(data[1]) < int(answered[1]) * size:
            raise LoadError(f"not every call of {workload.path} was answered:\n{finished}")
        return float(speed[1])

    def _run(self, workload: Workload, port: int, headers: Sequence[str], *options: str) -> str:
        self._body.write_bytes(workload.body)
        headers = ("content-type: application/grpc", "te: trailers", *headers)
        url = f"http://127.0.0.1:{port}{workload.path}"
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
    """Return the cores that this process may run on, which are at least two.

    Raises:
        LoadError: there is only one core.
    """
    found = sorted(os.sched_getaffinity(0))
    if len(found) < 2:  # noqa: PLR2004
        raise LoadError("only one core is available; the server and the load need one each")
    return found


def pin(process: int, core: int) -> None:
    """Restrict all threads of a process to one core; new threads inherit this."""
    for thread in Path(f"/proc/{process}/task").iterdir():
        os.sched_setaffinity(int(thread.name), {core})
