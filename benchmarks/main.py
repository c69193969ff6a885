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

from benchmarks import goals, results, servers, workers, workloads
from benchmarks.load import Load, LoadError, Workload, cores
from benchmarks.results import Measured, Results

_REFERENCES = {
    servers.TUTORIAL.name: "vs. tutorial",
    servers.STOCK.name: "vs. stock",
    servers.GO.name: "vs. Go",
    servers.CPP: "vs. C++",
}


def _workloads(calls: int) -> list[Workload]:
    """Return all workloads, with the names that `servers` defines."""
    latency, one, many = servers.SHAPES
    small, large = servers.ECHO
    return [
        *workloads.workloads(calls),
        workloads.unary(max(calls // 5, 10), latency, connections=1, streams=1),
        workloads.unary(calls, one, connections=1, streams=100),
        workloads.unary(max(2 * calls, 1000), many, connections=1000, streams=1),
        workloads.echo(small, 64 << 10, calls // 5, streams=10),
        workloads.echo(large, 1 << 20, calls // 50, streams=1),
        workloads.sleeping(servers.SLEEPING, max(calls // 2, 80)),
    ]


def measure(
    load: Load, core: int, all_servers: Sequence[servers.Server], all_workloads: Sequence[Workload], rounds: int
) -> Results:
    """Measure all servers in turn with each workload, after a round that is not counted.

    Each workload starts new servers, so that an earlier workload does not affect their memory.
    """
    all_results: Results = {workload.name: {} for workload in all_workloads}
    for workload in all_workloads:
        with ExitStack() as stack:
            chosen = [server for server in all_servers if workload.name in server.workloads]
            running = [stack.enter_context(servers.running(server, core)) for server in chosen]
            for counts in [False] + [True] * rounds:
                for each in running:
                    of_server = all_results[workload.name].setdefault(each.server.name, Measured())
                    _measure(load, each, workload, of_server if counts else Measured())
    return all_results


def _measure(load: Load, server: servers.Running, workload: Workload, of_server: Measured) -> None:
    """Measure one round of a server, and add it to the server's figures."""
    began = server.cpu_seconds
    of_server.samples.append(load.send(workload, server.port))
    of_server.cpu_microseconds.append((server.cpu_seconds - began) / workload.calls * 1e6)
    of_server.memory = server.peak_memory
    server.truncate_log()


def plot(of_workload: dict[str, Measured]) -> bytes:
    """Return a bar chart of the calls per second of one workload, as SVG."""
    chart = pygal.HorizontalBar(
        title="Unary calls per second on one core",
        show_legend=False,
        print_values=True,
        formatter=lambda speed: f"{speed:,.0f}",
        height=60 + 40 * len(of_workload),
        style=CleanStyle,
        js=[],
    )
    names = list(reversed(of_workload))
    chart.x_labels = names
    chart.add("", [of_workload[name].calls_per_second for name in names])
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
    parser.add_argument("--workloads", nargs="+", metavar="NAME", help="measure only these workloads (default: all)")
    parser.add_argument("--json", action="store_true", help="print the figures of every round, in JSON")
    parser.add_argument("--plot", type=Path, metavar="FILE", help="draw the medians of the unary calls, as SVG")
    return parser


def _of_workers(h2load: Path, rounds: int, workload: Workload) -> dict[int, float]:
    """Return the calls per second of one and two workers; empty if cgroups are not available."""
    try:
        with tempfile.TemporaryDirectory() as name:
            return workers.measure(Load(h2load, Path(name)), workload, rounds)
    except OSError as error:
        print(f"benchmarks: workers are not measured: {error}", file=sys.stderr)
        return {}


def _measured(h2load: Path, rounds: int, all_workloads: Sequence[Workload]) -> Results:
    [server_core, load_core, *_] = cores()
    os.sched_setaffinity(0, {load_core})
    with tempfile.TemporaryDirectory() as name:
        cpp = servers.in_cpp(Path(name))
        all_servers = [*servers.PYTHON, servers.GO, *([cpp] if cpp else [])]
        return measure(Load(h2load, Path(name)), server_core, all_servers, all_workloads, rounds)


def main() -> int:
    """Measure, and print the figures; return 1 if a server did not answer as expected."""
    parser = _parser()
    arguments = parser.parse_args()
    if arguments.rounds < 1 or arguments.calls < 100:  # noqa: PLR2004
        parser.error("--rounds must be at least 1, and --calls at least 100")
    all_workloads = _workloads(arguments.calls)
    [unary, *_] = all_workloads
    names = [workload.name for workload in all_workloads]
    if unknown := set(arguments.workloads or ()) - set(names):
        parser.error(f"unknown workload {', '.join(sorted(unknown))}: must be {', '.join(names)}")
    all_workloads = [workload for workload in all_workloads if workload.name in (arguments.workloads or names)]
    if arguments.plot and unary not in all_workloads:
        parser.error(f"--plot draws the workload {unary.name}: add it to --workloads")
    try:
        all_results = _measured(arguments.h2load, arguments.rounds, all_workloads)
        of_workers = _of_workers(arguments.h2load, arguments.rounds, unary)
    except LoadError as error:
        print(f"benchmarks: {error}", file=sys.stderr)
        return 1
    if arguments.json:
        print(json.dumps({"machine": _machine(), "results": _figures(all_results), "workers": of_workers}))
    else:
        print(f"{_machine()}, {arguments.rounds} rounds")
        _report(all_results, of_workers, all_workloads)
    if arguments.plot:
        folder = Path(os.environ.get("BUILD_WORKING_DIRECTORY", "."))  # where "bazel run" was typed
        (folder / arguments.plot).write_bytes(plot(all_results[unary.name]))
    return 0


def _figures(all_results: Results) -> dict[str, dict[str, dict[str, Any]]]:
    return {
        workload: {name: asdict(of_server) for name, of_server in of_workload.items()}
        for workload, of_workload in all_results.items()
    }


def _report(all_results: Results, of_workers: dict[int, float], all_workloads: Sequence[Workload]) -> None:
    for workload in all_workloads:
        in_flight = f"{workload.connections} x {workload.streams} in flight"
        print(f"\n{workload.name}: {in_flight}, {workload.calls} calls a round\n")
        print("\n".join(results.table(workload, all_results[workload.name], _REFERENCES)))
    print("\ngoals\n")
    print("\n".join(goals.table(all_results)))
    if of_workers:
        [one, two] = of_workers.values()
        rates = f"1 worker {one:.0f} calls/s, 2 workers {two:.0f} calls/s"
        print(f"\nWith half a core per worker: {rates} (ratio {two / one:.2f}).")


if __name__ == "__main__":
    sys.exit(main())
