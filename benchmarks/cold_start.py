"""How long a container takes from exec of its entry point to its first answer, by how its Python is packed.

bazel run //benchmarks:cold_start [-- --rounds N] [--json]. The same image, thrice: as it is; without the bytecode of
the standard library and of our own code, as "pip install" leaves it on top of Docker's python images; and without any,
as a folder is that was copied. And an interpreter that does nothing, for what the container itself takes. In turn, N
times each.
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
    """Remove bytecode from an image that was unpacked.

    Args:
        root: where it was.
        keep: whether a `__pycache__`, by its path from the root, is to stay.
    """
    for folder in list(root.rglob("__pycache__")):
        if not keep(folder.relative_to(root)):
            shutil.rmtree(folder)


def _containers(layout: Layout, bubblewrap: Path, folder: Path) -> Iterator[tuple[str, Container]]:
    """Yield each way of packing, by name."""
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
    """Return how many milliseconds the container takes for an interpreter that does nothing."""
    began = time.perf_counter()
    programs.run(container.command({}, "/usr/bin/python3", "-I", "-c", "")).check_returncode()
    return (time.perf_counter() - began) * 1000


def _start(container: Container) -> float:
    """Return how many milliseconds the server takes to its first answer, the client's connecting included."""
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
    """Return the milliseconds that each start took, of as many rounds of all of them, after one that is not counted.

    Args:
        starts: what makes a start, and returns how long it took; by name.
        rounds: how many, from 1.
    """
    for start in starts.values():
        start()
    taken: dict[str, list[float]] = {name: [] for name in starts}
    for _ in range(rounds):
        for name, start in starts.items():
            taken[name].append(start())
    return taken


def table(taken: dict[str, list[float]]) -> str:
    """Return the figures in Markdown."""
    baseline = statistics.median(taken[_BASELINE])
    lines = ["| packed | median | least to most | compared with no bytecode |", "| --- | ---: | ---: | ---: |"]
    for name, times in taken.items():
        median = statistics.median(times)
        lines.append(f"| {name} | {median:.0f} ms | {min(times):.0f} to {max(times):.0f} | {median / baseline:.2f} |")
    return "\n".join(lines)


def main() -> int:
    """Measure, and print the figures."""
    parser = argparse.ArgumentParser(description="Measure how long a container takes to its first answer.")
    parser.add_argument("bubblewrap", type=Path, help=argparse.SUPPRESS)
    parser.add_argument("--rounds", type=int, default=15, help="how many starts of each, from 1")
    parser.add_argument("--json", action="store_true", help="print every figure, for programs")
    arguments = parser.parse_args()
    if arguments.rounds < 1:
        parser.error(f"--rounds is {arguments.rounds}: accepted is 1 or more")
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
