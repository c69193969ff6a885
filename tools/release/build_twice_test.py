"""Tests of build_twice.sh in a small repository, whose bazelw writes images instead of building them."""

import subprocess
from pathlib import Path

import pytest

from testing import programs

BUILD_TWICE = Path("tools/release/build_twice.sh").absolute()

# Writes the value of a variable to the images, and its command line to a file.
BAZELW = """#!/bin/sh
set -eu
echo "$*" >>"$CALLS"
for image in deploy ingress; do
  mkdir -p .bazel/bin/$image/image
  echo "$image CONTENT" >.bazel/bin/$image/image/index.json
done
"""


def _build_twice(folder: Path, content: str) -> tuple[subprocess.CompletedProcess[str], list[str]]:
    """Build with a bazelw that writes CONTENT, and return the result and the command lines of bazelw."""
    checkout, calls = folder / "checkout", folder / "calls"
    checkout.mkdir()
    (checkout / "bazelw").write_text(BAZELW.replace("CONTENT", content), encoding="utf-8")
    (checkout / "bazelw").chmod(0o755)
    own = {"HOME": str(folder), "GIT_CONFIG_NOSYSTEM": "1", "CALLS": str(calls)}
    author = ("-c", "user.name=n", "-c", "user.email=e")
    for arguments in (("init", "--quiet"), ("add", "."), (*author, "commit", "--quiet", "--message=one")):
        done = programs.run(["git", *arguments], folder=checkout, **own)
        assert done.returncode == 0, done.stderr
    finished = programs.run([BUILD_TWICE, folder / "builds"], folder=checkout, **own)
    return finished, calls.read_text(encoding="utf-8").splitlines()


def test_two_equal_builds_succeed_and_their_digests_are_printed(tmp_path: Path) -> None:
    finished, calls = _build_twice(tmp_path, "same")
    assert (finished.returncode, finished.stderr) == (0, "")
    assert finished.stdout.split() == ["deploy", "same", "ingress", "same"]
    bases = {call.split()[0] for call in calls}
    assert bases == {f"--output_base={tmp_path}/builds/{name}.output" for name in ("first", "second")}


@pytest.mark.parametrize("content", ["$PWD", "$*"])
def test_builds_that_depend_on_their_folder_fail(tmp_path: Path, content: str) -> None:
    finished, _ = _build_twice(tmp_path, content)
    assert finished.returncode == 1
    assert "differ" in finished.stdout + finished.stderr
