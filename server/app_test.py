"""A server on a machine that has no IPv6, or another grpcio, which only parts of our own can play."""

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
    """The kernel's answer where IPv6 is switched off."""

    def __init__(self, family: int = -1, kind: int = -1, protocol: int = -1, fileno: int | None = None) -> None:
        if family == socket.AF_INET6:
            raise OSError(errno.EAFNOSUPPORT, os.strerror(errno.EAFNOSUPPORT))
        super().__init__(family, kind, protocol, fileno)


def test_without_ipv6_it_serves_on_ipv4_and_says_so(
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


def test_a_drain_of_the_default_grace_ends_before_cloud_run_kills_the_server() -> None:
    server, calls, telemetry = Mock(), Mock(), Mock()
    grace = Config().shutdown_grace
    app.BoundServer(server, "", Mock(), calls, telemetry).drain(grace)
    calls.drain.assert_called_once_with(grace)
    [ending], [sending] = server.stop.call_args.args, telemetry.close.call_args.args
    assert ending > grace  # so that the calls end with a status
    # Cloud Run kills an instance 10 s after SIGTERM. The process itself needs some of that, too.
    assert ending + sending <= 9.75
