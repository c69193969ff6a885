"""How many calls a second one instance of the image answers with one core, and how long they take.

bazel run //benchmarks:capacity [-- --rounds N] [--json]. The container has one core, h2load another, with as many calls
in flight as Cloud Run sends an instance by default. In turn, N times each: the server as it runs on Cloud Run, on its
other engine, and one that checks identity tokens itself, and knows the one that is sent. Every answer is looked at by
its length: an error would have none.
"""

import argparse
import json
import os
import platform
import re
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import asdict, dataclass
from pathlib import Path

from calculator.v1 import calculator_pb2 as pb

from bazel.oci.layout import Layout
from deploy import contained
from deploy.container import Container
from deploy.emulator.issuer import ACCOUNT, Issuer
from tests import programs
from tests.key_server import KeyServer

_CONNECTIONS, _STREAMS = 8, 10  # 80 calls in flight: https://cloud.google.com/run/docs/about-concurrency
_PREFIX = 5  # https://github.com/grpc/grpc/blob/master/doc/PROTOCOL-HTTP2.md: what a message is preceded by
_REQUEST = pb.CalculateRequest(operation=pb.OPERATION_MULTIPLY, first_operand=6, second_operand=7)
_RESPONSE = pb.CalculateResponse(result=42)
_AUDIENCE = "https://localhost"


@dataclass(frozen=True)
class Sample:
    """What was measured in one round.

    Attributes:
        calls_a_second: how many were answered.
        median: how long a call took, in milliseconds.
        percentile_99: how long 99 of 100 took at most, in milliseconds.
    """

    calls_a_second: float
    median: float
    percentile_99: float


@dataclass(frozen=True)
class Subject:
    """A server that is measured.

    Attributes:
        server: it.
        process: its own process, in its container.
        headers: what a call of it needs.
    """

    server: programs.Server
    process: int
    headers: tuple[str, ...] = ()


class LoadError(Exception):
    """The load was not answered as it should be; the message has what h2load said."""


def read(output: str, times: str, calls: int) -> Sample:
    """Return what h2load measured.

    Args:
        output: what it printed.
        times: its log: a line "when TAB status TAB microseconds" for each call.
        calls: how many there were to be.

    Raises:
        LoadError: there were others than those, or a call has no answer.
    """
    answered = re.search(rf"{calls} succeeded, 0 failed", output)
    data = re.search(r"\((\d+)\) data", output)
    speed = re.search(r", ([0-9.]+) req/s", output)
    if not (answered and data and speed and int(data[1]) == calls * (_PREFIX + _RESPONSE.ByteSize())):
        raise LoadError(f"not every call was answered:\n{output}")
    taken = statistics.quantiles((int(line.split("\t")[2]) / 1000 for line in times.splitlines()), n=100)
    return Sample(float(speed[1]), taken[49], taken[98])


def _load(h2load: Path, subject: Subject, calls: int, folder: Path) -> Sample:
    """Send calls to a server, and return what they took."""
    message = _REQUEST.SerializeToString()
    body, times = folder / "body", folder / "times"
    body.write_bytes(bytes(1) + len(message).to_bytes(4) + message)
    times.unlink(missing_ok=True)
    headers = ("content-type: application/grpc", "te: trailers", *subject.headers)
    finished = subprocess.run(
        [
            *(str(h2load), f"--requests={calls}", f"--clients={_CONNECTIONS}", f"--max-concurrent-streams={_STREAMS}"),
            *(f"--data={body}", f"--log-file={times}", *(f"--header={header}" for header in headers)),
            f"http://127.0.0.1:{subject.server.port}/calculator.v1.Calculator/Calculate",
        ],
        capture_output=True,
        text=True,
        check=True,
    )
    return read(finished.stdout, times.read_text("ascii"), calls)


def _pin(process: int, core: int) -> None:
    """Have a process run on one core; the threads that it will have inherit it."""
    for thread in Path(f"/proc/{process}/task").iterdir():
        os.sched_setaffinity(int(thread.name), {core})


def _subjects(container: Container, core: int, stack: ExitStack) -> Iterator[tuple[str, Subject]]:
    """Start each server on a core, until the stack is closed."""
    issuer = Issuer()
    keys = stack.enter_context(KeyServer(issuer))
    rules = (f"--allowed-audience={_AUDIENCE}", f"--allowed-caller={ACCOUNT}", f"--identity-keys={keys.url}")
    token = f"authorization: Bearer {issuer.token(_AUDIENCE)}"
    for name, flags, headers in (
        ("as on Cloud Run", (), ()),
        ("with --engine=fast", ("--engine=fast",), ()),
        ("that knows its caller's token", ("--require-identity-token", *rules), (token,)),
    ):
        server = stack.enter_context(contained.serving(container, *flags, K_SERVICE="calculator"))
        process = container.process(server.process.pid)
        _pin(process, core)
        yield name, Subject(server, process, headers)


def table(measured: dict[str, list[Sample]], memory: dict[str, int]) -> str:
    """Return the medians of all rounds in Markdown.

    Args:
        measured: the rounds of each server.
        memory: the most that each server needed, in kB.
    """
    lines = [
        "| server | calls a second | least to most | median | 99 of 100 | memory |",
        "| --- | ---: | ---: | ---: | ---: | ---: |",
    ]
    for name, samples in measured.items():
        speeds = [sample.calls_a_second for sample in samples]
        median, slow = (statistics.median(getattr(s, field) for s in samples) for field in ("median", "percentile_99"))
        lines.append(
            f"| {name} | {statistics.median(speeds):.0f} | {min(speeds):.0f} to {max(speeds):.0f}"
            f" | {median:.1f} ms | {slow:.1f} ms | {memory[name] / 1000:.0f} MB |"
        )
    return "\n".join(lines)


def main() -> int:
    """Measure, and print the figures."""
    parser = argparse.ArgumentParser(description="Measure how many calls a second an instance answers with one core.")
    parser.add_argument("bubblewrap", type=Path, help=argparse.SUPPRESS)
    parser.add_argument("h2load", type=Path, help=argparse.SUPPRESS)
    parser.add_argument("--rounds", type=int, default=5, help="how many of each, from 1 (default: 5)")
    parser.add_argument("--calls", type=int, default=20000, help="how many a round, from 100 (default: 20000)")
    parser.add_argument("--json", action="store_true", help="print every figure, for programs")
    arguments = parser.parse_args()
    if arguments.rounds < 1 or arguments.calls < 100:  # noqa: PLR2004
        parser.error("accepted are 1 round or more, of 100 calls or more")
    cores = sorted(os.sched_getaffinity(0))
    if len(cores) < 2:  # noqa: PLR2004
        parser.error("it takes two cores: one for the server, one for the load")
    os.sched_setaffinity(0, {cores[1]})
    with tempfile.TemporaryDirectory() as name, ExitStack() as stack:
        folder = Path(name)
        (folder / "root").mkdir()
        container = Container(Layout(Path("deploy/image")), folder / "root", arguments.bubblewrap)
        subjects = dict(_subjects(container, cores[0], stack))
        measured: dict[str, list[Sample]] = {subject: [] for subject in subjects}
        for counts in [False] + [True] * arguments.rounds:  # the first is for warming up
            for subject_name, subject in subjects.items():
                sample = _load(arguments.h2load, subject, arguments.calls, folder)
                if counts:
                    measured[subject_name].append(sample)
        memory = {name: programs.figure(subject.process, "VmHWM") for name, subject in subjects.items()}
    if arguments.json:
        print(json.dumps({name: [asdict(sample) for sample in samples] for name, samples in measured.items()}))
    else:
        flight = _CONNECTIONS * _STREAMS
        print(
            f"{arguments.rounds} rounds of {arguments.calls} calls, {flight} in flight, one core, {platform.machine()}"
        )
        print(f"\n{table(measured, memory)}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
