"""What a release says of its source, with a real git."""

from pathlib import Path

import pytest

from testing import programs

STATUS = Path("tools/release/workspace_status.sh").absolute()


class Repository:
    """A repository with one commit."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self.git("init", "--quiet")
        (folder / "file").write_text("one\n", encoding="utf-8")
        self.git("add", "file")
        self.git("-c", "user.name=n", "-c", "user.email=e", "commit", "--quiet", "--message=one")

    def push(self, origin: str) -> None:
        """Have an origin, and the commit in it, as after a push."""
        self.git("remote", "add", "origin", origin)
        self.git("update-ref", "refs/remotes/origin/main", "HEAD")

    def git(self, *arguments: str) -> str:
        finished = programs.run(["git", *arguments], folder=self._folder, **self._environment())
        assert finished.returncode == 0, finished.stderr
        return finished.stdout.strip()

    def status(self) -> tuple[dict[str, str], str]:
        """Return what is told, and what is said on standard error if nothing is."""
        finished = programs.run([STATUS], folder=self._folder, **self._environment())
        if finished.returncode:
            return {}, finished.stderr
        return dict(line.split(" ", 1) for line in finished.stdout.splitlines()), ""

    def _environment(self) -> dict[str, str]:
        # None of the machine's own settings.
        return {
            "HOME": str(self._folder),
            "GIT_CONFIG_NOSYSTEM": "1",
            "GIT_CEILING_DIRECTORIES": str(self._folder.parent),
        }


@pytest.fixture
def repository(tmp_path: Path) -> Repository:
    return Repository(tmp_path)


@pytest.mark.parametrize(
    "origin",
    [
        "https://example.com/some/calculator",
        "https://user:secret@example.com/some/calculator",
        "https://user:se@cret@example.com/some/calculator",
        "https://example.com/some/calculator?token=secret",
        "https://secret@example.com/some/calculator",
        "git@example.com:some/calculator",
        "somebody@example.com:/some/calculator",
        "ssh://git@example.com/some/calculator",
        "ssh://somebody@example.com:2222/some/calculator",
        "ssh://example.com/some/calculator",
    ],
)
def test_a_release_names_its_commit_and_where_it_is_without_secrets(repository: Repository, origin: str) -> None:
    repository.push(origin)
    told, _ = repository.status()
    commit = repository.git("rev-parse", "HEAD")
    assert told.pop("STABLE_VERSION") == commit[:12]
    assert told == {"STABLE_REVISION": commit, "STABLE_SOURCE": "https://example.com/some/calculator"}


def test_the_version_is_the_tag(repository: Repository) -> None:
    repository.git("remote", "add", "origin", "https://example.com/some/calculator")
    repository.git("tag", "v1.2.3")  # which stands for a push: a checkout of a tag has no branches
    assert repository.status()[0]["STABLE_VERSION"] == "v1.2.3"


def test_changes_that_are_not_committed_are_named_and_refused(repository: Repository, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("two\n", encoding="utf-8")
    (tmp_path / "new").touch()
    assert repository.status() == (
        {},
        "release: commit first, or remove, so that others can build the same:\n M file\n?? new\n",
    )


def test_changes_that_git_was_told_not_to_show_are_refused(repository: Repository, tmp_path: Path) -> None:
    repository.push("https://example.com/some/calculator")
    repository.git("config", "status.showUntrackedFiles", "no")
    (tmp_path / ".git/info/exclude").write_text(
        "secret\nuser.bazelrc\n.bazel/\n__pycache__/\n*.tfstate*\n", encoding="utf-8"
    )
    for harmless in (".bazel/cache", "server/__pycache__/cache", "deploy/terraform.tfstate.backup"):
        (tmp_path / harmless).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / harmless).touch()
    assert repository.status()[1] == ""
    for name in ("secret", "untracked", "user.bazelrc"):
        (tmp_path / name).touch()
        assert name in repository.status()[1]
        (tmp_path / name).unlink()
    repository.git("update-index", "--assume-unchanged", "file")
    assert "h file" in repository.status()[1]


@pytest.mark.parametrize("origin", ["/some/folder", "file:///some/folder", "http://u:secret@example.com/calculator"])
def test_an_origin_that_others_cannot_reach_is_refused_without_its_password(
    repository: Repository, origin: str
) -> None:
    repository.push(origin)
    told, said = repository.status()
    assert not told
    assert f"origin is {origin.replace('u:secret@', '')}: accepted are" in said


def test_a_commit_that_nobody_else_has_is_refused(repository: Repository) -> None:
    repository.git("remote", "add", "origin", "https://example.com/some/calculator")
    assert repository.status() == (
        {},
        "release: push first: no branch of a remote has this commit, and it has no tag\n",
    )


def test_without_an_origin_or_a_repository_it_says_what_is_missing(repository: Repository, tmp_path: Path) -> None:
    repository.git("tag", "v1")
    assert "git remote add origin" in repository.status()[1]
    (tmp_path / ".git").rename(tmp_path / "elsewhere")
    assert "not a git repository" in repository.status()[1]
