"""bazel run //tests/interop: prints which of the official cases which peer passes against which engine."""

import sys
from pathlib import Path

from tests import programs
from tests.interop import cases
from tests.interop.peers import ENGINES, PEERS, Peer, UnsupportedError

SERVER = Path("tests/interop/server").absolute()


def outcome(peer: Peer, case: str, address: str) -> str:
    """Have a peer do a case, and say in a word how it went."""
    try:
        peer.run(case, address)
    except UnsupportedError:
        return "cannot"
    except Exception as error:  # noqa: BLE001 - whatever it is, the table says so
        print(f"{peer.name}, {case}: {error}", file=sys.stderr)
        return "**fails**"
    return "passes"


def table(engine: str) -> str:
    """Return the outcomes against one engine, as a table in Markdown."""
    lines = [f"| {engine} | {' | '.join(peer.name for peer in PEERS)} |", "| --- |" + " --- |" * len(PEERS)]
    with programs.serving_by(SERVER, *ENGINES[engine]) as server:
        for case in cases.NAMES:
            outcomes = [outcome(peer, case, server.address) for peer in PEERS]
            lines.append(f"| `{case}` | {' | '.join(outcomes)} |")
    return "\n".join(lines) + "\n"


def main() -> int:
    """Print all tables; return 1 if a case fails."""
    text = "\n".join(table(engine) for engine in ENGINES)
    print(text, end="")
    return 1 if "**fails**" in text else 0


if __name__ == "__main__":
    sys.exit(main())
