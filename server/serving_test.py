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

from server import serving
from server.config import Config, IdentityRules
from server.engine import InlineServer
from tests import timeouts


class _SocketWithoutIpv6(socket.socket):
    """The kernel's answer where IPv6 is switched off."""

    def __init__(self, family: int = -1, *arguments: int) -> None:
        if family == socket.AF_INET6:
            raise OSError(errno.EAFNOSUPPORT, os.strerror(errno.EAFNOSUPPORT))
        super().__init__(family, *arguments)


def test_without_ipv6_it_serves_on_ipv4_and_says_so(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(socket, "socket", _SocketWithoutIpv6)
    with caplog.at_level(logging.INFO):
        running = serving.build(Config(port=0))
    assert "No IPv6" in caplog.text
    host, _, port = running.address.rpartition(":")
    assert host == "0.0.0.0"
    running.server.start()
    with grpc.insecure_channel(f"127.0.0.1:{port}") as channel:
        stub = calculator_pb2_grpc.CalculatorStub(channel)
        assert stub.Calculate(calculator_pb2.BinaryOperation(first_operand=2), timeout=timeouts.SECONDS).result == 2
    running.drain(grace=0)


def test_with_another_grpcio_than_its_own_the_engine_is_not_taken_by_itself(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    assert isinstance(serving.build(Config(port=0)).server, InlineServer)
    assert not caplog.records
    monkeypatch.setattr(grpc, "__version__", "1.86.0")
    assert not isinstance(serving.build(Config(port=0)).server, InlineServer)
    assert f"The fast engine is for grpcio {serving.ENGINE_IS_FOR}, and this is 1.86.0" in caplog.text


def test_where_identity_tokens_are_checked_the_engine_is_not_taken_by_itself() -> None:
    rules = IdentityRules(audiences=("https://a",), callers=("a@example.com",), keys="http://localhost:1/")
    assert not isinstance(serving.build(Config(port=0, identity=rules)).server, InlineServer)


def test_a_drain_of_the_default_grace_ends_before_cloud_run_kills_the_server() -> None:
    server, calls, telemetry = Mock(), Mock(), Mock()
    grace = Config().shutdown_grace
    serving.Serving(server, "", Mock(), calls, telemetry).drain(grace)
    calls.finish.assert_called_once_with(grace)
    [ending], [sending] = server.stop.call_args.args, telemetry.close.call_args.args
    assert ending > grace  # so that the calls end with a status
    # Cloud Run kills an instance 10 s after SIGTERM. The process itself needs some of that, too.
    assert ending + sending <= 9.75
