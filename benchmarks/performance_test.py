"""The commands in docs/performance.md print tables of the shape that the page shows."""

import os
import re
from pathlib import Path

from tests import programs
from tests.documents import Document

SESSIONS = Document(Path("docs/performance.md").read_text(encoding="utf-8")).sessions
H2LOAD = str(Path(os.environ["H2LOAD"]).absolute())


# What differs from run to run: figures, "-" for a figure that is missing, and whether a goal is met.
_FIGURE = re.compile(r"[0-9]+(\.[0-9]+)?|(?<= )(-|yes|no)(?= \|)")


def _shape(text: str) -> list[str]:
    """Return the lines of tables without what differs from run to run."""
    return [_FIGURE.sub("", line) for line in text.splitlines() if line.startswith("|")]


def test_servers_are_compared_as_is_shown(tmp_path: Path) -> None:
    [session] = [session for session in SESSIONS if "//benchmarks" in session.command]
    plot = tmp_path / "plot.svg"
    measured = programs.run(["benchmarks/benchmarks", H2LOAD, "--rounds=1", "--calls=100", f"--plot={plot}"])
    assert measured.returncode == 0, measured.stderr
    # Not every machine has what the server in C++ takes, or lets workers have half a core.
    shown = [line for line in _shape(session.output) if "C++" not in line]
    assert [line for line in _shape(measured.stdout) if "C++" not in line] == shown
    assert "grpc.server" in plot.read_text(encoding="utf-8")


def test_a_soak_goes_on_as_is_shown() -> None:
    [session] = [session for session in SESSIONS if "//benchmarks:soak" in session.command]
    measured = programs.run(["benchmarks/soak", H2LOAD, "--seconds=1e-9"])
    assert measured.returncode == 0, measured.stderr
    assert set(_shape(measured.stdout)) == set(_shape(session.output))
    assert measured.stdout.endswith(": 0 wrong answers\n")
