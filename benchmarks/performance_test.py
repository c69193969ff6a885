"""The commands in docs/explanation/performance.md print tables of the shape that the page shows."""

import os
import re
from pathlib import Path

from testing import programs
from testing.documents import Document

SESSIONS = Document(Path("docs/explanation/performance.md").read_text(encoding="utf-8")).sessions
H2LOAD = str(Path(os.environ["H2LOAD"]).absolute())


# The parts that differ from run to run: figures, "-" for a missing figure, and whether a goal is met.
_FIGURE = re.compile(r"[0-9]+(\.[0-9]+)?|(?<= )(-|yes|no)(?= \|)")


def _shape(text: str) -> list[str]:
    """Return the lines of tables without the parts that differ from run to run."""
    return [_FIGURE.sub("", line) for line in text.splitlines() if line.startswith("|")]


def _tables(text: str) -> dict[str, list[str]]:
    """Return the shape of each table by its title, without the server in C++, which not every machine can compile."""
    tables: dict[str, list[str]] = {}
    title = ""
    for line in text.splitlines():
        if line.startswith("|"):
            tables[title] += [shape for shape in _shape(line) if "C++" not in shape.partition("vs.")[0]]
        elif line:
            title = line.partition(":")[0]
            tables[title] = []
    return tables


def test_the_benchmark_prints_the_tables_that_the_page_shows(tmp_path: Path) -> None:
    [session] = [session for session in SESSIONS if "//benchmarks" in session.command]
    shown = _tables(session.output)
    plot = tmp_path / "plot.svg"
    workloads = ["unary", "client streaming", "echo of 64 kB"]
    small = [H2LOAD, "--rounds=1", "--calls=100", f"--plot={plot}", "--workloads", *workloads]
    measured = programs.run(["benchmarks/benchmarks", *small])
    assert measured.returncode == 0, measured.stderr
    tables = _tables(measured.stdout)
    assert [tables[workload] for workload in workloads] == [shown[workload] for workload in workloads]
    assert set(tables["goals"]) <= set(shown["goals"])
    assert "grpc.server" in plot.read_text(encoding="utf-8")


def test_an_unknown_workload_is_an_error_that_lists_all_workloads() -> None:
    refused = programs.run(["benchmarks/benchmarks", H2LOAD, "--workloads", "unary", "binary"])
    assert refused.returncode == 2
    assert "unknown workload binary: must be unary, server streaming" in refused.stderr


def test_a_plot_without_the_workload_that_it_draws_is_an_error_that_names_it() -> None:
    refused = programs.run(["benchmarks/benchmarks", H2LOAD, "--plot=plot.svg", "--workloads", "echo of 1 MB"])
    assert refused.returncode == 2
    assert "--plot draws the workload unary" in refused.stderr


def test_the_soak_test_prints_the_table_that_the_page_shows() -> None:
    [session] = [session for session in SESSIONS if "//benchmarks:soak" in session.command]
    measured = programs.run(["benchmarks/soak", H2LOAD, "--seconds=1e-9", "--calls=1000"])
    assert measured.returncode == 0, measured.stderr
    assert set(_shape(measured.stdout)) == set(_shape(session.output))
    assert measured.stdout.endswith(": 0 wrong answers\n")
