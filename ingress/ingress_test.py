"""Tests of //ingress as a process in front of //server: the page, JSON, errors and shutdown."""

import gzip
import http.client
import json
import os
import re
import signal
import socket
import sys
import time
from collections.abc import Iterator
from contextlib import AbstractContextManager, closing
from pathlib import Path

import grpc
import pytest
import yaml

from client.channel import connect
from testing import programs, service_list, timeouts
from testing.open_call import OpenCall

INGRESS = Path("ingress/ingress").absolute()
# The maximum time that a stopping ingress waits for requests in flight.
DRAIN_SECONDS = 8
UNSUPPORTED = b"unsupported content-type: send gRPC, gRPC-Web, or JSON with content-type: application/json\n"
# An ingress whose drain is longer than the test's timeout: if it exits in time, it has not waited for the drain.
LONG_DRAIN = """
import sys
from ingress import main

assert main._DRAIN_SECONDS
main._DRAIN_SECONDS = 3600
sys.exit(main.main(sys.argv[1:]))
"""


def _ingress(server: programs.Server, *flags: str) -> AbstractContextManager[programs.Server]:
    return programs.serving_by(INGRESS, f"--server-port={server.port}", *flags)


def _ingress_with_long_drain(server: programs.Server) -> AbstractContextManager[programs.Server]:
    path = os.pathsep.join([str(Path.cwd()), *sys.path])
    return programs.serving_by(sys.executable, "-c", LONG_DRAIN, f"--server-port={server.port}", PYTHONPATH=path)


@pytest.fixture(scope="module")
def server() -> Iterator[programs.Server]:
    with programs.serving() as running:
        yield running


@pytest.fixture(scope="module")
def ingress(server: programs.Server) -> Iterator[programs.Server]:
    with _ingress(server) as running:
        yield running


def _ask(
    ingress: programs.Server, method: str, path: str, body: str | None = None, **headers: str
) -> tuple[http.client.HTTPResponse, bytes]:
    """Send a request by HTTP/1, as a browser or curl would; return the response and its body."""
    with closing(http.client.HTTPConnection("localhost", ingress.port, timeout=timeouts.SECONDS)) as connection:
        connection.request(method, path, body, {name.replace("_", "-"): value for name, value in headers.items()})
        response = connection.getresponse()
        return response, response.read()


def test_a_browser_gets_the_page(ingress: programs.Server) -> None:
    response, body = _ask(ingress, "GET", "/")
    assert (response.status, response.headers["content-type"]) == (200, "text/html; charset=utf-8")
    assert body.startswith(b"<!doctype html>")
    assert response.headers["x-content-type-options"] == "nosniff"
    compressed, packed = _ask(ingress, "GET", "/", accept_encoding="gzip")
    assert compressed.headers["content-encoding"] == "gzip"
    assert gzip.decompress(packed) == body
    head, nothing = _ask(ingress, "HEAD", "/")
    assert (head.status, nothing) == (200, b"")


def test_the_page_is_one_file_below_150_kilobytes_that_loads_no_other(ingress: programs.Server) -> None:
    _, body = _ask(ingress, "GET", "/")
    assert len(body) < 150_000
    assert not re.findall(rb"<(?:link|script|img)[^>]*(?:src|href)=\"(?!data:)", body)


def test_the_content_security_policy_allows_only_the_pages_own_script(ingress: programs.Server) -> None:
    _, body = _ask(ingress, "GET", "/")
    [policy] = re.findall(r'Content-Security-Policy" content="([^"]*)"', body.decode())
    assert "default-src 'none'; script-src 'sha256-" in policy
    assert "unsafe" not in policy


@pytest.mark.parametrize(
    ("request_line", "content_type", "status", "message"),
    [
        ("GET /favicon.ico", "", 404, b"there is a page at /, and nothing else\n"),
        ("DELETE /", "", 404, b"there is a page at /, and nothing else\n"),
        ("POST /", "", 415, UNSUPPORTED),
        ("POST /x", "text/plain", 415, UNSUPPORTED),
    ],
)
def test_other_requests_are_rejected_by_the_ingress_itself(
    ingress: programs.Server, request_line: str, content_type: str, status: int, message: bytes
) -> None:
    response, body = _ask(ingress, *request_line.split(), content_type=content_type)
    assert (response.status, body) == (status, message)


def _transcoded() -> set[str]:
    """Return the services that can be called with JSON."""
    listener = yaml.safe_load(Path("ingress/envoy.yaml").read_text("utf-8"))["static_resources"]["listeners"][0]
    filters = listener["filter_chains"][0]["filters"][0]["typed_config"]["http_filters"]
    [transcoder] = [each["typed_config"] for each in filters if each["name"].endswith("grpc_json_transcoder")]
    return set(transcoder["services"])


def test_every_transcoded_service_is_served(server: programs.Server) -> None:
    with grpc.insecure_channel(server.address) as channel:
        services = {method.containing_service.full_name for method in service_list.methods(channel)}
    assert "calculator.v1.Calculator" in _transcoded() <= services


def test_curl_is_answered_in_json(ingress: programs.Server) -> None:
    request = json.dumps({"operation": "OPERATION_ADD", "first_operand": 2, "second_operand": 3})
    path = "/calculator.v1.Calculator/Calculate"
    response, body = _ask(ingress, "POST", path, request, content_type="application/json")
    assert (response.status, json.loads(body)) == (200, {"result": 5})


def test_the_log_has_only_the_address(server: programs.Server) -> None:
    with _ingress(server, "--address=127.0.0.1") as ingress:
        assert _ask(ingress, "GET", "/")[0].status == 200
        assert ingress.log == [f"Listening on 127.0.0.1:{ingress.port}"]


def test_calls_are_unavailable_without_a_server() -> None:
    with socket.create_server(("localhost", 0)) as closed_soon:
        free_port = closed_soon.getsockname()[1]
    with programs.serving_by(INGRESS, f"--server-port={free_port}") as ingress:
        assert _ask(ingress, "GET", "/")[0].status == 200
        with grpc.insecure_channel(ingress.address) as channel, pytest.raises(grpc.RpcError) as refused:
            programs.call(channel, "/calculator.v1.Calculator/Calculate", b"")
    assert refused.value.code() is grpc.StatusCode.UNAVAILABLE


def test_a_call_in_flight_can_finish_after_sigterm(server: programs.Server) -> None:
    with _ingress(server) as ingress, connect(ingress.address) as channel:
        call = OpenCall(channel)
        ingress.process.send_signal(signal.SIGTERM)
        assert call.end() is grpc.StatusCode.OK
        assert ingress.process.wait(timeouts.SECONDS) == 0


def test_sigterm_without_a_call_in_flight_and_sigint_always_end_the_ingress_at_once(server: programs.Server) -> None:
    with _ingress_with_long_drain(server) as ingress:
        ingress.process.send_signal(signal.SIGTERM)
        assert ingress.process.wait(timeouts.SECONDS) == 0
    with _ingress_with_long_drain(server) as ingress, connect(ingress.address) as channel:
        OpenCall(channel)
        ingress.process.send_signal(signal.SIGINT)
        assert ingress.process.wait(timeouts.SECONDS) == 0


def test_a_call_that_does_not_finish_is_cut_off_at_the_end_of_the_drain(server: programs.Server) -> None:
    with _ingress(server) as ingress, connect(ingress.address) as channel:
        OpenCall(channel)
        began = time.monotonic()
        ingress.process.send_signal(signal.SIGTERM)
        assert ingress.process.wait(timeouts.SECONDS) == 0
        assert time.monotonic() - began >= DRAIN_SECONDS


def _envoy_of(ingress: programs.Server) -> int:
    """Return the process of an ingress's Envoy."""
    children = Path(f"/proc/{ingress.process.pid}/task/{ingress.process.pid}/children").read_text("ascii").split()
    [envoy] = map(int, children)
    return envoy


def test_the_ingress_fails_if_envoy_dies(server: programs.Server) -> None:
    with _ingress(server) as ingress:
        os.kill(_envoy_of(ingress), signal.SIGKILL)
        assert ingress.process.wait(timeouts.SECONDS) == 1
        ingress.wait_for_log("ingress: Envoy has ended")


def test_envoy_exits_if_the_ingress_is_killed(server: programs.Server) -> None:
    with _ingress(server) as ingress:
        envoy = _envoy_of(ingress)
        ingress.process.kill()
        programs.eventually(lambda: not Path(f"/proc/{envoy}").exists())


def test_a_port_that_is_taken_is_an_error(ingress: programs.Server) -> None:
    second = programs.run([INGRESS, f"--port={ingress.port}"])
    assert second.returncode == 1
    assert second.stderr.endswith("\ningress: the port is taken; choose another with --port\n")


@pytest.mark.parametrize(
    ("flag", "complaint"),
    [
        ("--port=65536", "'65536' is not a port: must be 0 to 65535"),
        ("--server-port=calculator", "'calculator' is not a port"),
        ("--address=localhost", "'localhost' is not an IPv4 or IPv6 address"),
    ],
)
def test_an_invalid_flag_is_an_error_that_says_what_is_accepted(flag: str, complaint: str) -> None:
    finished = programs.run([INGRESS, flag])
    assert finished.returncode == 2
    assert complaint in finished.stderr
