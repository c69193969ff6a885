"""Every peer passes every official case that it can do, against every engine."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests import programs
from tests.interop import cases, main
from tests.interop.peers import ENGINES, PEERS, Peer, UnsupportedError

# grpclib sends and reads messages as they are, and says so by an error.
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


def test_the_documentation_has_the_table_as_it_is_printed() -> None:
    documented = Path("docs/interop.md").read_text(encoding="utf-8")
    for engine in ENGINES:
        assert main.table(engine) in documented
