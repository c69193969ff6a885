"""Tests of notes.sh, which checks the tag of a release and prints its notes."""

import re
import subprocess
from pathlib import Path

import pytest

from testing import programs

NOTES = "tools/release/notes.sh"
CHANGELOG = """# Changelog

## Unreleased

## 1.10.0 - 2026-02-01

### Added

- Ten.

## 1.1.0 - 2026-01-01

- One.
"""


def _notes(tag: str, folder: Path, changelog: str = CHANGELOG) -> subprocess.CompletedProcess[str]:
    file = folder / "CHANGELOG.md"
    file.write_text(changelog, encoding="utf-8")
    return programs.run([NOTES, tag, file])


def test_the_notes_are_the_section_of_the_newest_version(tmp_path: Path) -> None:
    finished = _notes("v1.10.0", tmp_path)
    assert (finished.returncode, finished.stdout, finished.stderr) == (0, "### Added\n\n- Ten.\n", "")


@pytest.mark.parametrize("tag", ["1.10.0", "v1.10", "v1.10.0-rc1", "v1.10.0\n", "main", ""])
def test_a_tag_of_another_form_is_refused(tmp_path: Path, tag: str) -> None:
    finished = _notes(tag, tmp_path)
    assert (finished.returncode, finished.stdout) == (1, "")
    assert f"the tag is {tag}: must be v and three numbers, such as v1.2.3" in finished.stderr


@pytest.mark.parametrize("tag", ["v1.1.0", "v1.1.1", "v1.10.1", "v2.10.0"])
def test_a_tag_that_is_not_the_newest_version_is_refused(tmp_path: Path, tag: str) -> None:
    finished = _notes(tag, tmp_path)
    assert (finished.returncode, finished.stdout) == (1, "")
    assert f"the tag is {tag}, but the newest version in {tmp_path}/CHANGELOG.md is 1.10.0" in finished.stderr


@pytest.mark.parametrize(
    ("before", "after", "complaint"),
    [
        ("## Unreleased\n", "## Unreleased\n\n- More.\n", "lists unreleased changes"),
        ("### Added\n\n- Ten.\n", "", "the section of 1.10.0"),
        (CHANGELOG, "# Changelog\n\n## Unreleased\n", "has no heading of a version"),
    ],
)
def test_an_incomplete_changelog_is_refused(tmp_path: Path, before: str, after: str, complaint: str) -> None:
    finished = _notes("v1.10.0", tmp_path, CHANGELOG.replace(before, after))
    assert (finished.returncode, finished.stdout) == (1, "")
    assert complaint in finished.stderr


def test_the_changelog_of_this_repository_has_dated_versions_in_order() -> None:
    unreleased, *versions = re.findall(r"^## (.*)$", Path("CHANGELOG.md").read_text(encoding="utf-8"), re.MULTILINE)
    assert unreleased == "Unreleased"
    found = [re.fullmatch(r"(\d+)\.(\d+)\.(\d+) - (\d{4}-\d\d-\d\d)", version) for version in versions]
    assert found
    assert all(found), versions
    parts = [(match[4], *(int(match[number]) for number in (1, 2, 3))) for match in found if match]
    assert parts == sorted(parts, reverse=True)
