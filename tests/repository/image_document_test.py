"""Tests of the documents about images: their commands work and print what they show. Figures may differ slightly."""

import os
import re
from pathlib import Path

import pytest

from bazel.oci.layout import Layout
from testing import oci_registry, programs
from testing.documents import Document

DIGEST = Layout(Path("deploy/image")).reference()["digest"]
FILES = (Path("docs/reference/image.md"), Path("docs/guides/release.md"))
SHOWN = Document("\n".join(path.read_text(encoding="utf-8") for path in FILES))


def _output(*command: str) -> str:
    [session] = SHOWN.of("./bazelw", *command)
    return session.output


def test_no_console_block_shows_a_command_that_is_not_tested_here() -> None:
    tested = [
        *SHOWN.of("./bazelw", "build", "//deploy:image"),  # the data of this test
        *SHOWN.of("./bazelw", "run", "//benchmarks:cold_start"),
        *SHOWN.of("./bazelw", "run", "//deploy:image.report"),
        *SHOWN.of("./bazelw", "run", "//deploy:load"),  # in deploy/load_test.py
        *SHOWN.of("./bazelw", "run", "//deploy:push"),
    ]
    assert [str(session) for session in SHOWN.sessions if session not in tested] == []


def test_the_contents_of_the_image_are_as_shown_with_sizes_within_a_tenth() -> None:
    shown = _output("run", "//deploy:image.report")
    printed = programs.run(["deploy/image.report"]).stdout.replace(DIGEST, "DIGEST")
    # Compare without digits and order: names contain versions, and entries of similar size may swap places.
    assert sorted(re.sub(r"[\d.]+", "", shown).splitlines()) == sorted(re.sub(r"[\d.]+", "", printed).splitlines())
    sizes = [sorted(float(size) for size in re.findall(r"([\d.]+) MB", text)) for text in (shown, printed)]
    assert sizes[0] == pytest.approx(sizes[1], rel=0.1, abs=0.05)


def test_the_cold_start_table_has_the_rows_that_are_shown() -> None:
    shown = _output("run", "//benchmarks:cold_start")
    bubblewrap = str(Path(os.environ["BWRAP"]).absolute())
    printed = programs.run(["benchmarks/cold_start", bubblewrap, "--rounds", "1"])
    assert printed.returncode == 0, printed.stderr

    def names(text: str) -> list[str]:
        return re.findall(r"^\|([^|]*)\|", text, re.MULTILINE)

    assert names(printed.stdout) == names(shown)


def test_a_push_prints_the_references_that_are_shown(tmp_path: Path) -> None:
    [session] = SHOWN.of("./bazelw", "run", "//deploy:push", "--")
    with oci_registry.serving(tmp_path) as here:
        arguments = [word.replace("localhost:5000", here.host) for word in session.command[4:]]
        pushed = programs.run(["deploy/push", *arguments]).stdout.replace(here.host, "localhost:5000")
    assert pushed.replace(DIGEST, "DIGEST") == session.output
