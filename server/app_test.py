"""Building and draining a server in conditions that only fakes can create."""

import errno
import logging
import os
import socket
from unittest.mock import Mock

import calculator_pb2
import calculator_pb2_grpc
import grpc
import pytest

from server import app
from server.config import Config
from testing import timeouts


class _SocketWithoutIpv6(socket.socket):
    """Fails like the kernel if IPv6 is disabled."""

    def __init__(self, family: int = -1, kind: int = -1, protocol: int = -1, fileno: int | None = None) -> None:
        if family == socket.AF_INET6:
            raise OSError(errno.EAFNOSUPPORT, os.strerror(errno.EAFNOSUPPORT))
        super().__init__(family, kind, protocol, fileno)


def test_without_ipv6_the_server_listens_on_ipv4_and_logs_it(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(socket, "socket", _SocketWithoutIpv6)
    with caplog.at_level(logging.INFO):
        running = app.build(Config(port=0))
    assert "No IPv6" in caplog.text
    host, _, port = running.address.rpartition(":")
    assert host == "0.0.0.0"
    running.server.start()
    with grpc.insecure_channel(f"127.0.0.1:{port}") as channel:
        stub = calculator_pb2_grpc.CalculatorStub(channel)
        assert stub.Calculate(calculator_pb2.BinaryOperation(first_operand=2), timeout=timeouts.SECONDS).result == 2
    running.drain(grace=0)


@pytest.mark.parametrize(
    ("delay", "taken", "export"),
    [(0, 0, 9.6), (0, 4, 5.6), (0, 9.1, 0.5), (3, 3, 6.6), (3, 9.1, 0.5), (0, 30, 0.5)],  # s
)
def test_the_last_export_ends_before_cloud_run_kills_the_server_and_has_at_least_half_a_second(
    monkeypatch: pytest.MonkeyPatch, delay: float, taken: float, export: float
) -> None:
    server, calls, telemetry, clock = Mock(), Mock(), Mock(), Mock()
    grace = Config().shutdown_grace - delay
    clock.monotonic.side_effect = [1000, 1000 + taken]
    monkeypatch.setattr(app, "time", clock)
    app.BoundServer(server, "", Mock(), calls, telemetry).drain(grace, delay)
    calls.drain.assert_called_once_with(grace)
    [stop_grace], [export_timeout] = server.stop.call_args.args, telemetry.close.call_args.args
    assert stop_grace > grace  # so that the calls end with a status
    assert export_timeout == pytest.approx(export)
