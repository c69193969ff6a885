"""The peers, and how to have one do a case."""

import os
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from testing import programs
from tests.interop import cases, grpcio_peer, grpclib_peer

# The flags of each engine, which is what serves below the interceptor: the suite is the same for all.
ENGINES: dict[str, tuple[str, ...]] = {engine: (f"--engine={engine}",) for engine in ("nggrpc", "stock")}


class UnsupportedError(Exception):
    """The peer cannot do the case, whatever the server."""


@dataclass(frozen=True)
class Peer:
    """A client that is not ours.

    Attributes:
        name: its package.
        run: does a case, by name, against HOST:PORT. It raises UnsupportedError, or anything else if the case fails.
    """

    name: str
    run: Callable[[str, str], None]


def _run_grpclib(case: str, address: str) -> None:
    if "compressed" in case:  # it sends and reads messages as they are
        raise UnsupportedError(case)
    grpclib_peer.run(case, address)


def _run_grpc_js(case: str, address: str) -> None:
    modules, contract = (Path(os.environ[name]).absolute() for name in ("NODE_MODULES", "CONTRACT"))
    script = "tests/interop/grpc_js_peer.js"
    command = [os.environ["NODE"], script, str(contract.parent.parent), address, case]
    timeout = f"{cases.TIMEOUT_SECONDS * 1000:.0f}"
    finished = programs.run(command, NODE_PATH=str(modules), TIMEOUT_MS=timeout)
    assert finished.returncode == 0, finished.stderr


PEERS = (
    Peer("grpcio", grpcio_peer.run),
    Peer("grpclib", _run_grpclib),
    Peer("@grpc/grpc-js", _run_grpc_js),
)
