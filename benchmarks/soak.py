"""bazel run //benchmarks:soak: a soak test, which detects growing memory and wrong responses at full load.

h2load sends calls of every kind in turn, over new connections each time, and all responses must have the expected
length. At the same time, a client makes unary calls with random numbers and compares each result, and raw HTTP/2
clients reset calls, do not read responses, and disconnect without GOAWAY. --seconds N sets the duration.
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

from benchmarks import servers
from benchmarks.load import Load, LoadError, Workload
from benchmarks.workloads import EVERYWHERE, workloads
from testing import programs, timeouts
from testing.raw_http2 import RawPeer, prefixed

_LARGEST = 10**6

# The calls of each raw client, the number of raw clients that do not read at the same time, and the pause in between.
_STREAMS = 20
_UNREAD_CONNECTIONS = 20
_PAUSE_SECONDS = 0.05


@dataclass
class Checker:
    """A client that compares each result.

    Attributes:
        answers: the number of results.
        wrong: the calculations with wrong results.
        error: the error of the first call that failed, after which the client stops.
    """

    answers: int = 0
    wrong: list[str] = field(default_factory=list)
    error: grpc.RpcError | None = None

    def run(self, port: int, stopping: threading.Event) -> None:
        """Make calls until an event is set."""
        with grpc.insecure_channel(f"localhost:{port}") as channel:
            stub = calculator_pb2_grpc.CalculatorStub(channel)
            while not stopping.is_set():
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
class AbusiveClients:
    """Clients that reset their calls, do not read responses, or disconnect silently.

    Attributes:
        connections: the number of connections.
        error: the error that stopped the clients too early.
    """

    connections: int = 0
    error: OSError | None = None

    def run(self, port: int, stopping: threading.Event) -> None:
        """Open connections until an event is set; some of them stay open for a while."""
        unread: collections.deque[RawPeer] = collections.deque()
        try:
            while not stopping.wait(_PAUSE_SECONDS):
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
    """Start streaming calls, reset all but one, and disconnect."""
    peer = RawPeer(port)
    peer.greet()
    for _ in range(_STREAMS):
        stream = peer.begin("/calculator.v1.Calculator/Converse")
        peer.send(RstStreamFrame(stream, error_code=8))  # CANCEL
    peer.begin("/calculator.v1.Calculator/Converse")
    peer.close()


def _unread_calls(port: int) -> RawPeer:
    """Make calls with a window of zero bytes, so that the server cannot send their responses."""
    peer = RawPeer(port)
    peer.greet({SettingsFrame.INITIAL_WINDOW_SIZE: 0})
    for _ in range(_STREAMS):
        stream = peer.begin("/routeguide.RouteGuide/ListFeatures")
        peer.send_data(stream, prefixed(EVERYWHERE.SerializeToString()))
    return peer


def main() -> int:
    """Run the soak test, and print the memory after each tenth of the time, and the number of calls."""
    parser = argparse.ArgumentParser(description="Run a server at full load, and measure its memory.")
    parser.add_argument("h2load", type=Path, help=argparse.SUPPRESS)
    parser.add_argument("--seconds", type=float, default=1800, help="duration in seconds, above 0 (default: 1800)")
    parser.add_argument("--calls", type=int, default=50000, help="unary calls in a round, from 100 (default: 50000)")
    arguments = parser.parse_args()
    if not arguments.seconds > 0:
        parser.error(f"--seconds={arguments.seconds}: must be above 0")
    if arguments.calls < 100:  # noqa: PLR2004 - each connection of the load needs calls
        parser.error(f"--calls={arguments.calls}: must be at least 100")
    all_workloads = workloads(arguments.calls)
    checker, abusive_clients, stopping = Checker(), AbusiveClients(), threading.Event()
    with tempfile.TemporaryDirectory() as folder, servers.running(servers.OURS) as server:
        threads = [
            threading.Thread(target=each.run, args=(server.port, stopping)) for each in (checker, abusive_clients)
        ]
        for thread in threads:
            thread.start()
        try:
            calls = _soak(Load(arguments.h2load, Path(folder)), server, all_workloads, arguments.seconds)
        except LoadError as error:
            print(f"soak: {error}", file=sys.stderr)
            return 1
        finally:
            stopping.set()
            for thread in threads:
                thread.join()
    if failure := checker.error or abusive_clients.error:
        print(f"soak: a client failed: {failure}", file=sys.stderr)
        return 1
    print(f"{abusive_clients.connections} connections that reset calls or did not read")
    print(f"{calls} load calls; {checker.answers} checked calls: {len(checker.wrong)} wrong answers")
    return 1 if checker.wrong or not checker.answers else 0


def _soak(load: Load, server: servers.Running, all_workloads: list[Workload], seconds: float) -> int:
    """Send every kind of call in turn, each at least once; return the number of calls."""
    began = time.monotonic()
    calls = tenths = 0
    elapsed = 0.0
    print(f"{os.cpu_count()} cores\n\n| seconds | calls | memory |\n| ---: | ---: | ---: |", flush=True)
    while elapsed < seconds:
        for workload in all_workloads:
            load.send(workload, server.port)
            calls += workload.calls
        server.truncate_log()
        if elapsed >= tenths * seconds / 10:
            tenths += 1
            memory = programs.figure(server.process.pid, "VmRSS")
            print(f"| {time.monotonic() - began:.0f} | {calls} | {memory / 1000:.1f} MB |", flush=True)
        elapsed = time.monotonic() - began
    return calls


if __name__ == "__main__":
    sys.exit(main())
