"""Tests of the commands that only the Python and Go clients have, and of their limits on resources.

Tests that all clients share are in client_matrix_test.py.
"""

import json
import os
import pty
import socket
import subprocess
from pathlib import Path
from subprocess import CompletedProcess

import pytest

from testing import programs, timeouts

CLIENTS = {"Python": programs.CLIENT, "Go": programs.GO_CLIENT}


@pytest.fixture(params=CLIENTS)
def client(request: pytest.FixtureRequest) -> Path:
    """A client."""
    return CLIENTS[request.param]


def _run(client: Path, server: programs.Server, *arguments: str, standard_input: str = "") -> CompletedProcess[str]:
    return programs.run([client, "--target", server.address, *arguments], standard_input=standard_input)


@pytest.mark.parametrize(
    ("arguments", "complaint"),
    [
        ("add 2", "Missing argument 'SECOND'"),
        ("add 2 3 4", "unexpected extra argument"),
        ("multiply 2 3", "No such command 'multiply'"),
        ("health one two", "unexpected extra argument"),
        ("--retry add 2 3", "No such option '--retry'."),
        ("--target", "Option '--target' requires an argument."),
        ("--json", "Missing command."),
        ("", "Options:"),
        ("route-guide", "Commands:"),
        ("route-guide go 1 2", "No such command 'go'"),
        ("route-guide feature 91 0", " is not in the range -90<=x<=90"),
        ("route-guide record 1 2 3", "'3' is a latitude without its longitude"),
        ("route-guide record 1 east", "'east' is not a "),
        ("route-guide feature nan 0", "'nan' is not in the range -90<=x<=90"),
    ],
)
def test_invalid_arguments_are_refused_with_status_2(client: Path, arguments: str, complaint: str) -> None:
    finished = programs.run([client, *arguments.split()])
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
        (["aggregate", "--", "-1"], "count     1\nsum       -1\nmean      -1\nvariance  0\nminimum   -1\nmaximum   -1"),
        (["--json", "calc", "7", "/", "2"], '{"result": 3.5}'),
        (["--json", "calc", "-1", "*", "0"], '{"result": -0.0}'),
        (["--json", "add", "0.1", "0.2"], '{"result": 0.3}'),
    ],
    ids=" ".join,
)
def test_every_command_prints_its_answer(
    client: Path, server: programs.Server, arguments: list[str], printed: str
) -> None:
    finished = _run(client, server, *arguments)
    assert (finished.stdout, finished.stderr, finished.returncode) == (printed + "\n", "", 0)


def _aggregate(client: Path, server: programs.Server, count: int, separator: str) -> tuple[list[str], int]:
    """Have the client aggregate the numbers 1 to `count`; return its output lines and its peak memory in kB."""
    with programs.started(
        [client, "--target", server.address, "aggregate", "-"],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
    ) as process:
        assert process.stdin
        assert process.stdout
        with process.stdin as numbers:
            numbers.writelines(f"{number}{separator}" for number in range(1, count + 1))
        printed = process.stdout.read().splitlines()
        _, process.returncode, usage = os.wait4(process.pid, 0)
    return printed, usage.ru_maxrss


@pytest.mark.parametrize("separator", ["\n", " "], ids=["lines", "one line"])
def test_aggregate_reads_a_million_numbers_from_standard_input_in_constant_memory_on_both_sides(
    client: Path, server: programs.Server, separator: str
) -> None:
    _, client_before = _aggregate(client, server, 10_000, separator)
    server_before = server.memory("VmHWM")
    printed, client_after = _aggregate(client, server, 1_000_000, separator)
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


def test_aggregate_shows_its_progress_on_a_terminal(client: Path, server: programs.Server) -> None:
    terminal, standard_error = pty.openpty()
    with os.fdopen(terminal, "rb", buffering=0) as screen:
        with programs.started(
            [client, "--target", server.address, "aggregate", "-"],
            stdin=subprocess.PIPE,
            stdout=subprocess.DEVNULL,
            stderr=standard_error,
        ) as process:
            os.close(standard_error)
            process.communicate("1\n" * 100_000, timeout=timeouts.SECONDS)
        shown = screen.read(100_000).decode()
    assert "numbers" in shown
    assert "5000" in shown


def test_chat_prints_earlier_notes_and_reports_invalid_lines(client: Path) -> None:
    with programs.serving() as server:  # without the notes of other tests
        said = "11 1 hello\n91 2 x\nhello\n11 1 hello  1 again \n11 1 bye\n"
        finished = _run(client, server, "route-guide", "chat", standard_input=said)
    place = "11.0000000 1.0000000"
    assert finished.stdout == f"{place}  hello\n{place}  hello\n{place}  hello  1 again\n"
    first, second = finished.stderr.splitlines()
    assert first.startswith("Invalid line '91 2 x': ")
    assert " is not in the range -90<=x<=90" in first
    expected = "must be a latitude (-90 to 90), a longitude (-180 to 180) and a message"
    assert second == f"Invalid line 'hello': {expected}"


def test_chat_names_a_line_that_is_not_utf8(client: Path, server: programs.Server) -> None:
    finished = _run(client, server, "route-guide", "chat", standard_input="1 2 hello\n1 2 \udcff\n")
    assert (finished.returncode, finished.stderr) == (2, "Error: line 2: not UTF-8\n")


def test_list_shows_every_service_and_method(client: Path, server: programs.Server) -> None:
    lines = _run(client, server, "list").stdout.splitlines()
    assert "  Converse(stream ConverseRequest) returns (stream ConverseResponse)" in lines
    services = ["calculator.v1.Calculator", "grpc.health.v1.Health", "routeguide.RouteGuide"]
    assert set(services) < {line for line in lines if not line.startswith(" ")}


def test_list_as_json_prints_one_line_per_service(client: Path, server: programs.Server) -> None:
    services = [json.loads(line) for line in _run(client, server, "--json", "list").stdout.splitlines()]
    [calculator] = [service for service in services if service["name"] == "calculator.v1.Calculator"]
    assert [method["name"] for method in calculator["method"]] == ["Calculate", "Evaluate", "Aggregate", "Converse"]


def test_a_server_on_this_machine_is_not_called_through_a_proxy(client: Path, server: programs.Server) -> None:
    finished = programs.run([client, "--target", server.address, "add", "2", "3"], **programs.BROKEN_PROXY)
    assert (finished.stdout, finished.stderr) == ("5\n", "")


def test_an_rpc_error_prints_one_line_and_exits_with_1(client: Path, server: programs.Server) -> None:
    finished = _run(client, server, "health", "nobody")
    assert (finished.returncode, finished.stdout) == (1, "")
    assert finished.stderr.startswith("Error: NOT_FOUND")
    assert finished.stderr.count("\n") == 1


@pytest.mark.parametrize("command", [["aggregate", "-"], ["route-guide", "chat"]], ids=" ".join)
def test_a_failed_call_ends_the_program_while_standard_input_is_open(client: Path, command: list[str]) -> None:
    with socket.create_server(("localhost", 0)) as closed:
        target = f"localhost:{closed.getsockname()[1]}"
    streams = {"stdin": subprocess.PIPE, "stderr": subprocess.PIPE}
    with programs.started([client, "--target", target, *command], **streams) as process:
        assert process.wait(timeouts.SECONDS) == 1
        assert process.stderr
        assert process.stderr.read().startswith("Error: UNAVAILABLE")


@pytest.mark.parametrize("command", ["list", "route-guide record 1 2"])
def test_a_call_to_a_silent_server_fails_at_the_deadline(client: Path, command: str) -> None:
    with socket.create_server(("localhost", 0)) as silent:
        target = f"localhost:{silent.getsockname()[1]}"
        finished = programs.run([client, "--target", target, "--timeout", "0.5", *command.split()])
    assert finished.returncode == 1
    assert finished.stderr.endswith(f"{target} did not answer within 0.5 s; increase --timeout\n")


# Go replaces a closed standard input with /dev/null when a program starts, so that the client in Go reads nothing.
def test_closed_standard_input_is_an_error_in_python(server: programs.Server) -> None:
    closed = ["sh", "-c", '"$0" --target "$1" converse <&-', str(programs.CLIENT), server.address]
    finished = programs.run(closed)
    assert finished.returncode == 2
    assert "standard input is closed" in finished.stderr


COMMANDS = ("add", "subtract", "calc", "eval", "aggregate", "converse", "route-guide", "health", "list")
OPTIONS = ("--target", "--tls", "--ca-cert", "--auth", "--audience", "--impersonate-service-account", "--token-header")


def test_help_names_every_command_and_option(client: Path) -> None:
    finished = programs.run([client, "--help"])
    assert finished.returncode == 0
    assert finished.stdout.startswith("Usage: client [OPTIONS] COMMAND [ARGS]...\n\n  Call a calculator over gRPC.\n")
    for word in (*COMMANDS, *OPTIONS, "--timeout", "--json", "-h, --help", "localhost:50051"):
        assert word in finished.stdout
    target = client.parent.relative_to(Path.cwd())
    assert f"\n    ./bazelw run //{target} -- add 2 3\n" in finished.stdout


@pytest.mark.parametrize("command", [*COMMANDS, "route-guide feature"])
def test_every_command_has_a_help(client: Path, command: str) -> None:
    finished = programs.run([client, *command.split(), "--help"])
    assert (finished.returncode, finished.stderr) == (0, "")
    assert finished.stdout.startswith(f"Usage: client {command} [OPTIONS]")
