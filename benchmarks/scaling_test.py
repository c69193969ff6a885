"""Tests of the calculated instances and costs, and of the outputs that docs/explanation/scaling.md shows."""

import os
import re
from pathlib import Path

import pytest

from benchmarks import scaling
from testing import programs
from testing.documents import Document

SESSIONS = Document(Path("docs/explanation/scaling.md").read_text(encoding="utf-8")).sessions
PROGRAMS = [str(Path(os.environ[name]).absolute()) for name in ("BWRAP", "H2LOAD")]


@pytest.mark.parametrize(
    ("load", "capacity", "count"), [(1, 4000, 1), (2400, 4000, 1), (2401, 4000, 2), (10**6, 1, 1666667)]
)
def test_instances_are_utilized_to_60_percent(load: int, capacity: int, count: int) -> None:
    assert scaling.instances(load, capacity) == count


def test_a_month_costs_what_the_price_list_says() -> None:
    assert scaling.REQUEST_BASED.month(1, 0) == pytest.approx(62.208 + 1.62)
    assert scaling.REQUEST_BASED.month(0, 1) == pytest.approx(1.0368)
    assert scaling.INSTANCE_BASED.month(1, 1000) == pytest.approx(46.656 + 2.592)


def _shape(text: str) -> str:
    """Return a text without its numbers."""
    return re.sub(r"[0-9]+(\.[0-9]+)?", "", text)


def test_the_calculation_prints_the_output_that_the_page_shows() -> None:
    [session] = [session for session in SESSIONS if "//benchmarks:scaling" in session.command]
    assert programs.run(["benchmarks/scaling", *session.command[4:]]).stdout == session.output


def test_the_capacity_benchmark_prints_the_table_that_the_page_shows() -> None:
    [session] = [session for session in SESSIONS if "//benchmarks:capacity" in session.command]
    measured = programs.run(["benchmarks/capacity", *PROGRAMS, "--rounds=1", "--calls=200"])
    assert _shape(measured.stdout) == _shape(session.output), measured.stderr


def test_the_page_does_not_show_other_commands() -> None:
    assert len(SESSIONS) == 2
