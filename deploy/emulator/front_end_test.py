"""Tests of the front end with both images: all kinds of calls pass with a valid identity token, and none without."""

import contextlib
import http.client
import json
import os
import re
import ssl
import struct
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from uuid import uuid4

import grpc
import pytest
from calculator.v1 import calculator_pb2 as pb
from calculator.v1 import calculator_pb2_grpc
from google.protobuf.descriptor import MethodDescriptor

from bazel.oci.container import Container
from bazel.oci.layout import Layout
from client.access import HEADERS, NONE, Access
from client.channel import connect
from deploy.emulator import front_end
from ingress.envoy import Envoy
from testing import image_server, programs, service_list, timeouts
from testing.fakes import invalid_tokens
from testing.fakes.certificate_authority import CertificateAuthority
from testing.fakes.id_token_issuer import ACCOUNT, Issuer
from testing.fakes.invalid_tokens import INVALID_TOKENS
from testing.fakes.jwks_server import JwksServer
from testing.fakes.metadata_server import MetadataServer

AUDIENCE = "https://localhost"


class CloudRun:
    """An instance that consists of both images, behind the front end.

    Attributes:
        target: the address of the front end, HOST:PORT.
        ca_cert: the CA certificate of the front end, a file.
        issuer: the accepted issuer of tokens.
        server: the server of the instance.
        ingress: the ingress of the instance.
        envoy: the front end.
    """

    def __init__(
        self, front_end: Envoy, ca_cert: Path, issuer: Issuer, server: programs.Server, ingress: programs.Server
    ) -> None:
        self.target = f"localhost:{front_end.port()}"
        self.ca_cert = ca_cert
        self.issuer = issuer
        self.server = server
        self.ingress = ingress
        self.envoy = front_end


@pytest.fixture(scope="module")
def containers(tmp_path_factory: pytest.TempPathFactory) -> list[Container]:
    """The unpacked images of the server and the ingress."""
    return [
        Container(Layout(Path(image)), tmp_path_factory.mktemp("root"), Path(os.environ["BWRAP"]))
        for image in ("deploy/image", "ingress/image")
    ]


@contextmanager
def _cloud_run(containers: list[Container], folder: Path, issuer: Issuer, *flags: str) -> Iterator[CloudRun]:
    """Run the images behind a front end that accepts the tokens of an issuer; flags are for the server."""
    settings = front_end.FrontEndSettings(audiences=(AUDIENCE,), keys=issuer.keys())
    server_container, ingress_container = containers
    with (
        image_server.serving(server_container, *flags, K_SERVICE="calculator") as server,
        image_server.serving(ingress_container, f"--server-port={server.port}") as ingress,
        front_end.serving(
            Path(os.environ["ENVOY"]).absolute(), settings, [ingress.port], CertificateAuthority(), folder
        ) as envoy,
    ):
        yield CloudRun(envoy, folder / "ca.crt", issuer, server, ingress)


@pytest.fixture(scope="module")
def cloud_run(containers: list[Container], tmp_path_factory: pytest.TempPathFactory) -> Iterator[CloudRun]:
    with _cloud_run(containers, tmp_path_factory.mktemp("envoy"), Issuer()) as running:
        yield running


@pytest.fixture(scope="module")
def metadata(cloud_run: CloudRun) -> Iterator[MetadataServer]:
    with MetadataServer(cloud_run.issuer) as running:
        yield running


def _client(cloud_run: CloudRun, metadata: MetadataServer, *command: str) -> str:
    """Run the client with tokens of a metadata server; return its standard output."""
    options = ["--target", cloud_run.target, "--ca-cert", str(cloud_run.ca_cert), "--auth", "identity-token"]
    environment = {"GCE_METADATA_HOST": metadata.host, "GOOGLE_APPLICATION_CREDENTIALS": ""}
    called = programs.run([programs.CLIENT, *options, *command], standard_input="+ 2\n", **environment)
    assert (called.returncode, called.stderr) == (0, "")
    return called.stdout


@pytest.mark.parametrize(
    ("command", "answer"),
    [
        (["add", "2", "3"], "5\n"),
        (["eval", "2+3"], "2 + 3 = 5    5\n5\n"),
        (["--json", "aggregate", "2", "3"], None),
        (["converse"], None),
        (["health"], "SERVING\n"),
        (["list"], None),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, list) else "",
)
def test_every_kind_of_call_passes_with_a_token(
    cloud_run: CloudRun, metadata: MetadataServer, command: list[str], answer: str | None
) -> None:
    output = _client(cloud_run, metadata, *command)
    assert output
    assert answer is None or output == answer


@pytest.fixture(scope="module")
def methods(cloud_run: CloudRun) -> list[MethodDescriptor]:
    """All methods that are served, by reflection."""
    with grpc.insecure_channel(cloud_run.server.address) as channel:
        return service_list.methods(channel)


@pytest.mark.parametrize("header", ["authorization", "x-serverless-authorization"])
@pytest.mark.parametrize("invalid", INVALID_TOKENS)
def test_no_method_lets_an_invalid_token_through(
    cloud_run: CloudRun, methods: list[MethodDescriptor], invalid: str, header: str
) -> None:
    refused = grpc.StatusCode.PERMISSION_DENIED if invalid == "none" else grpc.StatusCode.UNAUTHENTICATED
    wrong, correct = uuid4().hex, uuid4().hex  # the traces of the calls, by which the server's log names them
    with connect(cloud_run.target, access=Access(ca_cert=cloud_run.ca_cert, auth=NONE)) as channel:
        assert len(methods) > 10
        for method in methods:
            metadata = invalid_tokens.metadata(INVALID_TOKENS[invalid](cloud_run.issuer, AUDIENCE), header)
            metadata += (("traceparent", f"00-{wrong}-{'1' * 16}-01"),)
            assert service_list.status(channel, method, metadata) is refused, method.full_name
        # A valid token must be accepted, or the rejections above would prove nothing.
        [check] = [method for method in methods if method.full_name == "grpc.health.v1.Health.Check"]
        metadata = invalid_tokens.metadata(cloud_run.issuer.token(AUDIENCE), header)
        metadata += (("traceparent", f"00-{correct}-{'1' * 16}-01"),)
        assert service_list.status(channel, check, metadata) is grpc.StatusCode.OK
    cloud_run.server.wait_for_log(correct)
    assert not [line for line in cloud_run.server.log if wrong in line]


def _post(cloud_run: CloudRun, method: str, content_type: str, body: bytes) -> tuple[int, bytes]:
    """Send a request over HTTP/1, as a browser or curl would; return the status and the body."""
    port = int(cloud_run.target.rpartition(":")[2])
    context = ssl.create_default_context(cafile=str(cloud_run.ca_cert))
    headers = {"Content-Type": content_type, "Authorization": f"Bearer {cloud_run.issuer.token(AUDIENCE)}"}
    with contextlib.closing(
        http.client.HTTPSConnection("localhost", port, timeout=timeouts.SECONDS, context=context)
    ) as connection:
        connection.request("POST", f"/calculator.v1.Calculator/{method}", body, headers)
        response = connection.getresponse()
        return response.status, response.read()


def test_a_browser_is_answered_by_grpc_web(cloud_run: CloudRun) -> None:
    # https://github.com/grpc/grpc/blob/master/doc/PROTOCOL-WEB.md: a frame for the message, one for the trailers.
    request = pb.CalculateRequest(operation=pb.OPERATION_ADD, first_operand=2, second_operand=3).SerializeToString()
    frame = struct.pack(">BI", 0, len(request)) + request
    status, body = _post(cloud_run, "Calculate", "application/grpc-web+proto", frame)
    _, length = struct.unpack_from(">BI", body)
    assert (status, pb.CalculateResponse.FromString(body[5 : 5 + length]).result) == (200, 5)
    assert body[5 + length] == 0x80
    assert b"grpc-status:0" in body[10 + length :]


@pytest.mark.parametrize(
    ("method", "request_body", "status", "answer"),
    [
        (
            "Calculate",
            {"operation": "OPERATION_SUBTRACT", "first_operand": 2, "second_operand": 2},
            200,
            {"result": 0},
        ),
        ("Aggregate", [{"numbers": [1, 2]}, {"numbers": [6]}], 200, {"count": "3", "sum": 9, "mean": 3}),
        ("Calculate", {"operation": "OPERATION_DIVIDE", "first_operand": 1}, 400, {"code": 3}),
        ("Calculate", {"operation": "OPERATION_GUESS"}, 400, None),
    ],
    ids=["unary", "client streaming", "an error of the servicer", "an unknown enum value"],
)
def test_curl_is_answered_in_json(
    cloud_run: CloudRun, method: str, request_body: object, status: int, answer: dict[str, Any] | None
) -> None:
    got, body = _post(cloud_run, method, "application/json", json.dumps(request_body).encode())
    assert got == status, body
    if answer:
        assert json.loads(body).items() >= answer.items()


def test_an_error_in_json_keeps_its_reason(cloud_run: CloudRun) -> None:
    request = {"operation": "OPERATION_DIVIDE", "first_operand": 1}
    _, body = _post(cloud_run, "Calculate", "application/json", json.dumps(request).encode())
    assert json.loads(body)["details"][0]["reason"] == "DIVISION_BY_ZERO"


def _calculate(cloud_run: CloudRun, *metadata: tuple[str, str]) -> None:
    """Make a call with some metadata."""
    with connect(cloud_run.target, access=Access(ca_cert=cloud_run.ca_cert, auth=NONE)) as channel:
        stub = calculator_pb2_grpc.CalculatorStub(channel)
        stub.Calculate(pb.CalculateRequest(operation=pb.OPERATION_ADD), timeout=timeouts.SECONDS, metadata=metadata)


@pytest.mark.parametrize("value", ["", "Basic x", "Bearer opaque"])
def test_only_x_serverless_authorization_is_verified_if_both_headers_are_sent(cloud_run: CloudRun, value: str) -> None:
    good = f"Bearer {cloud_run.issuer.token(AUDIENCE)}"
    _calculate(cloud_run, ("x-serverless-authorization", good), ("authorization", value))
    with pytest.raises(grpc.RpcError) as refused:
        _calculate(cloud_run, ("x-serverless-authorization", value), ("authorization", good))
    assert refused.value.code() in {grpc.StatusCode.UNAUTHENTICATED, grpc.StatusCode.PERMISSION_DENIED}


def test_every_request_has_a_trace_either_its_callers_or_a_new_one(cloud_run: CloudRun) -> None:
    callers = "4bf92f3577b34da6a3ce929d0e0e4736"
    token = ("authorization", f"Bearer {cloud_run.issuer.token(AUDIENCE)}")
    googles = "105445aa7843bc8bf206b12000100000"
    # A log line may be written after its response. Once the line of this call is logged, the lines of all earlier calls
    # are, too.
    last = "0af7651916cd43dd8448eb211c80319c"
    _calculate(cloud_run, token, ("traceparent", f"00-{last}-00f067aa0ba902b7-01"))
    cloud_run.server.wait_for_log(last)
    before = len(cloud_run.server.log)
    _calculate(cloud_run, token)
    _calculate(cloud_run, token, ("x-request-id", "not an id"))
    _calculate(cloud_run, token, ("traceparent", "not a trace"))
    _calculate(cloud_run, token, ("traceparent", f"00-{callers}-00f067aa0ba902b7-01"))
    _calculate(cloud_run, token, ("x-cloud-trace-context", f"{googles}/1;o=1"))

    def traces() -> set[str]:
        calls = [json.loads(line) for line in cloud_run.server.log[before:] if '"method"' in line]
        return {call["logging.googleapis.com/trace"] for call in calls}

    programs.eventually(lambda: len(traces()) >= 5)
    assert len(traces()) == 5
    assert traces() > {callers, googles}
    assert all(re.fullmatch("[0-9a-f]{32}", trace) for trace in traces())


def test_a_server_that_verifies_tokens_itself_gets_a_signed_token_in_the_second_header(
    containers: list[Container], tmp_path: Path
) -> None:
    issuer = Issuer()
    token = f"Bearer {issuer.token(AUDIENCE)}"
    with JwksServer(issuer) as keys:
        flags = [f"--allowed-audience={AUDIENCE}", f"--allowed-caller={ACCOUNT}", f"--identity-keys={keys.url}"]
        with _cloud_run(containers, tmp_path, issuer, "--require-identity-token", *flags) as cloud_run:
            with pytest.raises(grpc.RpcError) as refused:
                _calculate(cloud_run, ("authorization", token))
            assert refused.value.code() is grpc.StatusCode.UNAUTHENTICATED
            assert "has removed the signature" in (refused.value.details() or "")
            with MetadataServer(issuer) as metadata:
                both = [word for header in HEADERS for word in ("--token-header", header)]
                assert _client(cloud_run, metadata, *both, "add", "2", "3") == "5\n"


def test_no_token_is_in_any_log(cloud_run: CloudRun) -> None:
    for token in (cloud_run.issuer.token(AUDIENCE), Issuer().token(AUDIENCE)):
        with contextlib.suppress(grpc.RpcError):
            _calculate(cloud_run, ("authorization", f"Bearer {token}"))
    logs = [*cloud_run.server.log, *cloud_run.ingress.log, *cloud_run.envoy.log]
    assert cloud_run.server.log
    assert not [text for text in logs if "eyJ" in text]
