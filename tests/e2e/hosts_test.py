"""Tests of --host: on which addresses the server listens, and hosts that it refuses."""

import socket

import calculator_pb2
import calculator_pb2_grpc
import grpc
import pytest

from testing import listening, programs, timeouts

ACCEPTED = "must be an IP address (but not a link-local one) or a host name of this machine"


def _ask(address: str) -> float:
    with grpc.insecure_channel(address) as channel:
        request = calculator_pb2.BinaryOperation(first_operand=2, second_operand=3)
        return calculator_pb2_grpc.CalculatorStub(channel).Calculate(request, timeout=timeouts.SECONDS).result


@pytest.mark.parametrize("workers", [1, 2])
def test_other_addresses_than_the_host_are_refused(workers: int) -> None:
    with programs.serving("--host=127.0.0.1", f"--workers={workers}") as server:
        assert f"Listening on 127.0.0.1:{server.port}" in server.wait_for_log("Listening")
        assert _ask(f"127.0.0.1:{server.port}") == 5
        for other in ("127.0.0.2", "::1"):
            with pytest.raises(ConnectionRefusedError):
                socket.create_connection((other, server.port))
        assert listening.ips(server.process.pid) == {"127.0.0.1"}


@pytest.mark.parametrize("workers", [1, 2])
def test_several_hosts_have_the_same_port_and_are_all_in_the_log(workers: int) -> None:
    with programs.serving("--host=[::1]", "--host=127.0.0.2", f"--workers={workers}") as server:
        assert f"Listening on [::1]:{server.port}, 127.0.0.2:{server.port}" in server.wait_for_log("Listening")
        for address in ("127.0.0.2", "[::1]"):
            assert _ask(f"{address}:{server.port}") == 5
        assert listening.ips(server.process.pid) == {"127.0.0.2", "::1"}


def test_localhost_means_both_loopback_addresses() -> None:
    with programs.serving("--host=localhost") as server:
        assert listening.ips(server.process.pid) == {"127.0.0.1", "::1"}


def test_without_a_host_the_server_listens_on_all_interfaces() -> None:
    with programs.serving() as server:
        assert f"Listening on [::]:{server.port}" in server.wait_for_log("Listening")
        assert listening.ips(server.process.pid) == {"::"}
        assert _ask(f"127.0.0.2:{server.port}") == 5


def test_a_port_that_is_in_use_on_one_of_the_hosts_is_a_one_line_error_with_status_1() -> None:
    with socket.create_server(("127.0.0.2", 0)) as listener:
        port = listener.getsockname()[1]
        refused = programs.run([programs.SERVER, f"--port={port}", "--host=127.0.0.1", "--host=127.0.0.2"])
    assert refused.returncode == 1
    assert refused.stderr == (
        f"server: cannot listen on 127.0.0.2:{port}: Address already in use; "
        "another program is using it: choose another port with --port\n"
    )


@pytest.mark.parametrize("workers", [1, 2])
@pytest.mark.parametrize(
    ("host", "reason"),
    [
        ("unknown.invalid", "cannot be resolved ("),
        ("192.0.2.1", "cannot listen on 192.0.2.1 (Cannot assign requested address)"),
        ("127.0.0.1:80", "cannot be resolved ("),
        ("", "cannot be resolved ("),
    ],
)
def test_a_host_that_is_not_of_this_machine_is_a_one_line_error_with_status_2(
    host: str, reason: str, workers: int
) -> None:
    refused = programs.run([programs.SERVER, "--host=127.0.0.1", f"--host={host}", f"--workers={workers}"])
    assert refused.returncode == 2
    assert refused.stderr.startswith(f"server: --host={host!r}: {reason}")
    assert refused.stderr.endswith(f"); {ACCEPTED}\n")
    assert refused.stderr.count("\n") == 1
