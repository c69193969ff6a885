"""Tests of the client in Go, which has fewer commands and options than those of client_matrix_test."""

import socket
from pathlib import Path
from subprocess import CompletedProcess

import pytest

from testing import programs

CLIENT = Path("client/go/go").absolute()


def _run(target: str, *arguments: str) -> CompletedProcess[str]:
    return programs.run([CLIENT, "--target", target, *arguments])


@pytest.mark.parametrize(
    ("arguments", "printed"),
    [
        ("add 2 3", "5"),
        ("subtract 2 3", "-1"),
        ("subtract 2 -3", "5"),
        ("add 0.1 0.2", "0.3"),
        ("add 1e20 0", "1e+20"),
        ("add 3e38 3e38", "Infinity"),
        ("add nan 1", "NaN"),
    ],
)
def test_a_result_is_printed_as_by_the_other_clients(server: programs.Server, arguments: str, printed: str) -> None:
    finished = _run(server.address, *arguments.split())
    assert (finished.stdout, finished.stderr, finished.returncode) == (printed + "\n", "", 0)


@pytest.mark.parametrize(
    ("arguments", "complaint"),
    [
        ("", "no command: give one such as add 2 3, or --help"),
        ("add two 3", "'two' is not a number"),
        ("add 3 1e39", "'1e39' is out of range: the largest 32-bit number is 3.4028235e38"),
        ("add 2", "add takes two arguments, 'FIRST' and 'SECOND', but got 1"),
        ("multiply 2 3", "no such command 'multiply': must be add or subtract"),
        ("--timeout nan add 2 3", "--timeout: nan is not in the range 0<x<=86400"),
        ("--retry add 2 3", "flag provided but not defined: -retry"),
    ],
)
def test_invalid_arguments_are_refused_with_status_2(server: programs.Server, arguments: str, complaint: str) -> None:
    finished = _run(server.address, *arguments.split())
    assert (finished.stdout, finished.stderr, finished.returncode) == ("", f"Error: {complaint}\n", 2)


def test_a_call_without_a_server_fails_with_status_1_and_one_line() -> None:
    with socket.create_server(("localhost", 0)) as closed:
        address = f"localhost:{closed.getsockname()[1]}"
    finished = _run(address, "add", "2", "3")
    assert (finished.stdout, finished.returncode) == ("", 1)
    assert finished.stderr.startswith(f"Error: Unavailable from {address}: ")
    assert finished.stderr.count("\n") == 1
