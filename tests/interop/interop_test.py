"""Tests that every peer passes every official case that it supports, against every engine."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from interop import messages_pb2

from testing import programs
from testing.raw_http2 import connected
from tests.interop import cases, main
from tests.interop.peers import ENGINES, PEERS, Peer, UnsupportedError

UNSUPPORTED = {("grpclib", case) for case in cases.NAMES if "compressed" in case}


@pytest.fixture(scope="module", params=ENGINES)
def server(request: pytest.FixtureRequest) -> Iterator[programs.Server]:
    with programs.serving_by(main.SERVER, *ENGINES[request.param]) as running:
        yield running


@pytest.mark.parametrize("peer", PEERS, ids=lambda peer: peer.name)
@pytest.mark.parametrize("case", cases.NAMES)
def test_a_peer_passes_a_case(peer: Peer, case: str, server: programs.Server) -> None:
    if (peer.name, case) in UNSUPPORTED:
        with pytest.raises(UnsupportedError):
            peer.run(case, server.address)
    else:
        peer.run(case, server.address)


@pytest.mark.parametrize("is_compressed", [True, False])
def test_a_response_is_compressed_on_the_wire_only_if_requested(
    server: programs.Server, *, is_compressed: bool
) -> None:
    request = cases.unary(0, 10_000, response_compressed=messages_pb2.BoolValue(value=is_compressed))
    with connected(server.port) as peer:
        answer = peer.call(
            cases.SERVICE + "UnaryCall", request.SerializeToString(), grpc_accept_encoding="identity,gzip"
        )
    [(flag, body)] = answer.messages
    assert flag == is_compressed
    assert len(body) < 1000 if is_compressed else len(body) > 10_000


@pytest.mark.parametrize("engine", ENGINES)
def test_the_documented_table_has_the_outcomes_that_the_tests_require(engine: str) -> None:
    required = main.table(engine, lambda peer, case: "cannot" if (peer.name, case) in UNSUPPORTED else "passes")
    assert required in Path("docs/explanation/interop.md").read_text(encoding="utf-8")


def test_the_table_shows_real_outcomes(server: programs.Server) -> None:
    case = "empty_unary"
    outcomes = [main.outcome(peer, case, server.address) for peer in PEERS]
    assert outcomes == ["passes"] * len(PEERS)
    assert main.outcome(PEERS[0], case, "localhost:1") == "**fails**"
