"""Prints tables of the official interop cases that each peer passes against each engine: bazel run //tests/interop."""

import sys
from collections.abc import Callable
from pathlib import Path

from testing import programs
from tests.interop import cases
from tests.interop.peers import ENGINES, PEERS, Peer, UnsupportedError

SERVER = Path("tests/interop/server").absolute()


def outcome(peer: Peer, case: str, address: str) -> str:
    """Run a case with a peer, and return its outcome for the table."""
    try:
        peer.run(case, address)
    except UnsupportedError:
        return "cannot"
    except Exception as error:  # noqa: BLE001 - any exception is a failure of the case
        print(f"{peer.name}, {case}: {error}", file=sys.stderr)
        return "**fails**"
    return "passes"


def table(engine: str, outcome_of: Callable[[Peer, str], str]) -> str:
    """Return the outcomes against one engine as a Markdown table.

    Args:
        engine: the name of the engine, for the heading.
        outcome_of: function that returns the outcome of a case with a peer.
    """
    heading = [f"| {engine} | {' | '.join(peer.name for peer in PEERS)} |", "| --- |" + " --- |" * len(PEERS)]
    rows = [f"| `{case}` | {' | '.join(outcome_of(peer, case) for peer in PEERS)} |" for case in cases.NAMES]
    return "\n".join([*heading, *rows]) + "\n"


def _measured(engine: str) -> str:
    with programs.serving_by(SERVER, *ENGINES[engine]) as server:
        return table(engine, lambda peer, case: outcome(peer, case, server.address))


def main() -> int:
    """Print all tables; return 1 if a case fails."""
    text = "\n".join(map(_measured, ENGINES))
    print(text, end="")
    return 1 if "**fails**" in text else 0


if __name__ == "__main__":
    sys.exit(main())
