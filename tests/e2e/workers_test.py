"""Tests of several workers on one port: each serves, dead ones are replaced, all drain, none outlives its parent."""

import contextlib
import os
import signal
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import grpc
import pytest
from calculator.v1 import calculator_pb2 as pb
from calculator.v1 import calculator_pb2_grpc
from grpc_health.v1 import health_pb2, health_pb2_grpc

from client.channel import connect
from testing import programs, timeouts
from testing.open_call import OpenCall

COUNT = 3


@pytest.fixture
def server() -> Iterator[programs.Server]:
    with programs.serving(f"--workers={COUNT}") as running:
        yield running
        running.process.terminate()
        running.process.wait(timeouts.SECONDS)


def _workers(server: programs.Server) -> set[int]:
    """Return the PIDs of a server's workers."""
    process = server.process.pid
    return {int(child) for child in Path(f"/proc/{process}/task/{process}/children").read_text("ascii").split()}


def _ask(server: programs.Server) -> float:
    """Call Calculate on a new connection; return the result."""
    options = [("grpc.use_local_subchannel_pool", 1)]
    with grpc.insecure_channel(server.address, options) as channel:
        request = pb.CalculateRequest(operation=pb.OPERATION_ADD, first_operand=2, second_operand=3)
        return calculator_pb2_grpc.CalculatorStub(channel).Calculate(request, timeout=timeouts.SECONDS).result


def _sockets(process: int) -> int:
    """Return how many sockets a process has open. Each connection adds one."""
    sockets = 0
    for descriptor in Path(f"/proc/{process}/fd").iterdir():
        with contextlib.suppress(FileNotFoundError):  # it has been closed
            sockets += str(descriptor.readlink()).startswith("socket:")
    return sockets


def test_each_worker_gets_connections(server: programs.Server) -> None:
    workers = _workers(server)
    assert len(workers) == COUNT
    before = {worker: _sockets(worker) for worker in workers}
    options = [("grpc.use_local_subchannel_pool", 1)]
    channels = [grpc.insecure_channel(server.address, options) for _ in range(60)]
    for channel in channels:
        grpc.channel_ready_future(channel).result(timeouts.SECONDS)
    programs.eventually(lambda: all(_sockets(worker) > before[worker] for worker in workers))
    for channel in channels:
        channel.close()


@pytest.mark.parametrize("end", [signal.SIGKILL, signal.SIGTERM, signal.SIGSEGV])
def test_a_worker_that_dies_is_logged_and_replaced(server: programs.Server, end: signal.Signals) -> None:
    before = _workers(server)
    victim = min(before)
    os.kill(victim, end)
    server.wait_for_log("restarting in 0.1 s")
    programs.eventually(lambda: len(_workers(server) - {victim}) == COUNT)
    assert before - {victim} < _workers(server)
    with connect(server.address) as channel:  # it retries if the dead worker had its connection
        request = pb.CalculateRequest(operation=pb.OPERATION_ADD, first_operand=2, second_operand=3)
        assert calculator_pb2_grpc.CalculatorStub(channel).Calculate(request, timeout=timeouts.SECONDS).result == 5


def test_a_signal_drains_all_workers(server: programs.Server) -> None:
    options = [("grpc.use_local_subchannel_pool", 1)]
    channels = [grpc.insecure_channel(server.address, options) for _ in range(20)]
    calls = [OpenCall(channel) for channel in channels]
    server.process.terminate()
    server.wait_for_log("Stopping on SIGTERM")
    for call in calls:
        assert call.add_one() == 2
        assert call.end() == grpc.StatusCode.OK
    assert server.process.wait(timeouts.SECONDS) == 0
    assert server.wait_for_log("Stopped")
    for channel in channels:
        channel.close()


def test_health_watches_on_every_worker_are_told_of_the_shutdown(server: programs.Server) -> None:
    options = [("grpc.use_local_subchannel_pool", 1)]
    channels = [grpc.insecure_channel(server.address, options) for _ in range(20)]
    stubs: list[Any] = [health_pb2_grpc.HealthStub(channel) for channel in channels]  # its type stubs lack the methods
    watches = [stub.Watch(health_pb2.HealthCheckRequest(), timeout=timeouts.SECONDS) for stub in stubs]
    held = [OpenCall(channel) for channel in channels]  # without a call in flight, watches are closed at once
    assert {next(watch).status for watch in watches} == {health_pb2.HealthCheckResponse.SERVING}
    server.process.terminate()
    assert {next(watch).status for watch in watches} == {health_pb2.HealthCheckResponse.NOT_SERVING}
    assert {call.end() for call in held} == {grpc.StatusCode.OK}
    for channel in channels:
        channel.close()


def test_a_second_signal_ends_all_workers_at_once() -> None:
    with programs.serving("--workers=2", "--shutdown-grace=600") as server:
        workers = _workers(server)
        with grpc.insecure_channel(server.address) as channel:
            call = OpenCall(channel)
            server.process.send_signal(signal.SIGINT)
            server.wait_for_log("Stopping on SIGINT")
            assert call.add_one() == 2
            server.process.send_signal(signal.SIGINT)
            assert server.process.wait(timeouts.SECONDS) == 1
        assert all(map(programs.has_ended, workers))


def test_workers_end_when_their_parent_is_killed() -> None:
    with programs.serving("--workers=2") as server:
        workers = _workers(server)
        server.process.kill()
        server.process.wait()
        programs.eventually(lambda: all(map(programs.has_ended, workers)))


def test_an_invalid_otel_variable_ends_the_server_with_status_2() -> None:
    bad = {"OTEL_EXPORTER_OTLP_ENDPOINT": "http://x", "OTEL_EXPORTER_OTLP_COMPRESSION": "hard"}
    refused = programs.run([programs.SERVER, "--workers=2"], **bad)
    assert refused.returncode == 2
    assert "an OTEL_ environment variable is invalid" in refused.stderr


def test_the_port_is_not_shared_with_another_server(server: programs.Server) -> None:
    for flags in ([], ["--workers=2"]):
        refused = programs.run([programs.SERVER, "--port", str(server.port), *flags])
        assert refused.returncode == 1
        assert "Address already in use" in refused.stderr
    assert _ask(server) == 5
