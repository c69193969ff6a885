"""Tests that every implementation sends and understands the vectors, over every path to the server. See README.md."""

import functools
import os
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import NamedTuple

import pytest

from bazel.oci.container import Container
from bazel.oci.layout import Layout
from client.access import Access
from client.channel import connect
from deploy.emulator import front_end
from testing import image_server, programs, timeouts
from testing.fakes.certificate_authority import CertificateAuthority
from testing.fakes.id_token_issuer import Issuer
from testing.fakes.metadata_server import MetadataServer
from tests.vectors import vectors
from tests.vectors.vectors import FILES, METHODS, Vector

TYPESCRIPT = Path("tests/vectors/peer").absolute()
GO_PEER = Path("tests/vectors/go_peer").absolute()
AUDIENCE = "https://localhost"
ENDPOINTS = SERVER, GO_IMAGE, IMAGE, INGRESS, CLOUD_RUN = ("server", "image in Go", "image", "ingress", "Cloud Run")
GRPC, GRPC_WEB = "gRPC", "gRPC-Web"


class Endpoint(NamedTuple):
    """An address at which clients can call a server.

    Attributes:
        target: HOST:PORT.
        ca_cert: the CA certificate, if the endpoint uses TLS; calls need an identity token then.
        metadata: HOST:PORT of the metadata server that issues the tokens.
    """

    target: str
    ca_cert: Path | None = None
    metadata: str = ""


@contextmanager
def _endpoint(name: str, folder: Path) -> Iterator[Endpoint]:
    with ExitStack() as stack:
        if name == SERVER:
            yield Endpoint(stack.enter_context(programs.serving()).address)
            return
        if name == GO_IMAGE:
            container = _container("server/go/image", folder)
            yield Endpoint(stack.enter_context(image_server.serving(container)).address)
            return
        server = stack.enter_context(image_server.serving(_container("deploy/image", folder)))
        if name == IMAGE:
            yield Endpoint(server.address)
            return
        container = _container("ingress/image", folder)
        ingress = stack.enter_context(image_server.serving(container, f"--server-port={server.port}"))
        if name == INGRESS:
            yield Endpoint(ingress.address)
            return
        issuer = Issuer()
        settings = front_end.FrontEndSettings(audiences=(AUDIENCE,), keys=issuer.keys())
        program = Path(os.environ["ENVOY"]).absolute()
        running = stack.enter_context(
            front_end.serving(program, settings, [ingress.port], CertificateAuthority(), folder)
        )
        metadata = stack.enter_context(MetadataServer(issuer))
        yield Endpoint(f"localhost:{running.port()}", folder / "ca.crt", metadata.host)


def _container(image: str, folder: Path) -> Container:
    root = folder / image.replace("/", "-")
    root.mkdir()
    return Container(Layout(Path(image)), root, Path(os.environ["BWRAP"]))


@pytest.fixture(scope="module")
def endpoints(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Callable[[str], Endpoint]]:
    """A function that opens an endpoint, by name, when it is first needed."""
    with ExitStack() as stack:
        yield functools.cache(lambda name: stack.enter_context(_endpoint(name, tmp_path_factory.mktemp("endpoint"))))


@pytest.fixture(params=ENDPOINTS)
def endpoint(request: pytest.FixtureRequest, endpoints: Callable[[str], Endpoint]) -> Endpoint:
    """An endpoint, with progressively more components in front of the server."""
    return endpoints(request.param)


# The response of RecordRoute depends on the clock, and those of RouteChat depend on earlier calls.
WITHOUT = {"routeguide.RouteGuide.RecordRoute", "routeguide.RouteGuide.RouteChat"}

ALL = [pytest.param(each, id=f"{file.stem}: {each.name}") for file in FILES for each in vectors.vectors(file)]


def test_every_method_has_vectors() -> None:
    assert {each.method.full_name for file in FILES for each in vectors.vectors(file)} == set(METHODS) - WITHOUT


@pytest.mark.parametrize("vector", ALL)
def test_requests_have_the_bytes_of_the_vector(vector: Vector) -> None:
    assert [vectors.described(vectors.request(vector, each["message"])) for each in vector.requests] == vector.requests


@pytest.mark.parametrize("vector", ALL)
def test_python_gets_the_answer_of_the_vector(
    endpoint: Endpoint, vector: Vector, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("GCE_METADATA_HOST", endpoint.metadata)
    monkeypatch.delenv("GOOGLE_APPLICATION_CREDENTIALS", raising=False)
    access = Access(ca_cert=endpoint.ca_cert, auth="identity-token" if endpoint.ca_cert else "none")
    with connect(endpoint.target, access=access) as channel:
        assert vectors.call(channel, vector) == (vector.responses, vector.status)


@pytest.mark.parametrize(
    ("endpoint", "protocol"),
    [*((name, GRPC) for name in ENDPOINTS), (INGRESS, GRPC_WEB), (CLOUD_RUN, GRPC_WEB)],
    indirect=["endpoint"],
)
def test_typescript_sends_and_gets_the_bytes_of_the_vectors(endpoint: Endpoint, protocol: str) -> None:
    flags = ["--web"] if protocol == GRPC_WEB else []
    # Node's fetch has no other setting for the CA certificate.
    environment = {"NODE_EXTRA_CA_CERTS": str(endpoint.ca_cert)} if endpoint.ca_cert else {}
    _run(TYPESCRIPT, endpoint, *flags, **environment)


def test_go_sends_and_gets_the_bytes_of_the_vectors(endpoint: Endpoint) -> None:
    _run(GO_PEER, endpoint)


def _run(peer: Path, endpoint: Endpoint, *flags: str, **environment: str) -> None:
    """Run a program that makes all calls with the client in another language."""
    access = ["--ca-cert", str(endpoint.ca_cert), "--auth", "identity-token"] if endpoint.ca_cert else []
    environment |= {
        "TIMEOUT_MS": f"{timeouts.SECONDS * 1000:.0f}",
        "GCE_METADATA_HOST": endpoint.metadata,
        "GOOGLE_APPLICATION_CREDENTIALS": "",
    }
    command = [str(peer), "--target", endpoint.target, *access, *flags, *map(str, FILES)]
    finished = programs.run(command, **environment)
    assert (finished.returncode, finished.stderr) == (0, "")
    assert finished.stdout == f"{len(ALL)} vectors passed\n"
