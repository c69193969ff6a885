"""Tests of //web as a person runs it: the page is at the printed address, and Ctrl+C ends all programs."""

import json
import re
import signal
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from urllib.request import Request, urlopen

import pytest

from testing import listening, programs, timeouts

PROGRAM = Path("deploy/emulator/page").absolute()
PATHS = ["--ingress-path=ingress/ingress", "--server-path=server/server"]


@contextmanager
def _web(*flags: str, host: str = "localhost") -> Iterator[tuple[str, int]]:
    """Run //web until the block ends, and yield the address that it prints, which has the host, and its PID."""
    with programs.started([PROGRAM, *PATHS, "--port=0", *flags], stdout=subprocess.PIPE) as process:
        try:
            line = programs.read_until(process)
            [url] = re.findall(rf"^The calculator is at (http://{re.escape(host)}:\d+)\. Ctrl\+C stops it\.$", line)
            yield url, process.pid
        finally:
            process.send_signal(signal.SIGINT)
            assert process.wait(timeouts.SECONDS) == 0


def test_the_printed_address_serves_the_page_and_answers_its_calls() -> None:
    with _web() as (url, _):
        with urlopen(url, timeout=timeouts.SECONDS) as page:
            assert b"<title>Calculator</title>" in page.read()
        body = json.dumps({"operation": "OPERATION_ADD", "first_operand": 2, "second_operand": 3}).encode()
        request = Request(f"{url}/calculator.v1.Calculator/Calculate", body, {"Content-Type": "application/json"})
        with urlopen(request, timeout=timeouts.SECONDS) as answer:
            assert json.load(answer) == {"result": 5}


def _status(url: str) -> int:
    with urlopen(url, timeout=timeouts.SECONDS) as page:
        return int(page.status)


def test_all_programs_listen_only_on_loopback() -> None:
    with _web() as (url, process):
        port = url.rpartition(":")[2]
        assert _status(f"http://127.0.0.1:{port}") == _status(f"http://[::1]:{port}") == 200
        # The page is on both addresses; the server and Envoy's admin interface are on the first one.
        assert listening.ips(process) == {"127.0.0.1", "::1"}


@pytest.mark.parametrize(
    ("flags", "host", "ips"),
    [
        (["--host=127.0.0.2"], "127.0.0.2", {"127.0.0.1", "127.0.0.2"}),
        (["--host=::1", "--host=127.0.0.2"], "[::1]", {"127.0.0.1", "127.0.0.2", "::1"}),
        (["--host=::"], "localhost", {"127.0.0.1", "::"}),
    ],
)
def test_the_page_is_at_the_hosts_of_the_flag(flags: list[str], host: str, ips: set[str]) -> None:
    with _web(*flags, host=host) as (url, process):
        assert _status(url) == 200
        assert listening.ips(process) == ips


def test_a_host_that_is_not_of_this_machine_is_an_error() -> None:
    refused = programs.run([PROGRAM, *PATHS, "--port=0", "--host=192.0.2.1"])
    assert refused.returncode == 1
    assert "--host='192.0.2.1': cannot listen on 192.0.2.1 (Cannot assign requested address)" in refused.stderr


def test_server_flags_are_passed_to_the_server() -> None:
    refused = programs.run([PROGRAM, *PATHS, "--port=0", "--server-flag=--workers=x"])
    assert refused.returncode == 1
    assert "--workers" in refused.stderr
    assert refused.stderr.endswith("web: server 1 did not start\n")


@pytest.mark.parametrize("port", ["65536", "http"])
def test_an_invalid_port_is_an_error(port: str) -> None:
    refused = programs.run([PROGRAM, *PATHS, f"--port={port}"])
    assert refused.returncode == 1
    assert f"{port!r} is not a port: must be 0 to 65535" in refused.stderr
