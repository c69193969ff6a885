"""Every implementation says and understands what the vectors have, through every way in: see vectors/README.md."""

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
from deploy.emulator import front
from testing import image_server, programs, timeouts
from testing.fakes.certificate_authority import CertificateAuthority
from testing.fakes.id_token_issuer import Issuer
from testing.fakes.metadata_server import MetadataServer
from tests.vectors import vectors
from tests.vectors.vectors import FILES, METHODS, Vector

TYPESCRIPT = Path("tests/vectors/peer").absolute()
AUDIENCE = "https://localhost"
WAYS = SERVER, IMAGE, INGRESS, CLOUD_RUN = ("server", "image", "ingress", "Cloud Run")
GRPC, GRPC_WEB = "gRPC", "gRPC-Web"


class WayIn(NamedTuple):
    """Where and how calls get to a server.

    Attributes:
        target: HOST:PORT.
        ca_cert: whom its certificate comes from, if it speaks TLS; calls need a token then.
        metadata: where tokens come from.
    """

    target: str
    ca_cert: Path | None = None
    metadata: str = ""


@contextmanager
def _way_in(name: str, folder: Path) -> Iterator[WayIn]:
    with ExitStack() as stack:
        if name == SERVER:
            yield WayIn(stack.enter_context(programs.serving()).address)
            return
        server = stack.enter_context(image_server.serving(_container("deploy/image", folder)))
        if name == IMAGE:
            yield WayIn(server.address)
            return
        container = _container("ingress/image", folder)
        ingress = stack.enter_context(image_server.serving(container, f"--server-port={server.port}"))
        if name == INGRESS:
            yield WayIn(ingress.address)
            return
        issuer = Issuer()
        settings = front.Front(audiences=(AUDIENCE,), keys=issuer.keys())
        program = Path(os.environ["ENVOY"]).absolute()
        running = stack.enter_context(front.serving(program, settings, [ingress.port], CertificateAuthority(), folder))
        metadata = stack.enter_context(MetadataServer(issuer))
        yield WayIn(f"localhost:{running.port()}", folder / "ca.crt", metadata.host)


def _container(image: str, folder: Path) -> Container:
    root = folder / image.replace("/", "-")
    root.mkdir()
    return Container(Layout(Path(image)), root, Path(os.environ["BWRAP"]))


@pytest.fixture(scope="module")
def ways_in(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Callable[[str], WayIn]]:
    """What opens each way in once, when it is first asked for."""
    with ExitStack() as stack:
        yield functools.cache(lambda name: stack.enter_context(_way_in(name, tmp_path_factory.mktemp("way"))))


@pytest.fixture(params=WAYS)
def way_in(request: pytest.FixtureRequest, ways_in: Callable[[str], WayIn]) -> WayIn:
    """A server, behind ever more in front of it."""
    return ways_in(request.param)


# What one says depends on the clock, what the other says on who has spoken before.
WITHOUT = {"routeguide.RouteGuide.RecordRoute", "routeguide.RouteGuide.RouteChat"}

ALL = [pytest.param(each, id=f"{file.stem}: {each.name}") for file in FILES for each in vectors.vectors(file)]


def test_every_method_has_vectors() -> None:
    assert {each.method.full_name for file in FILES for each in vectors.vectors(file)} == set(METHODS) - WITHOUT


@pytest.mark.parametrize("vector", ALL)
def test_messages_are_the_bytes_that_the_vector_has(vector: Vector) -> None:
    assert [vectors.described(vectors.request(vector, each["message"])) for each in vector.requests] == vector.requests


@pytest.mark.parametrize("vector", ALL)
def test_python_is_answered_what_the_vector_has(way_in: WayIn, vector: Vector, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GCE_METADATA_HOST", way_in.metadata)
    monkeypatch.delenv("GOOGLE_APPLICATION_CREDENTIALS", raising=False)
    access = Access(ca_cert=way_in.ca_cert, auth="identity-token" if way_in.ca_cert else "none")
    with connect(way_in.target, access=access) as channel:
        assert vectors.call(channel, vector) == (vector.responses, vector.status)


@pytest.mark.parametrize(
    ("way_in", "protocol"),
    [*((way, GRPC) for way in WAYS), (INGRESS, GRPC_WEB), (CLOUD_RUN, GRPC_WEB)],
    indirect=["way_in"],
)
def test_typescript_says_and_is_answered_what_the_vectors_have(way_in: WayIn, protocol: str) -> None:
    flags, environment = ["--target", way_in.target], {"TIMEOUT_MS": f"{timeouts.SECONDS * 1000:.0f}"}
    if way_in.ca_cert:
        flags += ["--ca-cert", str(way_in.ca_cert), "--auth", "identity-token"]
        environment |= {
            "GCE_METADATA_HOST": way_in.metadata,
            "GOOGLE_APPLICATION_CREDENTIALS": "",
            "NODE_EXTRA_CA_CERTS": str(way_in.ca_cert),  # for the fetch of Node, which has no flag for it
        }
    if protocol == GRPC_WEB:
        flags.append("--web")
    finished = programs.run([TYPESCRIPT, *flags, *map(str, FILES)], **environment)
    assert (finished.returncode, finished.stderr) == (0, "")
    assert finished.stdout == f"{len(ALL)} vectors hold\n"
