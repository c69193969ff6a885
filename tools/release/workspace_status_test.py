"""Tests of workspace_status.sh with a real git."""

from pathlib import Path

import pytest

from testing import programs

STATUS = Path("tools/release/workspace_status.sh").absolute()


class Repository:
    """A git repository with one commit."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self.git("init", "--quiet")
        (folder / "file").write_text("one\n", encoding="utf-8")
        self.git("add", "file")
        self.git("-c", "user.name=n", "-c", "user.email=e", "commit", "--quiet", "--message=one")

    def push(self, origin: str) -> None:
        """Add an origin whose branch main has the commit, as after a push."""
        self.git("remote", "add", "origin", origin)
        self.git("update-ref", "refs/remotes/origin/main", "HEAD")

    def git(self, *arguments: str) -> str:
        finished = programs.run(["git", *arguments], folder=self._folder, **self._environment())
        assert finished.returncode == 0, finished.stderr
        return finished.stdout.strip()

    def status(self, **environment: str) -> tuple[dict[str, str], str]:
        """Return the workspace status; if the script fails, an empty dict and its standard error."""
        finished = programs.run([STATUS], folder=self._folder, **self._environment(), **environment)
        if finished.returncode:
            return {}, finished.stderr
        return dict(line.split(" ", 1) for line in finished.stdout.splitlines()), ""

    def _environment(self) -> dict[str, str]:
        # Ignore the machine's own git configuration.
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
def test_the_status_has_the_commit_and_the_source_url_without_secrets(repository: Repository, origin: str) -> None:
    repository.push(origin)
    status, _ = repository.status()
    commit = repository.git("rev-parse", "HEAD")
    assert status.pop("STABLE_VERSION") == commit[:12]
    assert status == {"STABLE_REVISION": commit, "STABLE_SOURCE": "https://example.com/some/calculator"}


def test_the_version_is_the_tag(repository: Repository) -> None:
    repository.git("remote", "add", "origin", "https://example.com/some/calculator")
    repository.git("tag", "v1.2.3")  # counts as pushed: a checkout of a tag has no branches
    assert repository.status()[0]["STABLE_VERSION"] == "v1.2.3"


def test_the_environment_can_name_the_builder(repository: Repository) -> None:
    repository.push("https://example.com/some/calculator")
    status, _ = repository.status(BUILDER_ID="https://example.com/build-service")
    assert status["STABLE_BUILDER"] == "https://example.com/build-service"
    assert "STABLE_BUILDER" not in repository.status()[0]
    for invalid in ("", "somebody", "a b:c", "https://a b"):
        assert repository.status(BUILDER_ID=invalid) == (
            {},
            f"release: BUILDER_ID is {invalid}: must be a URI, such as https://example.com/build-service\n",
        )


def test_uncommitted_changes_are_listed_and_refused(repository: Repository, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("two\n", encoding="utf-8")
    (tmp_path / "new").touch()
    assert repository.status() == (
        {},
        "release: commit or remove these files, so that others can build the same image:\n M file\n?? new\n",
    )


def test_changes_that_git_is_configured_to_hide_are_refused(repository: Repository, tmp_path: Path) -> None:
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
def test_an_unreachable_origin_is_refused_without_showing_its_password(repository: Repository, origin: str) -> None:
    repository.push(origin)
    status, error = repository.status()
    assert not status
    assert f"origin is {origin.replace('u:secret@', '')}: must be" in error


def test_a_commit_that_is_not_pushed_is_refused(repository: Repository) -> None:
    repository.git("remote", "add", "origin", "https://example.com/some/calculator")
    assert repository.status() == (
        {},
        "release: push first: this commit is not on a remote branch and has no tag\n",
    )


def test_a_missing_origin_or_repository_is_named_in_the_error(repository: Repository, tmp_path: Path) -> None:
    repository.git("tag", "v1")
    assert "git remote add origin" in repository.status()[1]
    (tmp_path / ".git").rename(tmp_path / "elsewhere")
    assert "not a git repository" in repository.status()[1]
