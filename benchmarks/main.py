"""bazel run //benchmarks: how many calls and messages a second a core answers, ours and others' servers compared.

Every server has the same handlers, and in turn a core, and the same load from h2load on another, with as many calls in
flight as Cloud Run sends an instance by default; N rounds, after one that is not counted. The answers must be as long
as they should. --json prints every figure, --plot FILE draws the medians as SVG.
"""

import argparse
import json
import os
import platform
import statistics
import sys
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from dataclasses import asdict, dataclass, field
from pathlib import Path

import grpc
import pygal  # type: ignore[import-untyped]
from pygal.style import CleanStyle  # type: ignore[import-untyped]

from benchmarks import subjects, workers
from benchmarks.load import CONNECTIONS, STREAMS, Load, LoadError, Sample, Work, cores
from benchmarks.works import works


def _median(samples: Sequence[Sample], figure: str) -> float:
    return float(statistics.median(getattr(sample, figure) for sample in samples))


@dataclass
class Measured:
    """What was measured of one server.

    Attributes:
        rounds: of each kind of call, every round.
        half: unary calls, at half the load.
        memory: the most that it needed, in kB.
    """

    rounds: dict[str, list[Sample]] = field(default_factory=dict)
    half: list[Sample] = field(default_factory=list)
    memory: int = 0

    def speed(self, kind: str) -> float:
        """Return the median of calls a second."""
        return _median(self.rounds[kind], "calls_a_second")


def measure(
    load: Load, servers: Sequence[subjects.Running], all_works: Sequence[Work], rounds: int
) -> dict[str, Measured]:
    """Return what each server did with each work, in as many rounds of all of them, after one that is not counted."""
    measured = {server.subject.name: Measured() for server in servers}
    for counts in [False] + [True] * rounds:
        for server in servers:
            of_server = measured[server.subject.name]
            for work in all_works[: server.subject.kinds]:
                sample = load.send(work, server.port)
                if counts:
                    of_server.rounds.setdefault(work.kind, []).append(sample)
            half = load.send(all_works[0], server.port, streams=STREAMS // 2)
            if counts:
                of_server.half.append(half)
            of_server.memory = server.memory
            server.forget_log()
    return measured


def unary_table(measured: dict[str, Measured], kind: str) -> Iterator[str]:
    """Yield the lines of what came of the unary calls, in Markdown."""
    figures = (
        "calls a second",
        "least to most",
        "to the tutorial's",
        "median",
        "99 of 100",
        "at half the load",
        "memory",
    )
    yield f"| server | {' | '.join(figures)} |"
    yield "| --- |" + " ---: |" * len(figures)
    tutorial = measured[subjects.TUTORIAL.name].speed(kind)
    for name, of_server in measured.items():
        samples = of_server.rounds[kind]
        speeds_of = [sample.calls_a_second for sample in samples]
        yield (
            f"| {name} | {of_server.speed(kind):.0f} | {min(speeds_of):.0f} to {max(speeds_of):.0f}"
            f" | {of_server.speed(kind) / tutorial:.2f} | {_median(samples, 'median'):.1f} ms"
            f" | {_median(samples, 'percentile_99'):.1f} ms | {_median(of_server.half, 'percentile_99'):.1f} ms"
            f" | {of_server.memory / 1000:.0f} MB |"
        )


def stream_table(measured: dict[str, Measured], streams: Sequence[Work]) -> Iterator[str]:
    """Yield the lines of what came of the streams, in messages a second, in Markdown."""
    yield f"| server | {' | '.join(f'{work.kind} | to stock' for work in streams)} |"
    yield "| --- |" + " ---: |" * 2 * len(streams)
    stock = measured[subjects.STOCK.name]
    for name, of_server in measured.items():
        if streams[0].kind in of_server.rounds:
            cells = [
                f"{of_server.speed(work.kind) * work.messages:.0f}"
                f" | {of_server.speed(work.kind) / stock.speed(work.kind):.2f}"
                for work in streams
            ]
            yield f"| {name} | {' | '.join(cells)} |"


def plot(measured: dict[str, Measured], kind: str) -> bytes:
    """Return a picture of the unary calls, as SVG."""
    chart = pygal.HorizontalBar(
        title="Unary calls a second, on one core",
        show_legend=False,
        print_values=True,
        formatter=lambda speed: f"{speed:,.0f}",
        height=60 + 40 * len(measured),
        style=CleanStyle,
        js=[],
    )
    names = list(reversed(measured))
    chart.x_labels = names
    chart.add("", [measured[name].speed(kind) for name in names])
    rendered: bytes = chart.render()
    return rendered


def _machine() -> str:
    models = [line for line in Path("/proc/cpuinfo").read_text().splitlines() if line.startswith("model name")]
    model = models[0].partition(": ")[2] if models else platform.machine()
    return f"{model}, CPython {platform.python_version()}, grpcio {grpc.__version__}"


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(description="Compare how many calls a second servers answer with one core.")
    parser.add_argument("h2load", type=Path, help=argparse.SUPPRESS)
    parser.add_argument("--rounds", type=int, default=5, help="how many of each, from 1 (default: 5)")
    parser.add_argument("--calls", type=int, default=20000, help="unary calls a round, from 100 (default: 20000)")
    parser.add_argument("--json", action="store_true", help="print every figure, for programs")
    parser.add_argument("--plot", type=Path, help="where to draw the medians, as SVG")
    return parser


def _of_workers(arguments: argparse.Namespace, work: Work) -> dict[int, float]:
    """Return what one and two workers do, or nothing where that cannot be measured."""
    try:
        with tempfile.TemporaryDirectory() as name:
            return workers.measure(Load(arguments.h2load, Path(name)), work, arguments.rounds)
    except OSError as error:
        print(f"benchmarks: workers are not measured: {error}", file=sys.stderr)
        return {}


def _measured(arguments: argparse.Namespace, all_works: Sequence[Work]) -> dict[str, Measured]:
    [server_core, load_core, *_] = cores()
    os.sched_setaffinity(0, {load_core})
    with tempfile.TemporaryDirectory() as name, ExitStack() as stack:
        cpp = subjects.in_cpp(Path(name))
        all_subjects = [*subjects.PYTHON, *([cpp] if cpp else [])]
        servers = [stack.enter_context(subjects.running(subject, server_core)) for subject in all_subjects]
        return measure(Load(arguments.h2load, Path(name)), servers, all_works, arguments.rounds)


def main() -> int:
    """Measure, and print the figures."""
    parser = _parser()
    arguments = parser.parse_args()
    if arguments.rounds < 1 or arguments.calls < 100:  # noqa: PLR2004
        parser.error("accepted are 1 round or more, of 100 calls or more")
    all_works = works(arguments.calls)
    [unary, *_] = all_works
    try:
        measured = _measured(arguments, all_works)
        of_workers = _of_workers(arguments, unary)
    except LoadError as error:
        print(f"benchmarks: {error}", file=sys.stderr)
        return 1
    _report(arguments, measured, of_workers, all_works)
    if arguments.plot:
        folder = Path(os.environ.get("BUILD_WORKING_DIRECTORY", "."))  # where "bazel run" was typed
        (folder / arguments.plot).write_bytes(plot(measured, unary.kind))
    return 0


def _report(
    arguments: argparse.Namespace,
    measured: dict[str, Measured],
    of_workers: dict[int, float],
    all_works: Sequence[Work],
) -> None:
    [unary, *streams] = all_works
    if arguments.json:
        figures = {name: asdict(of_server) for name, of_server in measured.items()}
        print(json.dumps({"machine": _machine(), "servers": figures, "workers": of_workers}))
        return
    print(f"{_machine()}\n{arguments.rounds} rounds, {CONNECTIONS * STREAMS} calls in flight, one core\n")
    print("\n".join(unary_table(measured, unary.kind)))
    print(f"\nMessages a second, {', '.join(f'{work.messages} a {work.kind}' for work in streams)}:\n")
    print("\n".join(stream_table(measured, streams)))
    if of_workers:
        [one, two] = of_workers.values()
        print(
            f"\nEach on half a core, one worker answers {one:.0f} calls a second, two {two:.0f}: {two / one:.2f} times."
        )


if __name__ == "__main__":
    sys.exit(main())
