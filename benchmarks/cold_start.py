"""Measures the cold start, from exec of the container's entry point to the first answer, with and without bytecode.

bazel run //benchmarks:cold_start [-- --rounds N] [--json]. There are three variants of the image: as it was built; with
the bytecode of wheels only, as "pip install" leaves it in Docker's Python images; and without bytecode, like a folder
that was copied. In addition, an interpreter that does nothing measures the start of the container itself. All of them
take turns, N times each.
"""

import argparse
import functools
import json
import os
import platform
import shutil
import statistics
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import grpc
from calculator.v1 import calculator_pb2 as pb
from calculator.v1 import calculator_pb2_grpc

from bazel.oci.container import Container
from bazel.oci.layout import Layout
from testing import image_server, programs, timeouts

_AS_BUILT, _BASELINE = "as built", "no bytecode"
_REQUEST = pb.CalculateRequest(operation=pb.OPERATION_MULTIPLY, first_operand=6, second_operand=7)


def strip(root: Path, keep: Callable[[Path], bool]) -> None:
    """Remove bytecode from an unpacked image.

    Args:
        root: the folder that the image was unpacked in.
        keep: returns whether to keep a `__pycache__` folder, given its path relative to the root.
    """
    for folder in list(root.rglob("__pycache__")):
        if not keep(folder.relative_to(root)):
            shutil.rmtree(folder)


def _containers(layout: Layout, bubblewrap: Path, folder: Path) -> Iterator[tuple[str, Container]]:
    """Unpack each variant of the image, and yield its name and its container."""
    keeps: dict[str, Callable[[Path], bool]] = {
        _AS_BUILT: lambda _: True,
        "bytecode of wheels only": lambda folder: folder.is_relative_to("app/site-packages"),
        _BASELINE: lambda _: False,
    }
    for number, (name, keep) in enumerate(keeps.items()):
        root = folder / str(number)
        root.mkdir()
        container = Container(layout, root, bubblewrap)
        strip(root, keep)
        yield name, container


def _idle(container: Container) -> float:
    """Run an interpreter that does nothing; return the milliseconds until it has exited."""
    began = time.perf_counter()
    programs.run(container.command({}, "/usr/bin/python3", "-I", "-c", "")).check_returncode()
    return (time.perf_counter() - began) * 1000


def _start(container: Container) -> float:
    """Start the server; return the milliseconds until its first answer, including the connection of the client."""
    began = time.perf_counter()
    with (
        image_server.serving(container, K_SERVICE="calculator") as server,
        grpc.insecure_channel(server.address) as channel,
    ):
        answer = calculator_pb2_grpc.CalculatorStub(channel).Calculate(_REQUEST, timeout=timeouts.SECONDS)
        taken = time.perf_counter() - began
    if answer.result != 42:  # noqa: PLR2004
        raise RuntimeError(f"6 * 7 is not {answer.result}")
    return taken * 1000


def measure(starts: dict[str, Callable[[], float]], rounds: int) -> dict[str, list[float]]:
    """Measure all starts in turn, after one round that is not counted; return the milliseconds of each, by name.

    Args:
        starts: the functions that make a start and return its milliseconds, by name.
        rounds: the number of rounds, from 1.
    """
    for start in starts.values():
        start()
    taken: dict[str, list[float]] = {name: [] for name in starts}
    for _ in range(rounds):
        for name, start in starts.items():
            taken[name].append(start())
    return taken


def table(taken: dict[str, list[float]]) -> str:
    """Return a table of the figures, in Markdown."""
    baseline = statistics.median(taken[_BASELINE])
    lines = ["| variant | median | min-max | compared with no bytecode |", "| --- | ---: | ---: | ---: |"]
    for name, times in taken.items():
        median = statistics.median(times)
        lines.append(f"| {name} | {median:.0f} ms | {min(times):.0f}-{max(times):.0f} | {median / baseline:.2f} |")
    return "\n".join(lines)


def main() -> int:
    """Measure, and print the figures."""
    parser = argparse.ArgumentParser(description="Measure the time from a container's start to its first answer.")
    parser.add_argument("bubblewrap", type=Path, help=argparse.SUPPRESS)
    parser.add_argument("--rounds", type=int, default=15, help="starts of each variant, from 1 (default: 15)")
    parser.add_argument("--json", action="store_true", help="print the figures of every start, in JSON")
    arguments = parser.parse_args()
    if arguments.rounds < 1:
        parser.error(f"--rounds={arguments.rounds}: must be at least 1")
    with tempfile.TemporaryDirectory() as folder:
        containers = dict(_containers(Layout(Path("deploy/image")), arguments.bubblewrap, Path(folder)))
        starts: dict[str, Callable[[], float]] = {
            name: functools.partial(_start, container) for name, container in containers.items()
        }
        starts["bare interpreter"] = functools.partial(_idle, containers[_AS_BUILT])
        taken = measure(starts, arguments.rounds)
    if arguments.json:
        print(json.dumps(taken))
    else:
        print(f"{arguments.rounds} starts each, {os.cpu_count()} cores, {platform.machine()}\n\n{table(taken)}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
