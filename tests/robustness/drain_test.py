"""Tests of graceful shutdown: calls in flight are finished, and a retrying client loses no call."""

import fcntl
import signal
import socket
import subprocess
import threading
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from typing import Any

import grpc
import pytest
from calculator.v1 import calculator_pb2 as pb
from calculator.v1 import calculator_pb2_grpc
from grpc_health.v1 import health_pb2, health_pb2_grpc

from client.channel import connect
from testing import programs, timeouts
from testing.open_call import OpenCall

RESTARTS = 10
CALLS_BETWEEN_RESTARTS = 100

# The capacity of the smallest pipe, and more log lines than fit into it.
PIPE_BYTES = 4096
UNREAD_LINES = 100


def _watch(channel: grpc.Channel) -> Any:  # noqa: ANN401 - its type stubs lack the methods
    stub: Any = health_pb2_grpc.HealthStub(channel)
    return stub.Watch(health_pb2.HealthCheckRequest(), timeout=timeouts.SECONDS)


def test_shutdown_first_notifies_health_watches_then_finishes_calls_in_flight() -> None:
    with programs.serving() as server, grpc.insecure_channel(server.address) as channel:
        watch = _watch(channel)
        assert next(watch).status == health_pb2.HealthCheckResponse.SERVING
        call = OpenCall(channel)
        server.process.terminate()
        assert next(watch).status == health_pb2.HealthCheckResponse.NOT_SERVING
        assert call.add_one() == 2
        assert watch.is_active()  # as long as a call is in flight
        assert call.end() == grpc.StatusCode.OK
        assert server.process.wait(timeouts.SECONDS) == 0


def test_new_calls_are_accepted_during_the_shutdown_delay() -> None:
    flags = ("--shutdown-delay=600", "--engine=nggrpc"), ("--shutdown-delay=600", "--engine=stock")
    for delayed in flags:
        with programs.serving(*delayed) as server, grpc.insecure_channel(server.address) as watching:
            watch = _watch(watching)
            next(watch)
            server.process.terminate()
            assert next(watch).status == health_pb2.HealthCheckResponse.NOT_SERVING
            with grpc.insecure_channel(server.address) as channel:  # a new connection
                assert programs.call(channel, "/Calculator/Calculate", b"") == b""
            server.process.terminate()  # a second signal kills it at once
            assert server.process.wait(timeouts.SECONDS) == -signal.SIGTERM


@contextmanager
def _full_log_pipe(*flags: str) -> Iterator[tuple[subprocess.Popen[str], grpc.Channel]]:
    """Start a server without reading its log, and make so many calls that their log lines fill the pipe."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    with (
        programs.started([programs.SERVER, f"--port={port}", *flags], stderr=subprocess.PIPE) as process,
        grpc.insecure_channel(f"127.0.0.1:{port}") as channel,
    ):
        grpc.channel_ready_future(channel).result(timeouts.SECONDS)
        fcntl.fcntl(process.stderr or 0, fcntl.F_SETPIPE_SZ, PIPE_BYTES)
        for _ in range(UNREAD_LINES):
            assert programs.call(channel, "/Calculator/Calculate", b"") == b""
        yield process, channel


@pytest.mark.parametrize("flag", ["--engine=nggrpc", "--engine=stock", "--workers=2"])
def test_a_server_with_a_full_log_pipe_answers_all_calls_and_stops(flag: str) -> None:
    with _full_log_pipe(flag) as (process, _):
        process.terminate()
        assert process.wait(timeouts.SECONDS) == 0


def test_a_second_signal_kills_a_server_with_a_full_log_pipe_at_once() -> None:
    with _full_log_pipe("--shutdown-grace=600") as (process, channel):
        watch = _watch(channel)
        next(watch)
        OpenCall(channel)  # this call delays the shutdown
        process.terminate()
        assert next(watch).status == health_pb2.HealthCheckResponse.NOT_SERVING
        process.terminate()
        assert process.wait(timeouts.SECONDS) == -signal.SIGTERM


def test_a_health_watch_does_not_delay_the_shutdown() -> None:
    with programs.serving("--shutdown-grace=600") as server, grpc.insecure_channel(server.address) as channel:
        watch = _watch(channel)
        next(watch)
        server.process.terminate()
        assert server.process.wait(timeouts.SECONDS) == 0
        with pytest.raises(grpc.RpcError) as ended:
            list(watch)
        assert ended.value.code() in (grpc.StatusCode.CANCELLED, grpc.StatusCode.UNAVAILABLE)


def test_a_stream_that_outlasts_the_grace_period_is_unavailable_and_the_server_exits_cleanly() -> None:
    with programs.serving("--shutdown-grace=0.2") as server, grpc.insecure_channel(server.address) as channel:
        call = OpenCall(channel)
        server.process.terminate()
        with pytest.raises(grpc.RpcError) as ended:
            list(call.responses)
        assert ended.value.code() == grpc.StatusCode.UNAVAILABLE
        assert server.process.wait(timeouts.SECONDS) == 0
        server.wait_for_log("/calculator.v1.Calculator/Converse UNAVAILABLE")


@dataclass
class Load:
    """Makes calls without a pause, and checks each answer, until a call fails or the load is stopped."""

    channel: grpc.Channel
    answered: int = 0
    failure: str = ""
    _over: threading.Event = field(default_factory=threading.Event)
    _changed: threading.Condition = field(default_factory=threading.Condition)

    def run(self) -> None:
        stub = calculator_pb2_grpc.CalculatorStub(self.channel)
        while not (self._over.is_set() or self.failure):
            try:
                self._call(stub)
            except (grpc.RpcError, AssertionError) as failure:
                self.failure = str(failure)
            with self._changed:
                self.answered += not self.failure
                self._changed.notify()

    def _call(self, stub: calculator_pb2_grpc.CalculatorStub) -> None:
        request = pb.CalculateRequest(operation=pb.OPERATION_ADD, first_operand=self.answered, second_operand=1)
        assert stub.Calculate(request, timeout=timeouts.SECONDS).result == self.answered + 1
        steps = stub.Evaluate(pb.EvaluateRequest(expression="1+2"), timeout=timeouts.SECONDS)
        assert [step.result for step in steps][-1] == 3

    def stop(self) -> None:
        self._over.set()

    def wait_for_more(self, calls: int) -> None:
        """Wait until this many more calls have been answered, or one has failed."""
        with self._changed:
            enough = self.answered + calls
            assert self._changed.wait_for(lambda: self.answered >= enough or bool(self.failure), timeouts.SECONDS)


@contextmanager
def _loading(*targets: str) -> Iterator[list[Load]]:
    with ExitStack() as stack:
        loads = [Load(stack.enter_context(connect(target))) for target in targets]
        threads = [threading.Thread(target=load.run) for load in loads]
        for thread in threads:
            thread.start()
        try:
            yield loads
        finally:
            for load in loads:
                load.stop()
            for thread in threads:
                thread.join()


def test_a_rolling_restart_under_load_loses_no_call_of_a_retrying_client() -> None:
    with ExitStack() as stack:
        servers = [stack.enter_context(programs.serving()) for _ in range(2)]
        first, second = (f"127.0.0.1:{server.port}" for server in servers)
        # Each server is the first choice of one channel.
        with _loading(f"ipv4:{first},{second}", f"ipv4:{second},{first}") as loads:
            for restart in range(RESTARTS):
                stopping = servers[restart % 2]
                for load in loads:
                    load.wait_for_more(CALLS_BETWEEN_RESTARTS)
                stopping.process.send_signal(signal.SIGTERM)
                assert stopping.process.wait(timeouts.SECONDS) == 0
                servers[restart % 2] = stack.enter_context(programs.serving(PORT=str(stopping.port)))
            for load in loads:
                load.wait_for_more(CALLS_BETWEEN_RESTARTS)
    assert [load.failure for load in loads] == ["", ""]
