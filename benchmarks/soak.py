"""bazel run //benchmarks:soak: whether memory grows, or a response is wrong, at full load for as long as one likes.

h2load sends calls of every kind in turn, over new connections each time, and the responses must have their length.
Meanwhile, a client makes unary calls with random numbers and compares each result, and raw HTTP/2 clients reset calls,
read no responses, and disconnect without GOAWAY. --seconds N sets the time (default: 1800).
"""

import argparse
import collections
import os
import random
import sys
import tempfile
import threading
import time
from dataclasses import dataclass, field
from pathlib import Path

import grpc
from calculator.v1 import calculator_pb2 as pb
from calculator.v1 import calculator_pb2_grpc
from hyperframe.frame import RstStreamFrame, SettingsFrame

from benchmarks import subjects
from benchmarks.load import Load, LoadError
from benchmarks.works import EVERYWHERE, works
from testing import programs, timeouts
from testing.raw_http2 import RawPeer, prefixed

_CALLS = 50_000
_LARGEST = 10**6

# How many calls a client resets or does not read, how many clients do not read at a time, and how often one begins.
_STREAMS = 20
_UNREAD_CONNECTIONS = 20
_PAUSE_SECONDS = 0.05


@dataclass
class Checker:
    """A client that compares each result.

    Attributes:
        answers: how many results it has had.
        wrong: the calculations whose results were wrong.
        error: the call that failed, after which it made no more.
    """

    answers: int = 0
    wrong: list[str] = field(default_factory=list)
    error: grpc.RpcError | None = None

    def run(self, port: int, over: threading.Event) -> None:
        """Calculate until an event is set."""
        with grpc.insecure_channel(f"localhost:{port}") as channel:
            stub = calculator_pb2_grpc.CalculatorStub(channel)
            while not over.is_set():
                first, second = (random.randint(-_LARGEST, _LARGEST) for _ in range(2))  # noqa: S311 - no secret
                request = pb.CalculateRequest(
                    operation=pb.OPERATION_MULTIPLY, first_operand=first, second_operand=second
                )
                try:
                    result = stub.Calculate(request, timeout=timeouts.SECONDS).result
                except grpc.RpcError as error:
                    self.error = error
                    return
                self.answers += 1
                if result != first * second:
                    self.wrong.append(f"{first} * {second} = {result}")


@dataclass
class Disturber:
    """Clients that reset their calls, read no responses, or leave without a word.

    Attributes:
        connections: how many there were.
        error: what ended it too early.
    """

    connections: int = 0
    error: OSError | None = None

    def run(self, port: int, over: threading.Event) -> None:
        """Open connections until an event is set; some of them stay open for a while."""
        unread: collections.deque[RawPeer] = collections.deque()
        try:
            while not over.wait(_PAUSE_SECONDS):
                self.connections += 2
                _reset_calls(port)
                unread.append(_unread_calls(port))
                if len(unread) > _UNREAD_CONNECTIONS:
                    unread.popleft().close()
        except OSError as error:
            self.error = error
        finally:
            for peer in unread:
                peer.close()


def _reset_calls(port: int) -> None:
    """Begin calls of a stream, reset all but one, and leave."""
    peer = RawPeer(port)
    peer.greet()
    for _ in range(_STREAMS):
        stream = peer.begin("/calculator.v1.Calculator/Converse")
        peer.send(RstStreamFrame(stream, error_code=8))  # CANCEL
    peer.begin("/calculator.v1.Calculator/Converse")
    peer.close()


def _unread_calls(port: int) -> RawPeer:
    """Make calls that have responses, and allow none of them to be sent."""
    peer = RawPeer(port)
    peer.greet({SettingsFrame.INITIAL_WINDOW_SIZE: 0})
    for _ in range(_STREAMS):
        stream = peer.begin("/routeguide.RouteGuide/ListFeatures")
        peer.send_data(stream, prefixed(EVERYWHERE.SerializeToString()))
    return peer


def main() -> int:
    """Soak, and print the memory at each tenth of the time, and how many calls there were."""
    parser = argparse.ArgumentParser(description="Have a server answer at full load, and measure its memory.")
    parser.add_argument("h2load", type=Path, help=argparse.SUPPRESS)
    parser.add_argument("--seconds", type=float, default=1800, help="for how long, above 0 (default: 1800)")
    arguments = parser.parse_args()
    if not arguments.seconds > 0:
        parser.error(f"--seconds is {arguments.seconds}: accepted is more than 0")
    checker, disturber, over = Checker(), Disturber(), threading.Event()
    with tempfile.TemporaryDirectory() as folder, subjects.running(subjects.OURS) as server:
        beside = [threading.Thread(target=each.run, args=(server.port, over)) for each in (checker, disturber)]
        for thread in beside:
            thread.start()
        try:
            calls = _soak(Load(arguments.h2load, Path(folder)), server, arguments.seconds)
        except LoadError as error:
            print(f"soak: {error}", file=sys.stderr)
            return 1
        finally:
            over.set()
            for thread in beside:
                thread.join()
    if failure := checker.error or disturber.error:
        print(f"soak: a client failed: {failure}", file=sys.stderr)
        return 1
    print(f"{disturber.connections} connections that reset calls or did not read")
    print(f"{calls} calls, and {checker.answers} of the checking client: {len(checker.wrong)} wrong answers")
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
