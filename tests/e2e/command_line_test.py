"""Tests of the Python client's command line. Tests that all clients share are in client_matrix_test.py."""

import json
import os
import pty
import socket
import subprocess
from subprocess import CompletedProcess

import pytest

from testing import programs, timeouts


def _client(server: programs.Server, *arguments: str, standard_input: str = "") -> CompletedProcess[str]:
    return programs.run([programs.CLIENT, "--target", server.address, *arguments], standard_input=standard_input)


@pytest.mark.parametrize(
    ("arguments", "complaint"),
    [
        ("add 2", "Missing argument 'SECOND'"),
        ("add 2 3 4", "unexpected extra argument"),
        ("multiply 2 3", "No such command 'multiply'"),
        ("route-guide feature 91 0", "91.0 is not in the range -90<=x<=90"),
        ("route-guide record 1 2 3", "'3' is a latitude without its longitude"),
        ("route-guide record 1 east", "'east' is not a valid float"),
        ("route-guide feature nan 0", "'nan' is not in the range -90<=x<=90"),
    ],
)
def test_invalid_arguments_are_refused_with_status_2(server: programs.Server, arguments: str, complaint: str) -> None:
    finished = _client(server, *arguments.split())
    assert finished.returncode == 2
    assert complaint in finished.stderr
    assert finished.stdout == ""


@pytest.mark.parametrize(
    ("arguments", "printed"),
    [
        (["health"], "SERVING"),
        (["health", "calculator.v1.Calculator"], "SERVING"),
        (
            ["route-guide", "feature", "40.9146138", "-74.6188906"],
            "40.9146138 -74.6188906  Berkshire Valley Management Area Trail, Jefferson, NJ, USA",
        ),
        (["route-guide", "feature", "0", "-1e-7"], "0.0000000 -0.0000001  (no feature)"),
        (
            ["route-guide", "features", "40.91", "-74.62", "40.92", "-74.61"],
            "40.9146138 -74.6188906  Berkshire Valley Management Area Trail, Jefferson, NJ, USA",
        ),
        (
            ["route-guide", "record", "40.7838351", "-74.6143763", "40.9146138", "-74.6188906", "0", "0"],
            "points    3\nfeatures  2\ndistance  8736397 m\ntime      0 s",
        ),
        (["--json", "calc", "7", "/", "2"], '{"result": 3.5}'),
        (["--json", "calc", "1", "-", "1"], '{"result": 0.0}'),
        (["--json", "add", "0.1", "0.2"], '{"result": 0.3}'),
    ],
    ids=" ".join,
)
def test_every_command_prints_its_answer(server: programs.Server, arguments: list[str], printed: str) -> None:
    finished = _client(server, *arguments)
    assert (finished.stdout, finished.stderr, finished.returncode) == (printed + "\n", "", 0)


def _aggregate(server: programs.Server, count: int, separator: str) -> tuple[list[str], int]:
    """Have the client aggregate the numbers 1 to `count`; return its output lines and its peak memory in kB."""
    with programs.started(
        [programs.CLIENT, "--target", server.address, "aggregate", "-"],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
    ) as client:
        assert client.stdin
        assert client.stdout
        with client.stdin as numbers:
            numbers.writelines(f"{number}{separator}" for number in range(1, count + 1))
        printed = client.stdout.read().splitlines()
        _, client.returncode, usage = os.wait4(client.pid, 0)
    return printed, usage.ru_maxrss


@pytest.mark.parametrize("separator", ["\n", " "], ids=["lines", "one line"])
def test_aggregate_reads_a_million_numbers_from_standard_input_in_constant_memory_on_both_sides(
    server: programs.Server, separator: str
) -> None:
    _, client_before = _aggregate(server, 10_000, separator)
    server_before = server.memory("VmHWM")
    printed, client_after = _aggregate(server, 1_000_000, separator)
    assert printed == [
        "count     1000000",
        "sum       500000500000",
        "mean      500000.5",
        "variance  83333333333.25",
        "minimum   1",
        "maximum   1000000",
    ]
    # As Python objects, the numbers alone would take 32 MB.
    assert client_after - client_before < 16_000
    assert server.memory("VmHWM") - server_before < 16_000


def test_aggregate_shows_its_progress_on_a_terminal(server: programs.Server) -> None:
    terminal, standard_error = pty.openpty()
    with os.fdopen(terminal, "rb", buffering=0) as screen:
        with programs.started(
            [programs.CLIENT, "--target", server.address, "aggregate", "-"],
            stdin=subprocess.PIPE,
            stdout=subprocess.DEVNULL,
            stderr=standard_error,
        ) as client:
            os.close(standard_error)
            client.communicate("1\n" * 100_000, timeout=timeouts.SECONDS)
        shown = screen.read(100_000).decode()
    assert "numbers" in shown
    assert "5000" in shown


def test_chat_prints_earlier_notes_and_reports_invalid_lines(server: programs.Server) -> None:
    finished = _client(server, "route-guide", "chat", standard_input="1 2 hello\n91 2 x\nhello\n1 2 hello again \n")
    assert finished.stdout == "1.0000000 2.0000000  hello\n"
    assert finished.stderr.splitlines() == [
        "Invalid line '91 2 x': 91.0 is not in the range -90<=x<=90.",
        "Invalid line 'hello': must be a latitude (-90 to 90), a longitude (-180 to 180) and a message",
    ]


def test_chat_names_a_line_that_is_not_utf8(server: programs.Server) -> None:
    finished = _client(server, "route-guide", "chat", standard_input="1 2 hello\n1 2 \udcff\n")
    assert (finished.returncode, finished.stderr) == (2, "Error: line 2: not UTF-8\n")


def test_list_shows_every_service_and_method(server: programs.Server) -> None:
    lines = _client(server, "list").stdout.splitlines()
    assert "  Converse(stream ConverseRequest) returns (stream ConverseResponse)" in lines
    services = ["calculator.v1.Calculator", "grpc.health.v1.Health", "routeguide.RouteGuide"]
    assert set(services) < {line for line in lines if not line.startswith(" ")}


def test_list_as_json_prints_one_line_per_service(server: programs.Server) -> None:
    services = [json.loads(line) for line in _client(server, "--json", "list").stdout.splitlines()]
    [calculator] = [service for service in services if service["name"] == "calculator.v1.Calculator"]
    assert [method["name"] for method in calculator["method"]] == ["Calculate", "Evaluate", "Aggregate", "Converse"]


def test_a_server_on_this_machine_is_not_called_through_a_proxy(server: programs.Server) -> None:
    nowhere = "http://127.0.0.1:9"
    finished = programs.run(
        [programs.CLIENT, "--target", server.address, "add", "2", "3"], http_proxy=nowhere, grpc_proxy=nowhere
    )
    assert (finished.stdout, finished.stderr) == ("5\n", "")


def test_an_rpc_error_prints_one_line_and_exits_with_1(server: programs.Server) -> None:
    finished = _client(server, "health", "nobody")
    assert (finished.returncode, finished.stdout) == (1, "")
    assert finished.stderr.startswith("Error: NOT_FOUND")
    assert finished.stderr.count("\n") == 1


@pytest.mark.parametrize("command", ["list", "route-guide record 1 2"])
def test_a_call_to_a_silent_server_fails_at_the_deadline(command: str) -> None:
    with socket.create_server(("localhost", 0)) as silent:
        target = f"localhost:{silent.getsockname()[1]}"
        finished = programs.run([programs.CLIENT, "--target", target, "--timeout", "0.5", *command.split()])
    assert finished.returncode == 1
    assert finished.stderr.endswith(f"{target} did not answer within 0.5 s; increase --timeout\n")


def test_closed_standard_input_is_an_error(server: programs.Server) -> None:
    closed = ["sh", "-c", '"$0" --target "$1" converse <&-', str(programs.CLIENT), server.address]
    finished = programs.run(closed)
    assert finished.returncode == 2
    assert "standard input is closed" in finished.stderr


def test_help_names_every_command_and_option() -> None:
    finished = programs.run([programs.CLIENT, "--help"])
    assert finished.returncode == 0
    for word in ("add", "subtract", "--target", "--timeout", "localhost:50051"):
        assert word in finished.stdout
    assert "\n    ./bazelw run //client -- add 2 3\n" in finished.stdout
