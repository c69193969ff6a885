"""bazel run //benchmarks:soak: full load for as long as one likes, and whether memory grows, or an answer is wrong.

h2load sends every kind of call in turn, and the answers have to have their length; beside it a client makes unary calls
with random numbers, and looks at each result. --seconds N says for how long (default: 600).
"""

import argparse
import os
import random
import sys
import tempfile
import threading
import time
from dataclasses import dataclass
from pathlib import Path

import grpc
from calculator.v1 import calculator_pb2 as pb
from calculator.v1 import calculator_pb2_grpc

from benchmarks import subjects
from benchmarks.load import Load, LoadError
from benchmarks.works import works
from tests import programs, timeouts

_CALLS = 50_000
_LARGEST = 10**6


@dataclass
class Checker:
    """A client that looks at each result.

    Attributes:
        answers: how many it has had.
        wrong: what was asked and answered, where that was not the result.
    """

    answers: int = 0
    wrong: list[str] | None = None

    def run(self, port: int, over: threading.Event) -> None:
        """Calculate until it is over."""
        self.wrong = []
        with grpc.insecure_channel(f"localhost:{port}") as channel:
            stub = calculator_pb2_grpc.CalculatorStub(channel)
            while not over.is_set():
                first, second = (random.randint(-_LARGEST, _LARGEST) for _ in range(2))  # noqa: S311 - no secret
                request = pb.CalculateRequest(
                    operation=pb.OPERATION_MULTIPLY, first_operand=first, second_operand=second
                )
                result = stub.Calculate(request, timeout=timeouts.SECONDS).result
                self.answers += 1
                if result != first * second:
                    self.wrong.append(f"{first} * {second} = {result}")


def main() -> int:
    """Soak, and print the memory at each tenth of the time, and what was answered."""
    parser = argparse.ArgumentParser(description="Have a server answer at full load, and look at its memory.")
    parser.add_argument("h2load", type=Path, help=argparse.SUPPRESS)
    parser.add_argument("--seconds", type=float, default=600, help="for how long, above 0 (default: 600)")
    arguments = parser.parse_args()
    if not arguments.seconds > 0:
        parser.error(f"--seconds is {arguments.seconds}: accepted is more than 0")
    checker, over = Checker(), threading.Event()
    with tempfile.TemporaryDirectory() as folder, subjects.running(subjects.OURS) as server:
        checking = threading.Thread(target=checker.run, args=(server.port, over))
        checking.start()
        try:
            calls = _soak(Load(arguments.h2load, Path(folder)), server, arguments.seconds)
        except LoadError as error:
            print(f"soak: {error}", file=sys.stderr)
            return 1
        finally:
            over.set()
            checking.join()
    print(f"{calls} calls, and {checker.answers} of the checking client: {len(checker.wrong or ())} wrong answers")
    return 1 if checker.wrong or not checker.answers else 0


def _soak(load: Load, server: subjects.Running, seconds: float) -> int:
    """Send every kind of call in turn, each at least once; return how many there were."""
    all_works = works(_CALLS)
    began = time.monotonic()
    calls = tenths = 0
    passed = 0.0
    print(f"{os.cpu_count()} cores\n\n| seconds | calls | memory |\n| ---: | ---: | ---: |", flush=True)
    while passed < seconds:
        for work in all_works:
            load.send(work, server.port)
            calls += work.calls
        server.forget_log()
        if passed >= tenths * seconds / 10:
            tenths += 1
            memory = programs.figure(server.process.pid, "VmRSS")
            print(f"| {time.monotonic() - began:.0f} | {calls} | {memory / 1000:.1f} MB |", flush=True)
        passed = time.monotonic() - began
    return calls


if __name__ == "__main__":
    sys.exit(main())
