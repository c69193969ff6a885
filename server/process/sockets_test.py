"""The addresses that hosts mean, and reservation of a port on them."""

import errno
import os
import socket
from collections.abc import Iterator
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from server.process.sockets import HostError, ListenError, ReservedPort

LOOPBACK_IPS = ["127.0.0.1", "::1"]
RESOLVE = socket.getaddrinfo


class _SocketWithoutIpv6(socket.socket):
    """Fails like the kernel if IPv6 is disabled."""

    def bind(self, address: Any) -> None:  # noqa: ANN401 - as in the base class
        if self.family == socket.AF_INET6:
            raise OSError(errno.EADDRNOTAVAIL, os.strerror(errno.EADDRNOTAVAIL))
        super().bind(address)


def _reserved(*hosts: str) -> list[str]:
    port = ReservedPort(hosts, 0)
    port.close()
    return port.ips


def _refusal(host: str) -> str:
    """Return the message of the error for a host; an empty text if the host is accepted."""
    try:
        _reserved(host)
    except HostError as error:
        return str(error)
    return ""


@pytest.fixture
def listener() -> Iterator[socket.socket]:
    """A socket of another program, listening on 127.0.0.2."""
    with socket.create_server(("127.0.0.2", 0)) as listening:
        yield listening


@pytest.mark.parametrize(
    ("hosts", "ips"),
    [
        (["127.0.0.1"], ["127.0.0.1"]),
        (["::1"], ["::1"]),
        (["[::1]"], ["::1"]),
        (["localhost"], LOOPBACK_IPS),
        (["localhost", "127.0.0.2", "[::1]", "127.0.0.1"], [*LOOPBACK_IPS, "127.0.0.2"]),
        (["0.0.0.0"], ["0.0.0.0"]),
        (["127.0.0.1", "0.0.0.0", "::1"], ["0.0.0.0", "::1"]),
        (["127.0.0.1", "::", "0.0.0.0"], ["::"]),
        (["::ffff:127.0.0.1", "127.0.0.1"], ["127.0.0.1"]),
        (["0"], ["0.0.0.0"]),
    ],
)
def test_hosts_mean_their_addresses_without_those_that_another_one_includes(hosts: list[str], ips: list[str]) -> None:
    assert _reserved(*hosts) == ips


def test_the_port_is_the_same_on_all_addresses_and_receives_no_connections() -> None:
    reserved = ReservedPort(["127.0.0.1", "::1"], 0)
    assert reserved.addresses == [f"127.0.0.1:{reserved.port}", f"[::1]:{reserved.port}"]
    for ip in reserved.ips:
        with pytest.raises(ConnectionRefusedError):
            socket.create_connection((ip, reserved.port))
        family = socket.AF_INET6 if ":" in ip else socket.AF_INET
        with socket.socket(family) as stranger, pytest.raises(OSError, match="Address already in use"):
            stranger.bind((ip, reserved.port))
        socket.create_server((ip, reserved.port), family=family).close()  # sets SO_REUSEADDR
    reserved.close()


def test_a_name_means_all_addresses_that_the_machine_has(monkeypatch: pytest.MonkeyPatch) -> None:
    answers = {
        "several.example": ["127.0.0.1", "192.0.2.1", "127.0.0.2"],
        "elsewhere.example": ["192.0.2.1", "192.0.2.9"],
    }

    def resolve(host: str, port: None, *, type: int, flags: int) -> list[Any]:  # noqa: A002 - as in socket
        assert not flags
        return [found for ip in answers[host] for found in RESOLVE(ip, port, type=type, flags=flags)]

    monkeypatch.setattr(socket, "getaddrinfo", resolve)
    assert _reserved("several.example") == ["127.0.0.1", "127.0.0.2"]
    with pytest.raises(HostError, match=r"--host='elsewhere.example': cannot listen on 192\.0\.2\.1 .*, 192\.0\.2\.9 "):
        _reserved("elsewhere.example")


def test_without_ipv6_its_addresses_are_left_out(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(socket, "socket", _SocketWithoutIpv6)
    assert _reserved("localhost") == ["127.0.0.1"]
    assert _reserved("::") == ["0.0.0.0"]
    with pytest.raises(HostError, match=r"cannot listen on ::1 \(Cannot assign requested address\)"):
        _reserved("::1")


def test_a_port_that_another_program_uses_on_one_of_the_addresses_is_an_error(listener: socket.socket) -> None:
    port = listener.getsockname()[1]
    with pytest.raises(ListenError, match=rf"^cannot listen on 127\.0\.0\.2:{port}: Address already in use; "):
        ReservedPort(["127.0.0.1", "127.0.0.2"], port)
    socket.create_server(("127.0.0.1", port)).close()  # the first address is free again


@pytest.mark.parametrize("is_shared", [False, True])
def test_port_0_means_a_port_that_is_free_on_all_addresses(
    listener: socket.socket, monkeypatch: pytest.MonkeyPatch, *, is_shared: bool
) -> None:
    taken = listener.getsockname()[1]

    class UnluckySocket(socket.socket):
        """Gets a port from the kernel that is in use on 127.0.0.2, twice."""

        attempts = 0

        def bind(self, address: Any) -> None:  # noqa: ANN401 - as in the base class
            if address == ("127.0.0.1", 0):
                UnluckySocket.attempts += 1
                address = ("127.0.0.1", taken if 2 <= UnluckySocket.attempts <= 3 else 0)
            super().bind(address)

    monkeypatch.setattr(socket, "socket", UnluckySocket)
    reserved = ReservedPort(["127.0.0.1", "127.0.0.2"], 0, is_shared=is_shared)
    assert UnluckySocket.attempts == 4  # the first one only checks the address
    assert reserved.port not in {0, taken}
    reserved.close()


@given(host=st.text() | st.from_regex(r"\[?[0-9a-f:.%]*\]?", fullmatch=True))
def test_any_other_text_is_an_error_of_one_line_that_names_the_flag_and_the_text(host: str) -> None:
    def resolve(host: str, port: None, *, type: int, flags: int) -> list[Any]:  # noqa: A002 - as in socket
        return RESOLVE(host, port, type=type, flags=flags | socket.AI_NUMERICHOST)  # no name is looked up in the DNS

    with pytest.MonkeyPatch.context() as monkeypatch:
        monkeypatch.setattr(socket, "getaddrinfo", resolve)
        refusal = _refusal(host)
    assert not refusal or refusal.startswith(f"--host={host!r}: ")
    assert len(refusal.splitlines()) <= 1
