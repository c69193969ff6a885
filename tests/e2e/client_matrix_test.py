"""Tests that every client must pass: the output and the error messages of its command line."""

import json
import os
import queue
import socket
import struct
import subprocess
from collections.abc import Iterator
from concurrent import futures
from contextlib import contextmanager, suppress
from pathlib import Path
from subprocess import CompletedProcess
from typing import Any, cast

import grpc
import pytest
from calculator.v1 import calculator_pb2 as pb

from testing import programs, timeouts
from testing.fakes.id_token_issuer import Issuer
from testing.fakes.metadata_server import MetadataServer

OUT_OF_RANGE = "is out of range: the largest number is 1.7976931348623157e308"
CLIENTS = {"Python": programs.CLIENT, "TypeScript": Path("client/ts/ts").absolute(), "Go": programs.GO_CLIENT}


@pytest.fixture(params=CLIENTS)
def client(request: pytest.FixtureRequest) -> Path:
    """A client. The command lines of all clients behave alike."""
    return CLIENTS[request.param]


def _run(client: Path, server: programs.Server, *arguments: str, standard_input: str = "") -> CompletedProcess[str]:
    return programs.run([client, "--target", server.address, *arguments], standard_input=standard_input)


@pytest.mark.parametrize(
    ("arguments", "printed"),
    [
        ("add 2 3", "5"),
        ("subtract 2 3", "-1"),
        ("subtract 2 -3", "5"),
        ("add -2 -3", "-5"),
        ("add 0.1 0.2", "0.3"),
        ("add 1e10 1", "10000000000"),
        ("add 1e20 0", "1e+20"),
        ("add 1e-45 0", "1.4013e-45"),
        ("add 0 0", "0"),
        ("add 3.4028235e38 0", "3.4028235e+38"),
        ("add 3e38 3e38", "Infinity"),
        ("add -inf 1", "-Infinity"),
        ("add nan 1", "NaN"),
    ],
)
def test_a_result_is_printed_with_32_bit_precision(
    client: Path, server: programs.Server, arguments: str, printed: str
) -> None:
    finished = _run(client, server, *arguments.split())
    assert (finished.stdout, finished.stderr, finished.returncode) == (printed + "\n", "", 0)


@pytest.mark.parametrize(
    ("arguments", "complaint"),
    [
        ("add two 3", "'two' is not a number"),
        ("add 0x10 3", "'0x10' is not a number"),
        ("add 1e39 3", "'1e39' is out of range: the largest 32-bit number is 3.4028235e38"),
        ("calc 1e400 + 3", "'1e400' is out of range: the largest number is 1.7976931348623157e308"),
        ("add 2", "'SECOND'"),
        ("add 2 3 4", " argument"),
        ("multiply 2 3", " command 'multiply'"),
        ("calc 2 x 3", "'x'"),
        ("--timeout nan add 2 3", " is not in the range 0<x<=86400"),
        ("--timeout 0 add 2 3", " is not in the range 0<x<=86400"),
        ("--timeout inf add 2 3", " is not in the range 0<x<=86400"),
        ("--target= add 2 3", "'' is invalid: must be HOST:PORT"),
        ("--target http://localhost add 2 3", "'http://localhost' is invalid: must be HOST:PORT for plaintext"),
        ("--target localhost:65536 add 2 3", "'localhost:65536' is invalid: the port must be 1-65535"),
        ("--ca-cert= add 2 3", "'' is not a file"),
        ("--auth=perhaps add 2 3", "perhaps"),
        ("--token-header cookie add 2 3", "x-serverless-authorization"),
    ],
)
def test_invalid_arguments_are_refused_with_status_2(
    client: Path, server: programs.Server, arguments: str, complaint: str
) -> None:
    finished = _run(client, server, *arguments.split())
    assert (finished.returncode, finished.stdout) == (2, "")
    assert complaint in finished.stderr


@pytest.mark.parametrize(
    ("arguments", "printed"),
    [
        (["calc", "7", "/", "-2"], "-3.5"),
        (["calc", "2", "^", "10"], "1024"),
        (["calc", "-1", "*", "0"], "-0"),
        (["calc", "1e15", "*", "10"], "1e+16"),
        (["calc", "1", "/", "8000"], "0.000125"),
        (["calc", "1", "/", "80000"], "1.25e-05"),
        (["calc", "inf", "-", "1"], "inf"),
        (["calc", "inf", "-", "inf"], "nan"),
        (["eval", "2*(3+4)^2"], "3 + 4 = 7    2*7^2\n7 ^ 2 = 49    2*49\n2 * 49 = 98    98\n98"),
        (["eval", "-2^2"], "2 ^ 2 = 4    -4\n-4"),
        (["eval", "2*max(sqrt(9), 1)"], "sqrt(9) = 3    2*max(3,1)\nmax(3, 1) = 3    2*3\n2 * 3 = 6    6\n6"),
        (["eval", "-pi"], "pi = 3.141592653589793    -3.141592653589793\n-3.141592653589793"),
        (
            ["aggregate", "-1", "2.5"],
            "count     2\nsum       1.5\nmean      0.75\nvariance  3.0625\nminimum   -1\nmaximum   2.5",
        ),
        (["aggregate"], "count     0\nsum       0"),
    ],
    ids=" ".join,
)
def test_every_command_prints_its_answer(
    client: Path, server: programs.Server, arguments: list[str], printed: str
) -> None:
    finished = _run(client, server, *arguments)
    assert (finished.stdout, finished.stderr, finished.returncode) == (printed + "\n", "", 0)


SQUARE_ROOT = {
    "operation": "OPERATION_UNSPECIFIED",
    "first_operand": 0,
    "second_operand": 0,
    "result": 3,
    "remaining": "3",
    "function": "sqrt",
    "arguments": [9],
}


@pytest.mark.parametrize(
    ("arguments", "messages"),
    [
        (["add", "2", "3"], [{"result": 5}]),
        (["add", "0.1", "0.2"], [{"result": 0.3}]),
        (["calc", "1", "-", "1"], [{"result": 0}]),
        (["calc", "inf", "+", "1"], [{"result": "Infinity"}]),
        (["aggregate", "1"], [{"count": "1", "sum": 1, "mean": 1, "variance": 0, "minimum": 1, "maximum": 1}]),
        (["eval", "7"], [{"result": 7}]),
        (["eval", "sqrt(9)"], [{"step": SQUARE_ROOT}, {"result": 3}]),
    ],
    ids=lambda value: " ".join(value) if isinstance(value[0], str) else "",
)
def test_json_output_has_one_line_per_message(
    client: Path, server: programs.Server, arguments: list[str], messages: list[object]
) -> None:
    finished = _run(client, server, "--json", *arguments)
    assert [json.loads(line) for line in finished.stdout.splitlines()] == messages


def test_json_output_keeps_the_sign_of_zero(client: Path, server: programs.Server) -> None:
    assert "-0.0" in _run(client, server, "--json", "calc", "-1", "*", "0").stdout


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["calc", "7", "/", "0"], "INVALID_ARGUMENT: 7 / 0 divides by zero"),
        (["calc", "1e200", "*", "1e200"], "OUT_OF_RANGE: 1e+200 * 1e+200 is beyond the largest number"),
        (
            ["eval", "2*("],
            "INVALID_ARGUMENT: a number, a name, a parenthesis or a sign is expected, not the end at position 4",
        ),
        (["aggregate", "1", "inf"], "INVALID_ARGUMENT: number 2 is inf; accepted: finite numbers"),
    ],
    ids=" ".join,
)
def test_an_rpc_error_prints_one_line_and_exits_with_1(
    client: Path, server: programs.Server, arguments: list[str], message: str
) -> None:
    finished = _run(client, server, *arguments)
    assert (finished.returncode, finished.stdout) == (1, "")
    assert finished.stderr.startswith(f"Error: {message}")
    assert finished.stderr.count("\n") == 1


def test_aggregate_reads_many_numbers_from_standard_input(client: Path, server: programs.Server) -> None:
    numbers = "\n".join(map(str, range(1, 100_001)))
    printed = _run(client, server, "aggregate", "-", standard_input=numbers).stdout.splitlines()
    assert printed[:3] == ["count     100000", "sum       5000050000", "mean      50000.5"]


def test_aggregate_names_the_word_that_is_not_a_number(client: Path, server: programs.Server) -> None:
    finished = _run(client, server, "aggregate", "-", standard_input="1 2\nthree 4")
    assert (finished.returncode, finished.stdout) == (2, "")
    assert "number 3: 'three' is not a number" in finished.stderr


def test_converse_answers_line_by_line_and_remembers_the_result(client: Path, server: programs.Server) -> None:
    finished = _run(client, server, "converse", standard_input="3 + 4\n* 2\n\n/ 0\n1 + 1e999\n- 1\n-1 - -1")
    assert finished.stdout.splitlines() == ["7", "14", "DIVISION_BY_ZERO: 14 / 0 divides by zero", "13", "0"]
    assert finished.stderr == f"Invalid line '1 + 1e999': '1e999' {OUT_OF_RANGE}\n"


def test_converse_says_what_a_line_must_be(client: Path, server: programs.Server) -> None:
    finished = _run(client, server, "converse", standard_input="3 plus 4\n")
    expected = "must be an operation such as 3 + 4, or * 2 to continue from the last result"
    assert (finished.returncode, finished.stderr) == (0, f"Invalid line '3 plus 4': {expected}\n")


@pytest.mark.parametrize(
    ("command", "data", "outcome"),
    [
        ("aggregate -", b"1 \xff\n3", ("", "number 2: not UTF-8")),
        ("aggregate -", "1\n2\n".encode("utf-16"), ("", "number 1: not UTF-8")),
        ("aggregate -", b"1 " + b"2" * 1001, ("", "number 2: longer than 1000 bytes")),
        ("aggregate -", b"1 1e400", ("", f"number 2: '1e400' {OUT_OF_RANGE}")),
        ("converse", b"1 + 1\n\n* \xff\n* 2\n", ("2\n", "line 3: not UTF-8")),
        ("converse", b"1 + 1\n" + b"+" * 1_000_001, ("2\n", "line 2: longer than 1000000 bytes")),
    ],
    ids=["bytes", "UTF-16", "long word", "large number", "bytes in a line", "long line"],
)
def test_invalid_input_is_an_error_that_names_the_number_or_line(
    client: Path, server: programs.Server, command: str, data: bytes, outcome: tuple[str, str]
) -> None:
    printed, problem = outcome
    finished = _run(client, server, *command.split(), standard_input=os.fsdecode(data))
    assert (finished.returncode, finished.stdout) == (2, printed)
    assert finished.stderr == f"Error: {problem}\n"


@pytest.mark.parametrize("line_end", ["\n", "\r\n", "\r"])
def test_files_of_spreadsheets_are_read(client: Path, server: programs.Server, line_end: str) -> None:
    numbers = line_end.join(["\ufeff1", "2", "", "3"])
    assert "count     3" in _run(client, server, "aggregate", "-", standard_input=numbers).stdout.splitlines()
    lines = line_end.join(["\ufeff1 + 2", "", "* 2", ""])
    assert _run(client, server, "converse", standard_input=lines).stdout.splitlines() == ["3", "6"]


NUMBERS = ["1", "+1", "-1.", ".5", "1e3", "1E-3", "inf", "-Infinity", "NaN"]
NOT_NUMBERS = ["1_000", "\u0663", "\uff11", "0x10", "1,5", "1e400", "1e", "nano"]


def test_the_same_texts_are_numbers_in_every_client(client: Path, server: programs.Server) -> None:
    lines = "".join(f"0 + {text}\n" for text in NUMBERS + NOT_NUMBERS)
    finished = _run(client, server, "converse", standard_input=lines)
    assert len(finished.stdout.splitlines()) == len(NUMBERS)
    refused = [line.partition("'")[2].partition("'")[0] for line in finished.stderr.splitlines()]
    assert refused == [f"0 + {text}" for text in NOT_NUMBERS]


def test_files_are_looked_up_in_the_folder_in_which_bazel_run_was_typed(
    client: Path, server: programs.Server, tmp_path: Path
) -> None:
    (tmp_path / "ca.crt").touch()
    (tmp_path / "key.json").write_text("{}", encoding="utf-8")
    here = {"BUILD_WORKING_DIRECTORY": str(tmp_path)}
    finished = programs.run([client, "--target", server.address, "--ca-cert", "ca.crt", "add", "1", "2"], **here)
    assert "no certificate in ca.crt: must be a PEM file" in finished.stderr
    command = [str(client), "--target", "example.com", "--auth=identity-token", "add", "1", "2"]
    finished = programs.run(command, GOOGLE_APPLICATION_CREDENTIALS="key.json", **here)
    assert finished.returncode == 1
    assert "does not exist" not in finished.stderr  # by google-auth-library
    assert "was not found" not in finished.stderr  # by google-auth


def test_an_unreachable_server_prints_one_line_with_advice(client: Path) -> None:
    with socket.create_server(("localhost", 0)) as closed_soon:
        port = closed_soon.getsockname()[1]
    finished = programs.run([client, "--target", f"localhost:{port}", "add", "2", "3"])
    assert finished.returncode == 1
    assert finished.stdout == ""
    assert finished.stderr.startswith("Error: UNAVAILABLE: ")
    assert finished.stderr.endswith(
        f"is a server running at localhost:{port}? "
        "Start one with ./bazelw run //server, or name another with --target\n"
    )
    assert finished.stderr.count("\n") == 1


@pytest.mark.parametrize("command", ["add 2 3", "eval 2+3", "aggregate 1 2"])
def test_a_call_to_a_silent_server_fails_at_the_deadline(client: Path, command: str) -> None:
    with socket.create_server(("localhost", 0)) as silent:
        target = f"localhost:{silent.getsockname()[1]}"
        finished = programs.run([client, "--target", target, "--timeout", "0.5", *command.split()])
    assert finished.returncode == 1
    assert finished.stderr.startswith("Error: DEADLINE_EXCEEDED: ")
    assert finished.stderr.endswith(f"{target} did not answer within 0.5 s; increase --timeout\n")
    assert finished.stderr.count("\n") == 1


def test_text_that_is_not_utf8_is_refused(client: Path, server: programs.Server) -> None:
    finished = _run(client, server, "eval", os.fsdecode(b"1+\xff"))
    assert finished.returncode == 2
    assert "is not UTF-8" in finished.stderr


def test_an_answer_that_cannot_be_written_is_one_line_and_status_1(client: Path, server: programs.Server) -> None:
    with Path("/dev/full").open("w", encoding="ascii") as full:
        finished = subprocess.run(
            [client, "--target", server.address, "calc", "1", "+", "1"],
            stdout=full,
            stderr=subprocess.PIPE,
            text=True,
            timeout=timeouts.SECONDS,
            check=False,
        )
    assert finished.returncode == 1
    assert finished.stderr.lower() == "error: cannot write the answer: no space left on device\n"


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--ca-cert", "/no/such/file"], "the certificates in /no/such/file cannot be read: "),
        (["--ca-cert", "/dev/null"], "no certificate in /dev/null: must be a PEM file"),
        (
            ["--target", "example.com:80", "--auth", "identity-token"],
            "example.com:80: an identity token is a secret, and is not sent in plaintext; use TLS",
        ),
    ],
    ids=["no file", "no certificate", "plaintext"],
)
def test_unusable_connection_options_are_refused_before_anything_is_sent(
    client: Path, options: list[str], message: str
) -> None:
    finished = programs.run([client, *options, "add", "2", "3"])
    assert (finished.returncode, finished.stdout) == (1, "")
    assert finished.stderr.startswith(f"Error: {message}")
    assert finished.stderr.count("\n") == 1


@contextmanager
def _serving(**methods: "grpc.RpcMethodHandler[Any, Any]") -> Iterator[str]:
    """Serve handlers of methods of calculator.v1.Calculator; yield the target."""
    with futures.ThreadPoolExecutor(1) as pool:
        server = grpc.server(pool)
        server.add_generic_rpc_handlers((grpc.method_handlers_generic_handler("calculator.v1.Calculator", methods),))
        port = server.add_insecure_port("localhost:0")
        server.start()
        yield f"localhost:{port}"
        server.stop(None).wait()


def test_steps_that_are_newer_than_the_client_are_shown(client: Path) -> None:
    def evaluate(_request: bytes, _context: grpc.ServicerContext) -> Iterator[bytes]:
        for step in [
            pb.EvaluateResponse.Step(function="hypot", arguments=[3, -4], result=5, remaining="5-tau"),
            pb.EvaluateResponse.Step(function="tau", result=6.25, remaining="5-6.25"),
            pb.EvaluateResponse.Step(
                operation=cast("pb.Operation", 99), first_operand=5, second_operand=2, result=1, remaining="1"
            ),
        ]:
            yield pb.EvaluateResponse(step=step).SerializeToString()

    with _serving(Evaluate=grpc.unary_stream_rpc_method_handler(evaluate)) as target:
        finished = programs.run([client, "--target", target, "eval", "1"])
    printed = "hypot(3, -4) = 5    5-tau\ntau = 6.25    5-6.25\n5 ? 2 = 1    1\n"
    assert (finished.stdout, finished.stderr, finished.returncode) == (printed, "", 0)


@pytest.mark.parametrize(("pushback", "attempts"), [((), 5), ((("grpc-retry-pushback-ms", "-1"),), 1)])
def test_a_call_is_retried_unless_the_server_forbids_it(
    client: Path, pushback: tuple[tuple[str, str], ...], attempts: int
) -> None:
    calls: queue.SimpleQueue[str] = queue.SimpleQueue()

    def refuse(_request: bytes, context: grpc.ServicerContext) -> bytes:
        calls.put("call")
        context.set_trailing_metadata(pushback)
        context.abort(grpc.StatusCode.RESOURCE_EXHAUSTED, "too large")

    with _serving(Calculate=grpc.unary_unary_rpc_method_handler(refuse)) as target:
        finished = programs.run([client, "--target", target, "calc", "1", "+", "2"])
    assert (finished.returncode, finished.stderr) == (1, "Error: RESOURCE_EXHAUSTED: too large\n")
    assert calls.qsize() == attempts


def _forward(source: socket.socket, target: socket.socket) -> None:
    """Copy data from one socket to another until either is closed."""
    with suppress(OSError):
        while data := source.recv(65536):
            target.sendall(data)


@pytest.mark.parametrize("is_reset", [False, True], ids=["closed", "reset"])
def test_a_call_is_retried_when_its_first_two_connections_are_lost(
    client: Path,
    server: programs.Server,
    is_reset: bool,  # noqa: FBT001
) -> None:
    def accept() -> socket.socket:
        """Lose two connections, and return the third."""
        for _ in range(2):
            lost, _ = listener.accept()
            if is_reset:
                lost.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            lost.close()
        return listener.accept()[0]

    with (
        futures.ThreadPoolExecutor(2) as pool,
        socket.create_connection(("localhost", server.port)) as onward,
        socket.create_server(("localhost", 0)) as listener,
    ):
        listener.settimeout(timeouts.SECONDS)
        accepted = pool.submit(accept)
        target = f"localhost:{listener.getsockname()[1]}"
        command = [str(client), "--target", target, "--timeout", str(timeouts.SECONDS), "add", "2", "3"]
        with programs.started(command, stdout=subprocess.PIPE) as asking, accepted.result() as repeated:
            try:
                pool.submit(_forward, repeated, onward)
                pool.submit(_forward, onward, repeated)
                answer, _ = asking.communicate(timeout=timeouts.SECONDS)
            finally:
                for each in (repeated, onward):  # closing a socket does not wake the thread that reads from it
                    with suppress(OSError):  # its peer has already closed the connection
                        each.shutdown(socket.SHUT_RDWR)
    assert answer == "5\n"


def test_the_metadata_server_and_this_machine_are_reached_without_a_proxy(
    client: Path, server: programs.Server
) -> None:
    with MetadataServer(Issuer()) as metadata:
        finished = programs.run(
            [client, "--target", server.address, "--auth=identity-token", "--audience=https://a", "add", "2", "3"],
            GCE_METADATA_HOST=metadata.host,
            http_proxy="http://localhost:1",
            HTTP_PROXY="http://localhost:1",
            HOME="/nonexistent",
        )
    assert (finished.stdout, finished.stderr) == ("5\n", "")
