"""Tests of //deploy:local as a person runs it: the printed commands work, and Ctrl+C ends all programs."""

import argparse
import itertools
import json
import os
import queue
import re
import shlex
import signal
import ssl
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from urllib.request import Request, urlopen

import grpc
import pytest
from calculator.v1 import calculator_pb2 as pb
from calculator.v1 import calculator_pb2_grpc

from client.access import NONE, Access
from client.channel import connect
from testing import listening, programs, timeouts
from testing.documents import Document
from testing.open_call import OpenCall

PROGRAM = Path("deploy/emulator/emulator").absolute()
PATHS = [
    f"--envoy-path={os.environ['ENVOY']}",
    f"--bubblewrap-path={os.environ['BWRAP']}",
    "--ingress-image-path=ingress/image",
    "--ingress-path=ingress/ingress",
    "--server-image-path=deploy/image",
    "--server-path=server/server",
]


class Emulator:
    """A running //deploy:local.

    Attributes:
        process: its process.
        text: its standard output.
    """

    def __init__(self, process: subprocess.Popen[str]) -> None:
        self.process = process
        self.text = programs.read_until(process, "/Calculate\n")  # the end of the last line

    def call(self, *command: str) -> tuple[str, str]:
        """Run the printed client command with another subcommand; return stdout and stderr."""
        called = programs.run([*self.client, *command], **self.environment)
        return called.stdout, called.stderr

    @property
    def client(self) -> list[str]:
        """The printed client command, without its subcommand."""
        [shown] = re.findall(r"//client -- (.*) add 2 3\n", self.text)
        return [str(programs.CLIENT), *shown.split()]

    @property
    def environment(self) -> dict[str, str]:
        """The environment that is printed for the client."""
        [host] = re.findall(r"export GCE_METADATA_HOST=(.*)\n", self.text)
        return {"GCE_METADATA_HOST": host, "GOOGLE_APPLICATION_CREDENTIALS": ""}


@contextmanager
def _emulator(*flags: str) -> Iterator[Emulator]:
    with programs.started([PROGRAM, *PATHS, "--port=0", *flags], stdout=subprocess.PIPE) as process:
        try:
            yield Emulator(process)
        finally:
            process.send_signal(signal.SIGINT)
            assert process.wait(timeouts.SECONDS) == 0


def test_the_document_shows_only_the_command_that_is_tested_here() -> None:
    text = Path("docs/guides/emulator.md").read_text(encoding="utf-8")
    assert [str(session) for session in Document(text).sessions] == ["./bazelw run //deploy:local"]
    assert "`https://localhost:8443`" in text
    assert "(default: 8443)" in programs.run([PROGRAM, "--help"]).stdout


@pytest.fixture(scope="module")
def binary() -> Iterator[Emulator]:
    """An emulator that runs the programs instead of the images."""
    with _emulator("--binary", "--instances=2") as emulator:
        yield emulator


def test_the_printed_client_command_works_with_the_images_and_ctrl_c_ends_the_emulator() -> None:
    with _emulator() as emulator:
        assert emulator.call("add", "2", "3") == ("5\n", "")


def test_the_printed_client_command_works_with_the_programs(binary: Emulator) -> None:
    assert binary.call("add", "2", "3") == ("5\n", "")
    assert binary.call("health") == ("SERVING\n", "")


def test_the_printed_grpcurl_and_curl_commands_work_with_the_printed_token(binary: Emulator) -> None:
    *_, fetch, grpcurl, curl = binary.text.replace("\\\n", "").splitlines()
    [url] = re.findall(r"curl -s -H 'Metadata-Flavor: Google' +'(.*)'", fetch)
    with urlopen(Request(url, headers={"Metadata-Flavor": "Google"}), timeout=timeouts.SECONDS) as answer:
        token = answer.read().decode()
    words = shlex.split(grpcurl.replace("$TOKEN", token))
    listed = programs.run([programs.grpcurl(), *words[words.index("--") + 1 :]])
    assert "calculator.v1.Calculator" in listed.stdout.splitlines(), listed.stderr
    called = _post(shlex.split(curl.replace("$TOKEN", token)))
    assert called == {"result": 5}


def _post(curl: list[str]) -> object:
    """Send the request of a curl command; return the JSON of its response."""
    parser = argparse.ArgumentParser()
    parser.add_argument("program")
    parser.add_argument("--http1.1", action="store_true")
    parser.add_argument("--cacert")
    parser.add_argument("-H", action="append")
    parser.add_argument("-d")
    parser.add_argument("url")
    words = parser.parse_args(curl)
    request = Request(words.url, words.d.encode(), dict(header.split(": ", 1) for header in words.H))
    context = ssl.create_default_context(cafile=words.cacert)
    with urlopen(request, timeout=timeouts.SECONDS, context=context) as answer:
        return json.load(answer)


def test_all_programs_listen_only_on_loopback(binary: Emulator) -> None:
    # The front end listens on both addresses; all others, such as Envoy's admin interfaces, on the first one.
    assert listening.ips(binary.process.pid) == {"127.0.0.1", "::1"}


def test_the_printed_commands_and_the_certificate_have_the_host_of_the_flag() -> None:
    with _emulator("--binary", "--host=127.0.0.2") as emulator:
        assert "--target 127.0.0.2:" in emulator.text
        assert emulator.call("add", "2", "3") == ("5\n", "")
        assert listening.ips(emulator.process.pid) == {"127.0.0.1", "127.0.0.2"}


def test_a_host_that_is_not_of_this_machine_is_an_error_with_status_2() -> None:
    refused = programs.run([PROGRAM, *PATHS, "--binary", "--port=0", "--host=192.0.2.1"])
    assert refused.returncode == 2
    reason = "cannot listen on 192.0.2.1 (Cannot assign requested address)"
    assert refused.stderr.startswith(f"local: --host='192.0.2.1': {reason}; ")
    assert refused.stderr.count("\n") == 1


def _connect(emulator: Emulator) -> grpc.Channel:
    """Open a channel as the printed client command does, but without a token."""
    words = emulator.client
    access = Access(ca_cert=Path(words[words.index("--ca-cert") + 1]), auth=NONE)
    return connect(words[words.index("--target") + 1], access=access)


REQUEST = pb.CalculateRequest(operation=pb.OPERATION_ADD, first_operand=2, second_operand=3)


def test_an_instance_does_not_get_more_requests_than_its_concurrency_and_further_ones_wait() -> None:
    flags = ["--binary", "--instances=2", "--concurrency=1", "--allow-unauthenticated"]
    with _emulator(*flags) as emulator, _connect(emulator) as channel:
        stub = calculator_pb2_grpc.CalculatorStub(channel)
        taken = [OpenCall(channel), OpenCall(channel)]
        # Aggregate is the only method with a single response that the client does not retry.
        with pytest.raises(grpc.RpcError) as refused:
            stub.Aggregate(iter([pb.AggregateRequest(numbers=[1])]), timeout=1)
        assert refused.value.code() is grpc.StatusCode.DEADLINE_EXCEEDED
        waiting = stub.Aggregate.future(iter([pb.AggregateRequest(numbers=[1])]), timeout=timeouts.SECONDS)
        assert [call.end() for call in taken] == [grpc.StatusCode.OK] * 2
        assert waiting.result().count == 1


def _children(process: int) -> list[int]:
    return [int(child) for child in Path(f"/proc/{process}/task/{process}/children").read_text("ascii").split()]


def test_an_instance_that_stops_under_load_loses_no_call() -> None:
    with _emulator("--binary", "--instances=2", "--allow-unauthenticated") as emulator:
        # Each instance has two programs; both lists are in the order of their start.
        servers, ingresses = (
            [child for child in _children(emulator.process.pid) if f"{name}/main.py" in _command(child)]
            for name in ("server", "ingress")
        )
        assert len(servers) == len(ingresses) == 2
        with _connect(emulator) as channel:
            stub = calculator_pb2_grpc.CalculatorStub(channel)
            calls = [stub.Calculate.future(REQUEST, timeout=timeouts.SECONDS) for _ in range(300)]
            calls[50].result()
            os.kill(servers[0], signal.SIGTERM)  # Cloud Run sends SIGTERM to both containers at the same time
            os.kill(ingresses[0], signal.SIGTERM)
            calls += [stub.Calculate.future(REQUEST, timeout=timeouts.SECONDS) for _ in range(300)]
            programs.eventually(lambda: programs.has_ended(ingresses[0]) and programs.has_ended(servers[0]))
            calls += [stub.Calculate.future(REQUEST, timeout=timeouts.SECONDS) for _ in range(100)]
            assert {call.result().result for call in calls} == {5}


def _command(process: int) -> str:
    return Path(f"/proc/{process}/cmdline").read_bytes().replace(b"\0", b" ").decode()


def _status_of_a_silent_stream(stub: calculator_pb2_grpc.CalculatorStub, *requests: pb.ConverseRequest) -> str:
    """Send requests and nothing after them, wait until the stream is ended, and return its status."""
    silence = queue.SimpleQueue[None]()
    with pytest.raises(grpc.RpcError) as ended:
        list(stub.Converse(itertools.chain(requests, iter(silence.get, None))))
    silence.put(None)
    return f"{ended.value.code().name}: {ended.value.details()}"


def test_a_stream_that_exceeds_the_timeout_is_ended_and_the_client_continues_its_conversation() -> None:
    with _emulator("--binary", "--timeout=1", "--allow-unauthenticated") as emulator:
        command, environment = [*emulator.client, "converse"], os.environ | emulator.environment
        with (
            _connect(emulator) as channel,
            programs.started(command, env=environment, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as talking,
        ):
            assert talking.stdin
            stub = calculator_pb2_grpc.CalculatorStub(channel)
            print("3 + 4", file=talking.stdin, flush=True)
            assert programs.read_until(talking) == "7\n"
            # Envoy sends the deadline to the server, so either of them may be the first to end the stream.
            assert _status_of_a_silent_stream(stub).startswith("DEADLINE_EXCEEDED: ")
            print("* 2", file=talking.stdin, flush=True)  # the stream of the 7 is older, so it has ended as well
            assert programs.read_until(talking) == "14\n"
            request = pb.ConverseRequest(operation=pb.OPERATION_ADD, second_operand=1)
            # After the first response, Envoy can only reset the stream, without a reason.
            assert _status_of_a_silent_stream(stub, request).startswith(("DEADLINE_EXCEEDED: ", "INTERNAL: "))
            answers, _ = talking.communicate("/ 0\n- 4\n", timeout=timeouts.SECONDS)
            assert answers == "DIVISION_BY_ZERO: 14 / 0 divides by zero\n10\n"
            assert talking.returncode == 0


def test_with_http1_to_the_instances_grpc_calls_fail() -> None:
    with _emulator("--binary", "--http1") as emulator:
        output, error = emulator.call("--timeout=3", "add", "2", "3")
    assert output == ""
    assert error.startswith("Error: UNKNOWN: ")  # the status is a trailer, which does not come through


def test_a_port_that_is_taken_is_an_error(binary: Emulator) -> None:
    port = binary.client[binary.client.index("--target") + 1].rpartition(":")[2]
    second = programs.run([PROGRAM, *PATHS, "--binary", f"--port={port}"])
    assert second.returncode == 1
    assert second.stderr.startswith(f"local: cannot listen on 127.0.0.1:{port}: Address already in use; ")
    assert second.stderr.count("\n") == 1


@pytest.mark.parametrize(
    ("flag", "complaint"),
    [("--instances=0", "--instances=0: must be 1 to 100"), ("--timeout=4000", "--timeout=4000: must be 1 to 3600")],
)
def test_a_setting_that_cloud_run_would_reject_is_an_error(flag: str, complaint: str) -> None:
    finished = programs.run([PROGRAM, *PATHS, flag])
    assert finished.returncode == 2
    assert complaint in finished.stderr
