"""bazel run //benchmarks: compares the throughput, latency, CPU time and memory of servers on one core.

All servers have the same servicers. They take turns on one core, with the same load from h2load on another core: a
round that is not counted, and then N rounds. All responses must have the expected length. --json prints every figure,
and --plot FILE draws the medians of the unary calls as SVG.
"""

import argparse
import json
import os
import platform
import sys
import tempfile
from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import asdict
from pathlib import Path
from typing import Any

import grpc
import pygal  # type: ignore[import-untyped]
from pygal.style import CleanStyle  # type: ignore[import-untyped]

from benchmarks import goals, measured, subjects, workers, works
from benchmarks.load import Load, LoadError, Work, cores
from benchmarks.measured import Measured, Results

_REFERENCES = {subjects.TUTORIAL.name: "vs. tutorial", subjects.STOCK.name: "vs. stock", subjects.CPP: "vs. C++"}


def _works(calls: int) -> list[Work]:
    """Return all workloads, with the names that `subjects` defines."""
    latency, one, many = subjects.SHAPES
    small, large = subjects.ECHO
    return [
        *works.works(calls),
        works.unary(max(calls // 5, 10), latency, connections=1, streams=1),
        works.unary(calls, one, connections=1, streams=100),
        works.unary(max(2 * calls, 1000), many, connections=1000, streams=1),
        works.echo(small, 64 << 10, calls // 5, streams=10),
        works.echo(large, 1 << 20, calls // 50, streams=1),
        works.sleeping(subjects.SLEEPING, max(calls // 2, 80)),
    ]


def measure(
    load: Load, core: int, all_subjects: Sequence[subjects.Subject], all_works: Sequence[Work], rounds: int
) -> Results:
    """Measure all servers in turn with each workload, after a round that is not counted.

    Each workload starts new servers, so that an earlier workload does not affect their memory.
    """
    results: Results = {work.name: {} for work in all_works}
    for work in all_works:
        with ExitStack() as stack:
            chosen = [subject for subject in all_subjects if work.name in subject.works]
            servers = [stack.enter_context(subjects.running(subject, core)) for subject in chosen]
            for counts in [False] + [True] * rounds:
                for server in servers:
                    of_server = results[work.name].setdefault(server.subject.name, Measured())
                    _measure(load, server, work, of_server if counts else Measured())
    return results


def _measure(load: Load, server: subjects.Running, work: Work, of_server: Measured) -> None:
    """Measure one round of a server, and add it to the server's figures."""
    began = server.cpu_seconds
    of_server.samples.append(load.send(work, server.port))
    of_server.cpu_microseconds.append((server.cpu_seconds - began) / work.calls * 1e6)
    of_server.memory = server.peak_memory
    server.forget_log()


def plot(of_work: dict[str, Measured]) -> bytes:
    """Return a bar chart of the calls per second of one workload, as SVG."""
    chart = pygal.HorizontalBar(
        title="Unary calls per second on one core",
        show_legend=False,
        print_values=True,
        formatter=lambda speed: f"{speed:,.0f}",
        height=60 + 40 * len(of_work),
        style=CleanStyle,
        js=[],
    )
    names = list(reversed(of_work))
    chart.x_labels = names
    chart.add("", [of_work[name].calls_per_second for name in names])
    rendered: bytes = chart.render()
    return rendered


def _machine() -> str:
    models = [line for line in Path("/proc/cpuinfo").read_text().splitlines() if line.startswith("model name")]
    model = models[0].partition(": ")[2] if models else platform.machine()
    return f"{model}, CPython {platform.python_version()}, grpcio {grpc.__version__}"


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(description="Compare the calls/s of servers on one core.")
    parser.add_argument("h2load", type=Path, help=argparse.SUPPRESS)
    parser.add_argument("--rounds", type=int, default=5, help="rounds of each server, from 1 (default: 5)")
    parser.add_argument("--calls", type=int, default=10000, help="unary calls in a round, from 100 (default: 10000)")
    parser.add_argument("--works", nargs="+", metavar="NAME", help="measure only these workloads (default: all)")
    parser.add_argument("--json", action="store_true", help="print the figures of every round, in JSON")
    parser.add_argument("--plot", type=Path, metavar="FILE", help="draw the medians of the unary calls, as SVG")
    return parser


def _of_workers(h2load: Path, rounds: int, work: Work) -> dict[int, float]:
    """Return the calls per second of one and two workers; empty if cgroups are not available."""
    try:
        with tempfile.TemporaryDirectory() as name:
            return workers.measure(Load(h2load, Path(name)), work, rounds)
    except OSError as error:
        print(f"benchmarks: workers are not measured: {error}", file=sys.stderr)
        return {}


def _measured(h2load: Path, rounds: int, all_works: Sequence[Work]) -> Results:
    [server_core, load_core, *_] = cores()
    os.sched_setaffinity(0, {load_core})
    with tempfile.TemporaryDirectory() as name:
        cpp = subjects.in_cpp(Path(name))
        all_subjects = [*subjects.PYTHON, *([cpp] if cpp else [])]
        return measure(Load(h2load, Path(name)), server_core, all_subjects, all_works, rounds)


def main() -> int:
    """Measure, and print the figures; return 1 if a server did not answer as expected."""
    parser = _parser()
    arguments = parser.parse_args()
    if arguments.rounds < 1 or arguments.calls < 100:  # noqa: PLR2004
        parser.error("--rounds must be at least 1, and --calls at least 100")
    all_works = _works(arguments.calls)
    [unary, *_] = all_works
    names = [work.name for work in all_works]
    if unknown := set(arguments.works or ()) - set(names):
        parser.error(f"unknown workload {', '.join(sorted(unknown))}: must be {', '.join(names)}")
    all_works = [work for work in all_works if work.name in (arguments.works or names)]
    if arguments.plot and unary not in all_works:
        parser.error(f"--plot draws the workload {unary.name}: add it to --works")
    try:
        results = _measured(arguments.h2load, arguments.rounds, all_works)
        of_workers = _of_workers(arguments.h2load, arguments.rounds, unary)
    except LoadError as error:
        print(f"benchmarks: {error}", file=sys.stderr)
        return 1
    if arguments.json:
        print(json.dumps({"machine": _machine(), "results": _figures(results), "workers": of_workers}))
    else:
        print(f"{_machine()}, {arguments.rounds} rounds")
        _report(results, of_workers, all_works)
    if arguments.plot:
        folder = Path(os.environ.get("BUILD_WORKING_DIRECTORY", "."))  # where "bazel run" was typed
        (folder / arguments.plot).write_bytes(plot(results[unary.name]))
    return 0


def _figures(results: Results) -> dict[str, dict[str, dict[str, Any]]]:
    return {work: {name: asdict(of_server) for name, of_server in of_work.items()} for work, of_work in results.items()}


def _report(results: Results, of_workers: dict[int, float], all_works: Sequence[Work]) -> None:
    for work in all_works:
        print(f"\n{work.name}: {work.connections} x {work.streams} in flight, {work.calls} calls a round\n")
        print("\n".join(measured.table(work, results[work.name], _REFERENCES)))
    print("\ngoals\n")
    print("\n".join(goals.table(results)))
    if of_workers:
        [one, two] = of_workers.values()
        print(f"\nEach on half a core, one worker answers {one:.0f} calls/s, two {two:.0f}: {two / one:.2f} times.")


if __name__ == "__main__":
    sys.exit(main())
