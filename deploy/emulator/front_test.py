"""Client, TLS, Envoy, image: all kinds of calls with an identity token, and no way through without a good one."""

import contextlib
import http.client
import os
import ssl
import struct
from collections.abc import Iterator
from pathlib import Path

import grpc
import pytest
from calculator.v1 import calculator_pb2 as pb
from google.protobuf.descriptor import MethodDescriptor

from bazel.oci.layout import Layout
from client.access import NONE, Access
from client.channel import connect
from deploy import contained
from deploy.container import Container
from deploy.emulator import envoy, metadata_server
from deploy.emulator.authority import Authority
from deploy.emulator.issuer import Issuer
from deploy.emulator.metadata_server import MetadataServer
from tests import bad_tokens, programs, served
from tests.bad_tokens import BAD_TOKENS

AUDIENCE = "https://localhost"


class CloudRun:
    """The image behind Envoy.

    Attributes:
        target: where it is called.
        ca_cert: whom its certificate comes from.
        issuer: whose tokens it takes.
        server: the instance.
    """

    def __init__(self, port: int, ca_cert: Path, issuer: Issuer, server: programs.Server) -> None:
        self.target = f"localhost:{port}"
        self.ca_cert = ca_cert
        self.issuer = issuer
        self.server = server


@pytest.fixture(scope="module")
def cloud_run(tmp_path_factory: pytest.TempPathFactory) -> Iterator[CloudRun]:
    container = Container(Layout(Path("deploy/image")), tmp_path_factory.mktemp("root"), Path(os.environ["BWRAP"]))
    issuer, authority, folder = Issuer(), Authority(), tmp_path_factory.mktemp("envoy")
    front = envoy.Front(audiences=(AUDIENCE,), keys=issuer.keys())
    with (
        contained.serving(container, K_SERVICE="calculator") as server,
        envoy.serving(Path(os.environ["ENVOY"]).absolute(), front, [server.port], authority, folder) as port,
    ):
        yield CloudRun(port, folder / "ca.crt", issuer, server)


@pytest.fixture(scope="module")
def metadata(cloud_run: CloudRun) -> Iterator[MetadataServer]:
    with metadata_server.serving(cloud_run.issuer) as running:
        yield running


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
def test_every_kind_of_call_comes_through_with_a_token(
    cloud_run: CloudRun, metadata: MetadataServer, command: list[str], answer: str | None
) -> None:
    options = ["--target", cloud_run.target, "--ca-cert", str(cloud_run.ca_cert), "--auth", "identity-token"]
    environment = {"GCE_METADATA_HOST": metadata.host, "GOOGLE_APPLICATION_CREDENTIALS": ""}
    called = programs.run([programs.CLIENT, *options, *command], standard_input="+ 2\n", **environment)
    assert (called.returncode, called.stderr) == (0, "")
    assert called.stdout
    assert answer is None or called.stdout == answer


@pytest.fixture(scope="module")
def methods(cloud_run: CloudRun) -> list[MethodDescriptor]:
    """All that is served, as the server itself tells."""
    with grpc.insecure_channel(cloud_run.server.address) as channel:
        return served.methods(channel)


@pytest.mark.parametrize("header", ["authorization", "x-serverless-authorization"])
@pytest.mark.parametrize("bad", BAD_TOKENS)
def test_no_method_lets_a_bad_token_through(
    cloud_run: CloudRun, methods: list[MethodDescriptor], bad: str, header: str
) -> None:
    refused = {grpc.StatusCode.UNAUTHENTICATED, grpc.StatusCode.PERMISSION_DENIED}
    before = len(cloud_run.server.log)
    with connect(cloud_run.target, access=Access(ca_cert=cloud_run.ca_cert, auth=NONE)) as channel:
        assert len(methods) > 10
        for method in methods:
            metadata = bad_tokens.metadata(BAD_TOKENS[bad](cloud_run.issuer, AUDIENCE), header)
            assert served.status(channel, method, metadata) in refused, method.full_name
        # The table would be worth nothing if a good token were refused as well.
        [check] = [method for method in methods if method.full_name == "grpc.health.v1.Health.Check"]
        metadata = bad_tokens.metadata(cloud_run.issuer.token(AUDIENCE), header)
        assert served.status(channel, check, metadata) is grpc.StatusCode.OK
    cloud_run.server.wait_for_log("Health/Check")
    # Envoy comes by IPv4; the call by which the methods were found did not.
    lines = [line for line in cloud_run.server.log[before:] if '"peer": "ipv4:' in line]
    assert not [line for line in lines if "Health/Check" not in line]


def test_a_browser_gets_its_answer_by_grpc_web(cloud_run: CloudRun) -> None:
    # https://github.com/grpc/grpc/blob/master/doc/PROTOCOL-WEB.md: a frame for the message, one for the trailers.
    request = pb.CalculateRequest(operation=pb.OPERATION_ADD, first_operand=2, second_operand=3).SerializeToString()
    port = int(cloud_run.target.rpartition(":")[2])
    context = ssl.create_default_context(cafile=str(cloud_run.ca_cert))
    with contextlib.closing(http.client.HTTPSConnection("localhost", port, timeout=20, context=context)) as connection:
        connection.request(
            "POST",
            "/calculator.v1.Calculator/Calculate",
            struct.pack(">BI", 0, len(request)) + request,
            {
                "Content-Type": "application/grpc-web+proto",
                "Authorization": f"Bearer {cloud_run.issuer.token(AUDIENCE)}",
            },
        )
        response = connection.getresponse()
        body = response.read()
    assert (response.status, response.getheader("Content-Type")) == (200, "application/grpc-web+proto")
    _, length = struct.unpack_from(">BI", body)
    assert pb.CalculateResponse.FromString(body[5 : 5 + length]).result == 5
    assert body[5 + length] == 0x80
    assert b"grpc-status:0" in body[10 + length :]


def test_no_token_is_in_the_servers_log(cloud_run: CloudRun) -> None:
    assert cloud_run.server.log
    assert not [line for line in cloud_run.server.log if "eyJ" in line]
