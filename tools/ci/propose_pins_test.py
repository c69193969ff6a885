"""Tests of propose_pins.sh with a real git, a repository on this machine as the origin, and a fake gh."""

import subprocess
from pathlib import Path

import pytest

from testing import programs

PROPOSE_PINS = Path("tools/ci/propose_pins.sh").absolute()
LOCK = "third_party/debian/python.lock"

# Prints the number of the open pull request, if a file has one, and appends the arguments of other calls to a file.
GH = """#!/bin/sh
if [ "$1 $2" = 'pr list' ]; then cat "$FOLDER/open"; else echo "$*" >>"$FOLDER/calls"; fi
"""


class Checkout:
    """A clone of a repository with one lock and one other file, and a gh that records its calls."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._clone = folder / "clone"
        (folder / "open").touch()
        (folder / "calls").touch()
        (folder / "bin").mkdir()
        (folder / "bin/gh").write_text(GH, encoding="utf-8")
        (folder / "bin/gh").chmod(0o755)
        self._run("git", "init", "--quiet", "--bare", "--initial-branch=main", "origin", folder=folder)
        self._run("git", "clone", "--quiet", "origin", "clone", folder=folder)
        for name in (LOCK, "README.md"):
            (self._clone / name).parent.mkdir(parents=True, exist_ok=True)
            (self._clone / name).write_text("old\n", encoding="utf-8")
        self.git("add", ".")
        self.git("-c", "user.name=n", "-c", "user.email=e", "commit", "--quiet", "--message=one")
        self.git("push", "--quiet", "origin", "HEAD:main")

    def _run(self, *command: str | Path, folder: Path) -> subprocess.CompletedProcess[str]:
        path = f"{self._folder / 'bin'}:/usr/bin:/bin"
        own = {"HOME": str(self._folder), "GIT_CONFIG_NOSYSTEM": "1", "PATH": path, "FOLDER": str(self._folder)}
        return programs.run(command, folder=folder, **own)

    def git(self, *arguments: str) -> str:
        finished = self._run("git", *arguments, folder=self._clone)
        assert finished.returncode == 0, finished.stderr
        return finished.stdout

    def patch(self, **contents: str) -> Path:
        """Return a patch with new contents of files, without changing the checkout."""
        for name, content in contents.items():
            (self._clone / name).write_text(content, encoding="utf-8")
        patch = self._folder / "pins.patch"
        patch.write_text(self.git("diff"), encoding="utf-8")
        self.git("checkout", "--quiet", ".")
        return patch

    def patch_by(self, command: str) -> Path:
        """Return the patch of a shell command, without changing the checkout."""
        done = self._run("sh", "-c", f"{command} && git add --all", folder=self._clone)
        assert done.returncode == 0, done.stderr
        patch = self._folder / "pins.patch"
        patch.write_text(self.git("diff", "--cached", "--no-renames"), encoding="utf-8")
        self.git("reset", "--quiet", "--hard")
        return patch

    def open_pull_request(self, number: int) -> None:
        (self._folder / "open").write_text(f"{number}\n", encoding="utf-8")

    def propose(self, patch: Path, result: str = "success") -> subprocess.CompletedProcess[str]:
        return self._run(PROPOSE_PINS, patch, result, folder=self._clone)

    @property
    def calls(self) -> list[str]:
        """The calls of gh that change something."""
        return (self._folder / "calls").read_text(encoding="utf-8").splitlines()

    @property
    def branches(self) -> dict[str, str]:
        """The lock's content in each branch of the origin."""
        names = self.git("ls-remote", "--heads", "origin").split()[1::2]
        self.git("fetch", "--quiet", "origin")
        short = [name.removeprefix("refs/heads/") for name in names]
        return {name: self.git("show", f"origin/{name}:{LOCK}") for name in short}


@pytest.fixture
def checkout(tmp_path: Path) -> Checkout:
    return Checkout(tmp_path)


def test_new_pins_are_pushed_and_proposed_with_the_result_of_the_tests(checkout: Checkout) -> None:
    finished = checkout.propose(checkout.patch(**{LOCK: "new\n"}), "failure")
    assert (finished.returncode, finished.stderr) == (0, "")
    assert checkout.branches == {"main": "old\n", "pins": "new\n"}
    create, run = checkout.calls
    assert create.startswith("pr create --head pins --base main --title Update the pinned packages --body")
    assert "failure" in create
    assert run == "workflow run ci.yml --ref pins"


def test_an_open_pull_request_is_updated(checkout: Checkout) -> None:
    checkout.propose(checkout.patch(**{LOCK: "new\n"}))
    checkout.open_pull_request(7)
    checkout.git("switch", "--quiet", "main")
    finished = checkout.propose(checkout.patch(**{LOCK: "newer\n"}))
    assert (finished.returncode, finished.stderr) == (0, "")
    assert checkout.branches == {"main": "old\n", "pins": "newer\n"}
    assert [call.split(" --body")[0] for call in checkout.calls[2:]] == ["pr edit 7", "workflow run ci.yml --ref pins"]


def test_an_empty_patch_proposes_nothing(checkout: Checkout) -> None:
    finished = checkout.propose(checkout.patch())
    assert (finished.returncode, finished.stdout) == (0, "The pins are up to date.\n")
    assert checkout.branches == {"main": "old\n"}
    assert checkout.calls == []


def test_a_patch_of_another_file_is_refused(checkout: Checkout) -> None:
    finished = checkout.propose(checkout.patch(**{LOCK: "new\n", "README.md": "new\n"}))
    assert finished.returncode == 1
    assert finished.stderr.startswith("propose_pins: the patch does more than change the content of locks:\n")
    assert finished.stderr.endswith(" M\tREADME.md\n")
    assert checkout.branches == {"main": "old\n"}
    assert checkout.calls == []


@pytest.mark.parametrize(
    "change",
    ["git mv README.md third_party/new.lock", f"ln -sf /etc/passwd {LOCK}", f"git rm {LOCK}", f"chmod +x {LOCK}"],
)
def test_a_patch_that_renames_links_or_removes_is_refused(checkout: Checkout, change: str) -> None:
    finished = checkout.propose(checkout.patch_by(change))
    assert finished.returncode == 1, finished.stderr
    assert "does more than change the content of locks" in finished.stderr
    assert checkout.branches == {"main": "old\n"}
    assert checkout.calls == []
