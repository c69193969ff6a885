"""docs/image.md: its commands work, and print what it shows, but for figures, which may have moved a little."""

import os
import re
from pathlib import Path

import pytest

from bazel.oci.layout import Layout
from testing import oci_registry, programs
from testing.documents import Document

DIGEST = Layout(Path("deploy/image")).reference()["digest"]
SHOWN = Document(Path("docs/image.md").read_text(encoding="utf-8"))


def _output(*command: str) -> str:
    [session] = SHOWN.of("./bazelw", *command)
    return session.output


def test_no_console_block_shows_a_command_that_is_not_tested_here() -> None:
    tested = [
        *SHOWN.of("./bazelw", "build", "//deploy:image"),  # the test's own data
        *SHOWN.of("./bazelw", "run", "//benchmarks:cold_start"),
        *SHOWN.of("./bazelw", "run", "//deploy:image.report"),
        *SHOWN.of("./bazelw", "run", "//deploy:load"),  # in deploy/load_test.py
        *SHOWN.of("./bazelw", "run", "//deploy:push"),
    ]
    assert [str(session) for session in SHOWN.sessions if session not in tested] == []


def test_the_image_consists_of_what_is_shown_within_a_tenth() -> None:
    shown = _output("run", "//deploy:image.report")
    printed = programs.run(["deploy/image.report"]).stdout.replace(DIGEST, "DIGEST")
    # Versions are in the names of libraries, and what is as large as its neighbour changes places with it.
    assert sorted(re.sub(r"[\d.]+", "", shown).splitlines()) == sorted(re.sub(r"[\d.]+", "", printed).splitlines())
    sizes = [sorted(float(size) for size in re.findall(r"([\d.]+) MB", text)) for text in (shown, printed)]
    assert sizes[0] == pytest.approx(sizes[1], rel=0.1, abs=0.05)


def test_the_cold_start_is_measured_as_is_shown() -> None:
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
