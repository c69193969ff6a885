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
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, closing
from pathlib import Path
from typing import Any, TypeAlias
from uuid import uuid4

import grpc
import pytest
import yaml
from calculator.v1 import calculator_pb2 as pb
from google.protobuf import json_format
from google.protobuf.descriptor_pb2 import FieldDescriptorProto, FileDescriptorProto, FileDescriptorSet
from google.protobuf.message import Message
from google.rpc import (
    error_details_pb2,  # noqa: F401 - json_format finds the types of details once they are imported
    status_pb2,
)
from hypothesis import given, settings
from hypothesis import strategies as st
from routeguide.route_guide_pb2 import RouteNote

from client.channel import connect
from ingress import lua_schema
from testing import listening, programs, raw_http2, service_list, timeouts
from testing.open_call import OpenCall

Post: TypeAlias = Callable[[programs.Server, str, object], tuple[int, Any]]

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
    """Send a request over HTTP/1, as a browser or curl would; return the response and its body."""
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


V1 = "/calculator.v1.Calculator/"
NOTE = {"location": {"latitude": 1, "longitude": 2}, "message": "a"}


def _post(ingress: programs.Server, path: str, body: object, content_type: str = "application/json") -> tuple[int, Any]:
    """Send a JSON request; return the HTTP status and the response."""
    response, answer = _ask(ingress, "POST", path, json.dumps(body), content_type=content_type)
    return response.status, json.loads(answer)


def _post_over_http2(ingress: programs.Server, path: str, body: object) -> tuple[int, Any]:
    """Like `_post`, over HTTP/2 without TLS."""
    with raw_http2.connected(ingress.port) as peer:
        answer = peer.send_all(peer.begin(path, content_type="application/json"), json.dumps(body).encode())
    assert answer.ended, answer
    assert answer.body.startswith((b"{", b"[")), answer
    return int(answer.headers[":status"]), json.loads(answer.body)


POSTS = pytest.mark.parametrize("post", [_post, _post_over_http2], ids=["HTTP/1.1", "HTTP/2"])


def _status(error: grpc.RpcError) -> object:
    """Return the JSON of the status of a failed gRPC call."""
    [details] = [each.value for each in error.trailing_metadata() if each.key == "grpc-status-details-bin"]
    status = status_pb2.Status.FromString(details)
    return json_format.MessageToDict(
        status, preserving_proto_field_name=True, always_print_fields_with_no_presence=True
    )


@POSTS
@pytest.mark.parametrize(
    ("method", "request_type", "messages"),
    [
        (V1 + "Evaluate", pb.EvaluateRequest, [{"expression": "1/0"}]),
        (V1 + "Evaluate", pb.EvaluateRequest, [{"expression": "(1+1)/(2-2)"}]),
        (V1 + "Evaluate", pb.EvaluateRequest, [{"expression": '1+"\n\\\u00e9'}]),
        (V1 + "Aggregate", pb.AggregateRequest, [{"numbers": [1]}, {"numbers": ["NaN"]}]),
        ("/routeguide.RouteGuide/RouteChat", RouteNote, [NOTE, NOTE, NOTE | {"message": "x" * 1001}]),
        (V1 + "Calculate", pb.CalculateRequest, [{"operation": "OPERATION_DIVIDE", "first_operand": 1}]),
    ],
)
def test_an_error_of_a_call_with_json_has_the_status_and_details_of_grpc(
    ingress: programs.Server, post: Post, method: str, request_type: type[Message], messages: list[dict[str, Any]]
) -> None:
    requests = [json_format.ParseDict(message, request_type()).SerializeToString() for message in messages]
    with grpc.insecure_channel(ingress.address) as channel:
        call: grpc.StreamStreamMultiCallable[bytes, bytes] = channel.stream_stream(method)
        with pytest.raises(grpc.RpcError) as failed:
            list(call(iter(requests), timeout=timeouts.SECONDS))
    body = messages if len(messages) > 1 else messages[0]
    assert post(ingress, method, body) == (400, _status(failed.value))


@POSTS
def test_all_messages_of_a_stream_are_answered_in_one_array(ingress: programs.Server, post: Post) -> None:
    sum_of = [{"operation": "OPERATION_ADD", "first_operand": 1, "second_operand": 2}, {"operation": "OPERATION_ADD"}]
    assert post(ingress, V1 + "Converse", sum_of) == (200, [{"result": 3}, {"result": 3}])


@POSTS
@pytest.mark.parametrize(
    ("path", "body", "field"),
    [
        (V1 + "Calculate", {"operation": "OPERATION_ADD", "first": 2, "second_operand": 3}, "first"),
        (V1 + "Aggregate", [{"numbers": [1]}, {"number": [2]}], "number"),
        ("/Calculator/Calculate", {"firstOperand": 2, "operator": "ADD"}, "operator"),
        ("/routeguide.RouteGuide/ListFeatures", {"lo": {"latitude": 1, "long": 2}}, "long"),
        (V1 + "Evaluate", {"expression": "1", 'a"b': [{"expression": 1}]}, 'a\\"b'),
    ],
)
def test_a_json_request_with_an_unknown_field_is_an_error_that_names_it(
    ingress: programs.Server, post: Post, path: str, body: object, field: str
) -> None:
    status, answer = post(ingress, path, body)
    assert (status, answer["code"]) == (400, 3)
    assert f'unknown field "{field}": ' in answer["message"]


@pytest.mark.parametrize("content_type", ["application/json", "application/json; charset=utf-8"])
@pytest.mark.parametrize("name", ["first_operand", "firstOperand"])
def test_both_spellings_of_a_field_are_accepted_in_json(ingress: programs.Server, name: str, content_type: str) -> None:
    request = {"operation": "OPERATION_ADD", name: 2, "second_operand": 3}
    assert _post(ingress, V1 + "Calculate", request, content_type) == (200, {"result": 5})


@given(
    st.recursive(
        st.none() | st.booleans() | st.floats() | st.text(),
        lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
    )
)
@settings(max_examples=50)
def test_any_json_is_answered_with_a_result_or_a_client_error(ingress: programs.Server, body: object) -> None:
    response, _ = _ask(ingress, "POST", V1 + "Calculate", json.dumps(body), content_type="application/json")
    assert response.status in {200, 400}


def _json_in_trace(trace: str) -> dict[str, str]:
    return {"content_type": "application/json", "traceparent": f"00-{trace}-{'1' * 16}-01"}


@pytest.mark.parametrize(
    ("request_line", "body", "problem"),
    [
        ("POST /calculator.v1.Calculator/Calculat", "{}", (404, "cannot be called with JSON")),
        ("POST /calculator/calculate", "{}", (404, "cannot be called with JSON")),
        ("POST /grpc.health.v1.Health/Check", "{}", (404, "cannot be called with JSON")),
        ("GET /calculator.v1.Calculator/Calculate", None, (405, "send its request with POST")),
        ("PUT /calculator.v1.Calculator/Calculate", "{}", (405, "send its request with POST")),
        ("POST /calculator.v1.Calculator/Calculate", None, (400, "the request has no body")),
        ("POST /calculator.v1.Calculator/Calculate", " \n", (400, "the request has no body")),
    ],
)
def test_a_wrong_json_request_is_an_error_and_does_not_reach_the_server(
    server: programs.Server, ingress: programs.Server, request_line: str, body: str | None, problem: tuple[int, str]
) -> None:
    method, path = request_line.split()
    wrong, correct = uuid4().hex, uuid4().hex  # the traces of both requests, by which the server's log names them
    response, answer = _ask(ingress, method, path, body, **_json_in_trace(wrong))
    status, message = problem
    assert response.status == status
    assert message in json.loads(answer)["message"]
    _ask(ingress, "POST", V1 + "Calculate", "{}", **_json_in_trace(correct))
    server.wait_for_log(correct)
    assert not [line for line in server.log if wrong in line]


@POSTS
def test_a_json_stream_may_have_hundreds_of_kilobytes(ingress: programs.Server, post: Post) -> None:
    numbers = [{"numbers": [1] * 10_000}] * 30  # whose messages are larger than their JSON
    status, answer = post(ingress, V1 + "Aggregate", numbers)
    assert (status, answer["count"]) == (200, "300000")
    status, steps = post(ingress, V1 + "Evaluate", {"expression": "+".join(["1"] * 500)})
    assert (status, len(steps), steps[-1]) == (200, 500, {"result": 500})
    assert len(json.dumps(steps)) > 200_000


@POSTS
def test_an_error_after_hundreds_of_kilobytes_is_an_error(ingress: programs.Server, post: Post) -> None:
    status, answer = post(ingress, V1 + "Evaluate", {"expression": "+".join(["1"] * 490) + "+1/0"})
    assert (status, answer["message"]) == (400, "1 / 0 divides by zero")


def test_an_unknown_method_is_an_error_over_http2(ingress: programs.Server) -> None:
    status, answer = _post_over_http2(ingress, "/grpc.health.v1.Health/Check", {"service": "x" * 100_000})
    assert status == 404
    assert "cannot be called with JSON" in answer["message"]


@pytest.mark.parametrize("content_type", ["text/plain", "application/x-www-form-urlencoded", ""])
def test_a_call_with_another_content_type_is_refused(ingress: programs.Server, content_type: str) -> None:
    status, answer = _post(ingress, V1 + "Calculate", {"operation": "OPERATION_ADD"}, content_type)
    assert status == 415
    assert "must be application/json" in answer["message"]


@pytest.mark.parametrize("content_type", ["application/grpcx", "application/grpc-web+json", "application/grpc;json"])
def test_a_type_that_only_looks_like_grpc_is_not_translated_from_json(
    ingress: programs.Server, content_type: str
) -> None:
    body = json.dumps({"operation": "OPERATION_ADD", "bogus": 1})
    response, answer = _ask(ingress, "POST", V1 + "Calculate", body, content_type=content_type)
    assert b"{" not in answer
    assert response.status == 415 or response.headers["grpc-status"] != "0"


@pytest.mark.parametrize("content_type", ["application/json", "text/plain", ""])
def test_a_path_with_a_trailing_slash_is_not_a_method(ingress: programs.Server, content_type: str) -> None:
    response, _ = _ask(ingress, "POST", V1 + "Calculate/", "{}", content_type=content_type)
    assert response.status == (404 if content_type == "application/json" else 415)


@pytest.mark.parametrize(
    "body",
    [
        "{operation: 1}",
        "{'operation': 1}",
        '{"operation": 1,}',
        '{\f"operation": 1}',
        '{"operation": 1} {}',
        '{"operation": 1',
        '"operation',
        "[" * 200 + "]" * 200,
    ],
)
def test_a_request_that_is_not_json_is_an_error(ingress: programs.Server, body: str) -> None:
    response, answer = _ask(ingress, "POST", V1 + "Calculate", body, content_type="application/json")
    assert response.status == 400
    assert json.loads(answer)["message"] == "the request is not valid JSON"


def test_a_value_that_does_not_fit_its_field_is_an_error_in_json(ingress: programs.Server) -> None:
    status, answer = _post(ingress, V1 + "Calculate", {"operation": "NOPE"})
    assert (status, answer["code"]) == (400, 3)
    assert 'invalid value \\"NOPE\\"' in json.dumps(answer["message"])


def test_a_large_unknown_field_is_not_echoed_in_full(ingress: programs.Server) -> None:
    response, answer = _ask(
        ingress, "POST", V1 + "Calculate", '{"' + "\1" * 500_000 + '": 1}', content_type="application/json"
    )
    assert response.status == 400
    assert len(answer) < 1000


def test_a_call_with_json_has_no_query(ingress: programs.Server) -> None:
    status, answer = _post(ingress, V1 + "Calculate?first_operand=7", {"operation": "OPERATION_ADD"})
    assert (status, answer["message"]) == (400, "a call with JSON has no query: send fields in the body")


def test_a_request_without_a_path_is_not_an_error_of_the_filter(server: programs.Server) -> None:
    with _ingress(server) as ingress, socket.create_connection(("localhost", ingress.port)) as connection:
        connection.settimeout(timeouts.SECONDS)
        connection.sendall(b"CONNECT x:80 HTTP/1.1\r\nhost: x\r\n\r\n")
        assert connection.recv(100).startswith(b"HTTP/1.1 404")
        assert len(ingress.log) == 1


def test_the_schema_has_the_types_of_all_files_but_no_keys_of_maps() -> None:
    file = FileDescriptorProto(name="shared.proto", package="t")
    message = file.message_type.add(name="Shared")
    message.field.add(name="long_name", json_name="longName", type=FieldDescriptorProto.TYPE_STRING)
    entry = message.nested_type.add(name="LabelsEntry")
    entry.options.map_entry = True
    text = "\n".join(lua_schema.tables(FileDescriptorSet(file=[file])))
    assert '["t.Shared"] = {["long_name"] = "", ["longName"] = ""}' in text
    assert "LabelsEntry" not in text


def test_a_json_request_larger_than_a_megabyte_is_too_large(ingress: programs.Server) -> None:
    response, _ = _ask(ingress, "POST", V1 + "Evaluate", json.dumps("x" * 2**20), content_type="application/json")
    assert response.status == 413


PREFLIGHT = {"access_control_request_method": "POST", "access_control_request_headers": "content-type,x-grpc-web"}


def test_pages_of_allowed_origins_may_call_the_server(server: programs.Server) -> None:
    with _ingress(server, "--allow-origin=https://a.example", "--allow-origin=http://localhost:3000") as ingress:
        for origin in ("https://a.example", "http://localhost:3000"):
            response, _ = _ask(ingress, "OPTIONS", V1 + "Calculate", origin=origin, **PREFLIGHT)
            assert (response.status, response.headers["access-control-allow-origin"]) == (200, origin)
            assert "x-grpc-web" in response.headers["access-control-allow-headers"]
            assert "access-control-allow-credentials" not in response.headers
        request = json.dumps({"operation": "OPERATION_DIVIDE"})
        response, _ = _ask(
            ingress, "POST", V1 + "Calculate", request, origin="https://a.example", content_type="application/json"
        )
        assert (response.status, response.headers["access-control-allow-origin"]) == (400, "https://a.example")
        assert "grpc-status" in response.headers["access-control-expose-headers"]
        other, _ = _ask(ingress, "OPTIONS", V1 + "Calculate", origin="https://b.example", **PREFLIGHT)
        assert (other.status, other.headers["access-control-allow-origin"]) == (403, None)


def test_no_other_origin_may_call_the_server_by_default(ingress: programs.Server) -> None:
    response, body = _ask(ingress, "OPTIONS", V1 + "Calculate", origin="https://a.example", **PREFLIGHT)
    assert (response.status, response.headers["access-control-allow-origin"]) == (403, None)
    assert "--allow-origin" in json.loads(body)["message"]


def test_the_log_has_only_the_address(server: programs.Server) -> None:
    with _ingress(server, "--host=127.0.0.1") as ingress:
        assert _ask(ingress, "GET", "/")[0].status == 200
        assert ingress.log == [f"Listening on 127.0.0.1:{ingress.port}"]


def test_the_ingress_listens_only_on_its_hosts_and_its_admin_interface_only_on_loopback(
    server: programs.Server,
) -> None:
    with _ingress(server, "--host=127.0.0.2", "--host=[::1]") as ingress:
        assert ingress.log == [f"Listening on 127.0.0.2:{ingress.port}, [::1]:{ingress.port}"]
        for host in ("127.0.0.2", "::1"):
            with closing(http.client.HTTPConnection(host, ingress.port, timeout=timeouts.SECONDS)) as connection:
                connection.request("GET", "/")
                assert connection.getresponse().status == 200
        with pytest.raises(ConnectionRefusedError):
            socket.create_connection(("127.0.0.1", ingress.port))
        admin = "127.0.0.1"
        assert listening.ips(ingress.process.pid) == {"127.0.0.2", "::1", admin}


def test_without_a_host_the_ingress_listens_on_all_interfaces(ingress: programs.Server) -> None:
    assert ingress.log[0] == f"Listening on [::]:{ingress.port}"
    assert listening.ips(ingress.process.pid) == {"::", "127.0.0.1"}


def test_calls_are_unavailable_without_a_server() -> None:
    with socket.create_server(("localhost", 0)) as closed_soon:
        free_port = closed_soon.getsockname()[1]
    with programs.serving_by(INGRESS, f"--server-port={free_port}") as ingress:
        assert _ask(ingress, "GET", "/")[0].status == 200
        with grpc.insecure_channel(ingress.address) as channel, pytest.raises(grpc.RpcError) as refused:
            programs.call(channel, "/calculator.v1.Calculator/Calculate", b"")
        status, answer = _post(ingress, V1 + "Calculate", {})
        assert (status, answer["code"]) == (503, 14)
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
        programs.eventually(lambda: programs.has_ended(envoy))


def test_a_port_that_is_taken_is_an_error(ingress: programs.Server) -> None:
    second = programs.run([INGRESS, f"--port={ingress.port}"])
    assert second.returncode == 1
    assert second.stderr == (
        f"ingress: cannot listen on [::]:{ingress.port}: Address already in use; "
        "another program is using it: choose another port with --port\n"
    )


@pytest.mark.parametrize(
    ("host", "reason"),
    [
        ("unknown.invalid", "cannot be resolved ("),
        ("192.0.2.1", "cannot listen on 192.0.2.1 (Cannot assign requested address)"),
    ],
)
def test_a_host_that_is_not_of_this_machine_is_a_one_line_error_with_status_2(host: str, reason: str) -> None:
    refused = programs.run([INGRESS, "--port=0", f"--host={host}"])
    assert refused.returncode == 2
    assert refused.stderr.startswith(f"ingress: --host={host!r}: {reason}")
    assert refused.stderr.count("\n") == 1


@pytest.mark.parametrize(
    ("flag", "complaint"),
    [
        ("--port=65536", "'65536' is not a port: must be 0 to 65535"),
        ("--server-port=calculator", "'calculator' is not a port"),
        (
            "--allow-origin=https://a.example/",
            "is not an origin: must be http(s)://HOST[:PORT] in lower case, without a path",
        ),
        ("--allow-origin=*", "'*' is not an origin"),
    ],
)
def test_an_invalid_flag_is_an_error_that_says_what_is_accepted(flag: str, complaint: str) -> None:
    finished = programs.run([INGRESS, flag])
    assert finished.returncode == 2
    assert complaint in finished.stderr
