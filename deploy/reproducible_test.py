"""Another Bazel builds the same image, elsewhere and from nothing but what was fetched; and makes releases of it.

It runs inside of Bazel's own sandbox: with an output base of its own, and with an interpreter that was compiled and
packed once more in another folder. There is no network, so the packages are those that the Bazel around it fetched.
"""

import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from bazel.oci.layout import Layout
from testing import nested_bazel
from testing.nested_bazel import NestedBazel

PYTHON = "python3.13"
BASE = Path("../debian/base.tar")
# Where the repositories are that the Bazel around this test has fetched.
FETCHED = BASE.resolve().parents[1]
IMAGES = ("//deploy:image", "//ingress:image")
REVISION = "org.opencontainers.image.revision"


class Elsewhere:
    """A checkout, an interpreter and a Bazel, all in a folder of another name."""

    def __init__(self, folder: Path, bazel: NestedBazel) -> None:
        self.debian = folder / "debian"
        self.checkout = folder / "checkout"
        self._bazel = bazel
        self._copy_debian()
        shutil.copytree(".", self.checkout, ignore=self._built)

    @staticmethod
    def _built(folder: str, names: list[str]) -> list[str]:
        """Return what is not a source: what Bazel has built beside the sources."""
        links = [name for name in names if Path(folder, name).is_symlink()]
        return [name for name in links if "bazel-out" in Path(folder, name).resolve().parts]

    def _copy_debian(self) -> None:
        """Make the interpreter's repository once more, from its unpacked packages."""
        made = shutil.ignore_patterns("base.tar", "__pycache__")
        shutil.copytree(FETCHED / "debian", self.debian, symlinks=True, ignore=made)
        for script, *more in (("compile_stdlib.sh",), ("image_base.sh", "base.tar")):
            program = Path("bazel/debian", script).absolute()
            subprocess.run([program, "root", PYTHON, *more], cwd=self.debian, check=True)

    def build(self, *options: str) -> subprocess.CompletedProcess[str]:
        """Build the image."""
        repositories = {folder.name: folder for folder in FETCHED.iterdir() if folder.is_dir()}
        repositories["debian"] = self.debian
        del repositories["bazel_tools"]  # is Bazel's own
        overrides = (f"--override_repository={name}={folder}" for name, folder in repositories.items())
        return self._bazel.run("build", "--spawn_strategy=local", *options, *overrides, *IMAGES)

    @property
    def built(self) -> Path:
        """What it has built."""
        return self.checkout / ".bazel/bin"

    def git(self, *arguments: str) -> str:
        """Ask git about the checkout."""
        return subprocess.check_output(["git", *arguments], cwd=self.checkout, text=True).strip()


@pytest.fixture(scope="module")
def elsewhere(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Elsewhere]:
    folder = tmp_path_factory.mktemp("elsewhere")
    with nested_bazel.opened(folder / "checkout", folder / "output") as bazel:
        yield Elsewhere(folder, bazel)


def test_the_base_is_the_same_when_it_is_packed_elsewhere(elsewhere: Elsewhere) -> None:
    assert (elsewhere.debian / "base.tar").read_bytes() == BASE.read_bytes()


def test_another_output_base_has_the_same_images(elsewhere: Elsewhere) -> None:
    built = elsewhere.build()
    assert built.returncode == 0, built.stderr
    for folder in ("deploy/image", "ingress/image"):
        there, here = elsewhere.built / folder, Path(folder)
        assert there.resolve() != here.resolve()
        assert (there / "index.json").read_bytes() == (here / "index.json").read_bytes(), folder


def test_a_release_says_what_it_is_of_and_is_refused_for_what_is_not_committed_or_pinned(elsewhere: Elsewhere) -> None:
    (elsewhere.checkout / ".gitignore").write_text(".bazel/\n", encoding="utf-8")
    elsewhere.git("init", "--quiet")
    elsewhere.git("remote", "add", "origin", "https://example.com/some/calculator")
    elsewhere.git("add", ".")
    elsewhere.git("-c", "user.name=n", "-c", "user.email=e", "commit", "--quiet", "--message=all")
    elsewhere.git("tag", "v1.2.3")
    # Whether the outer build used the pinned packages depends on its mirror: this test must pass either way.
    (elsewhere.debian / "stale").write_text("", encoding="utf-8")
    built = elsewhere.build("--config=release")
    assert built.returncode == 0, built.stderr
    image = Layout(elsewhere.built / "deploy/image")
    commit = elsewhere.git("rev-parse", "HEAD")
    assert image.manifest()["annotations"][REVISION] == image.config()["config"]["Labels"][REVISION] == commit

    (elsewhere.debian / "stale").write_text("libc6 1.0\n", encoding="utf-8")
    refused = elsewhere.build("--config=release")
    assert refused.returncode
    assert "libc6 1.0 is pinned, but another version is in the image" in refused.stderr

    (elsewhere.checkout / "new").touch()
    assert "?? new" in elsewhere.build("--config=release").stderr
