"""A server on a machine that has no IPv6, which only a socket of our own can play."""

import errno
import logging
import os
import socket

import calculator_pb2
import calculator_pb2_grpc
import grpc
import pytest

from server import serving
from server.config import Config


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
        assert stub.Calculate(calculator_pb2.BinaryOperation(first_operand=2), timeout=10).result == 2
    running.drain(grace=0)
