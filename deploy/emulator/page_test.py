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

from testing import programs, timeouts

PROGRAM = Path("deploy/emulator/page").absolute()
PATHS = ["--ingress-path=ingress/ingress", "--server-path=server/server"]


@contextmanager
def _web(*flags: str) -> Iterator[str]:
    """Run //web until the block ends, and yield the address that it prints."""
    with programs.started([PROGRAM, *PATHS, "--port=0", *flags], stdout=subprocess.PIPE) as process:
        try:
            line = programs.read_until(process)
            [url] = re.findall(r"^The calculator is at (http://localhost:\d+)\. Ctrl\+C stops it\.$", line)
            yield url
        finally:
            process.send_signal(signal.SIGINT)
            assert process.wait(timeouts.SECONDS) == 0


def test_the_printed_address_serves_the_page_and_answers_its_calls() -> None:
    with _web() as url:
        with urlopen(url, timeout=timeouts.SECONDS) as page:
            assert b"<title>Calculator</title>" in page.read()
        body = json.dumps({"operation": "OPERATION_ADD", "first_operand": 2, "second_operand": 3}).encode()
        request = Request(f"{url}/calculator.v1.Calculator/Calculate", body, {"Content-Type": "application/json"})
        with urlopen(request, timeout=timeouts.SECONDS) as answer:
            assert json.load(answer) == {"result": 5}


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
