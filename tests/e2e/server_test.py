"""Tests of the server as a process: its port, its signals, its exit status."""

import signal
import socket
import threading
from collections.abc import Iterator

import calculator_pb2
import calculator_pb2_grpc
import grpc
import pytest

from testing import programs, timeouts
from testing.open_call import OpenCall


def _ask(address: str) -> float:
    with grpc.insecure_channel(address) as channel:
        request = calculator_pb2.BinaryOperation(first_operand=2, second_operand=3)
        return calculator_pb2_grpc.CalculatorStub(channel).Calculate(request, timeout=timeouts.SECONDS).result


@pytest.fixture
def listener() -> Iterator[socket.socket]:
    """A socket of another program, listening on a free port."""
    with socket.create_server(("::", 0), family=socket.AF_INET6, dualstack_ipv6=True) as listening:
        yield listening


def test_the_server_listens_on_the_platforms_port_over_ipv4_and_ipv6(listener: socket.socket) -> None:
    port = listener.getsockname()[1]
    listener.close()
    with programs.serving(PORT=str(port)) as server:
        assert server.port == port
        assert _ask(f"127.0.0.1:{port}") == 5
        assert _ask(f"[::1]:{port}") == 5


def test_a_port_in_use_is_a_one_line_error_with_status_1(listener: socket.socket) -> None:
    port = listener.getsockname()[1]
    refused = programs.run([programs.SERVER, "--port", str(port)])
    assert refused.returncode == 1
    assert refused.stderr == (
        f"server: cannot listen on [::]:{port}: Address already in use; "
        "another program is using it: choose another port with --port\n"
    )


def test_two_servers_do_not_share_a_port() -> None:
    with programs.serving() as first:
        second = programs.run([programs.SERVER, "--port", str(first.port)])
        assert second.returncode == 1
        assert "Address already in use" in second.stderr


@pytest.mark.parametrize("port", ["http", "65536", "-1", ""])
def test_an_invalid_port_is_a_one_line_error_with_status_2(port: str) -> None:
    refused = programs.run([programs.SERVER], PORT=port)
    assert refused.returncode == 2
    assert refused.stderr == f"server: PORT={port!r}: must be 0-65535, where 0 means any free port\n"


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_stops_the_server_cleanly(number: signal.Signals) -> None:
    with programs.serving() as server:
        assert _ask(server.address) == 5
        server.process.send_signal(number)
        assert server.process.wait(timeouts.SECONDS) == 0
        assert number.name in server.wait_for_log("Stopping")
        assert server.wait_for_log("Stopped")
        with pytest.raises(grpc.RpcError) as refused:
            _ask(server.address)
        assert refused.value.code() == grpc.StatusCode.UNAVAILABLE


def test_calls_that_send_nothing_do_not_make_other_calls_wait() -> None:
    with programs.serving("--max-concurrent-calls=2") as server, grpc.insecure_channel(server.address) as channel:
        method: grpc.StreamUnaryMultiCallable[bytes, bytes] = channel.stream_unary("/Calculator/Calculate")
        over = threading.Event()

        def nothing() -> Iterator[bytes]:
            over.wait()
            yield from ()

        idle = [method.future(nothing(), timeout=timeouts.SECONDS) for _ in range(20)]
        programs.eventually(lambda: sum(call.done() for call in idle) == len(idle) - 2)
        with pytest.raises(grpc.RpcError) as refused:
            _ask(server.address)
        assert refused.value.code() == grpc.StatusCode.RESOURCE_EXHAUSTED
        for call in idle:
            call.cancel()
        over.set()
        programs.eventually(lambda: _ask(server.address) == 5)


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_second_signal_kills_the_server_at_once(number: signal.Signals) -> None:
    with programs.serving() as server, grpc.insecure_channel(server.address) as channel:
        call = OpenCall(channel)
        server.process.terminate()
        server.wait_for_log("Stopping")
        assert server.process.poll() is None
        server.process.send_signal(number)
        assert server.process.wait(timeouts.SECONDS) == -number
        with pytest.raises(grpc.RpcError) as broken:
            call.add_one()
        assert broken.value.code() == grpc.StatusCode.UNAVAILABLE


def test_the_server_answers_without_loading_asyncio() -> None:
    with (
        programs.serving(PYTHONPROFILEIMPORTTIME="1") as server,
        grpc.insecure_channel(server.address) as channel,
    ):
        call = OpenCall(channel)
        assert call.end() == grpc.StatusCode.OK
        server.wait_for_log("Converse OK")
        assert any(line.endswith(" grpc") for line in server.log)
        assert not any("asyncio.events" in line or "grpc.aio._call" in line for line in server.log)
