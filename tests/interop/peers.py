"""The clients that the interop test uses as peers, and how each runs a case."""

import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from testing import programs
from tests.interop import cases, grpcio_peer, grpclib_peer

# The server flags for each engine. All engines have to pass the same cases.
ENGINES: dict[str, tuple[str, ...]] = {engine: (f"--engine={engine}",) for engine in ("nggrpc", "stock")}


class UnsupportedError(Exception):
    """The peer does not support the case, independently of the server."""


@dataclass(frozen=True)
class Peer:
    """A third-party gRPC client.

    Attributes:
        name: the name of its package.
        run: runs a case, given by name, against HOST:PORT. Raises UnsupportedError if the peer does not support the
            case, and any other exception if the case fails.
    """

    name: str
    run: Callable[[str, str], None]


def _run_grpclib(case: str, address: str) -> None:
    if "compressed" in case:  # grpclib does not support compression
        raise UnsupportedError(case)
    grpclib_peer.run(case, address)


def _run(command: Sequence[str | Path], **environment: str) -> None:
    finished = programs.run(command, TIMEOUT_MS=f"{cases.TIMEOUT_SECONDS * 1000:.0f}", **environment)
    assert finished.returncode == 0, finished.stderr


def _run_grpc_go(case: str, address: str) -> None:
    _run([Path("tests/interop/grpc_go_peer").absolute(), address, case])


def _run_grpc_js(case: str, address: str) -> None:
    modules, contract = (Path(os.environ[name]).absolute() for name in ("NODE_MODULES", "CONTRACT"))
    script = "tests/interop/grpc_js_peer.js"
    command = [os.environ["NODE"], script, str(contract.parent.parent), address, case]
    _run(command, NODE_PATH=str(modules))


PEERS = (
    Peer("grpcio", grpcio_peer.run),
    Peer("grpclib", _run_grpclib),
    Peer("@grpc/grpc-js", _run_grpc_js),
    Peer("grpc-go", _run_grpc_go),
)
