"""Tests that a nested Bazel builds identical images from a copy of the sources, and that it builds releases.

The nested Bazel runs inside the sandbox of the outer Bazel. It has its own output base, and an interpreter that was
compiled and packed again in another folder. There is no network, so it uses the packages that the outer Bazel fetched.
It always reads WORKSPACE, so with --config=bzlmod the test compares the images of both modes.
"""

import hashlib
import json
import os
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from bazel.oci.layout import Layout
from testing import nested_bazel
from testing.nested_bazel import NestedBazel

PYTHON = "python3.13"
BASE = Path(os.environ["BASE"])
# The folder of the external repositories that the outer Bazel has fetched.
FETCHED = BASE.resolve().parents[1]
TARGETS = ("//deploy:image", "//deploy:provenance", "//ingress:image")
# The image in Go takes a minute longer, since all Go packages are compiled. So it is built only with --config=bzlmod,
# by continuous integration. The module system prefixes the names of repositories.
IMAGES_IN_GO = () if BASE.resolve().parent.name == "debian" else ("//server/go:image",)
REVISION = "org.opencontainers.image.revision"


def _name(repository: Path) -> str:
    """Return the name of a fetched repository in WORKSPACE. The module system prefixes it with module and extension."""
    return repository.name.rstrip("~+").replace("+", "~").rpartition("~")[2]


class Elsewhere:
    """A checkout, an interpreter and a nested Bazel in another folder.

    Attributes:
        debian: the interpreter's repository.
        checkout: a copy of the sources.
    """

    def __init__(self, folder: Path, bazel: NestedBazel) -> None:
        self.debian = folder / "debian"
        self.checkout = folder / "checkout"
        self._bazel = bazel
        self._copy_debian()
        shutil.copytree(".", self.checkout, ignore=self._outputs)

    @staticmethod
    def _outputs(folder: str, names: list[str]) -> list[str]:
        """Return the names of the outputs of Bazel, which are next to the sources."""
        links = [name for name in names if Path(folder, name).is_symlink()]
        return [name for name in links if "bazel-out" in Path(folder, name).resolve().parts]

    def _copy_debian(self) -> None:
        """Build the interpreter's repository again from its unpacked packages."""
        outputs = shutil.ignore_patterns("base.tar", "__pycache__")
        shutil.copytree(BASE.resolve().parent, self.debian, symlinks=True, ignore=outputs)
        for script, *arguments in (("compile_stdlib.sh",), ("image_base.sh", "base.tar")):
            program = Path("bazel/debian", script).absolute()
            subprocess.run([program, "root", PYTHON, *arguments], cwd=self.debian, check=True)

    def build(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        """Build the images in Python and the provenance of one, with options, and other targets."""
        repositories = {_name(folder): folder for folder in FETCHED.iterdir() if folder.is_dir()}
        repositories["debian"] = self.debian
        del repositories["bazel_tools"]  # a part of Bazel itself
        overrides = (f"--override_repository={name}={folder}" for name, folder in repositories.items())
        return self._bazel.run("build", "--spawn_strategy=local", *arguments, *overrides, *TARGETS)

    @property
    def built(self) -> Path:
        """The folder of the outputs."""
        return self.checkout / ".bazel/bin"

    def git(self, *arguments: str) -> str:
        """Run git in the checkout, and return its output."""
        return subprocess.check_output(["git", *arguments], cwd=self.checkout, text=True).strip()


@pytest.fixture(scope="module")
def elsewhere(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Elsewhere]:
    folder = tmp_path_factory.mktemp("elsewhere")
    with nested_bazel.opened(folder / "checkout", folder / "output") as bazel:
        yield Elsewhere(folder, bazel)


def test_the_base_layer_is_identical_when_it_is_packed_in_another_folder(elsewhere: Elsewhere) -> None:
    assert (elsewhere.debian / "base.tar").read_bytes() == BASE.read_bytes()


def test_the_images_are_identical_when_they_are_built_in_another_output_base(elsewhere: Elsewhere) -> None:
    built = elsewhere.build(*IMAGES_IN_GO)
    assert built.returncode == 0, built.stderr
    for target in ("//deploy:image", "//ingress:image", *IMAGES_IN_GO):
        folder = target.removeprefix("//").replace(":", "/")
        nested, outer = elsewhere.built / folder, Path(folder)
        assert nested.resolve() != outer.resolve()
        assert (nested / "index.json").read_bytes() == (outer / "index.json").read_bytes(), folder


def test_an_image_that_is_not_a_release_names_neither_commit_nor_builder(elsewhere: Elsewhere) -> None:
    assert elsewhere.build().returncode == 0
    provenance = json.loads((elsewhere.built / "deploy/provenance.slsa.json").read_bytes())
    assert provenance["runDetails"]["builder"]["id"] == "unstamped"
    materials = provenance["buildDefinition"]["resolvedDependencies"]
    assert {kind for material in materials for kind in material["digest"]} == {"sha256"}


def test_a_release_names_its_commit_and_fails_with_uncommitted_files_or_unpinned_packages(elsewhere: Elsewhere) -> None:
    (elsewhere.checkout / ".gitignore").write_text(".bazel/\n", encoding="utf-8")
    elsewhere.git("init", "--quiet")
    elsewhere.git("remote", "add", "origin", "https://example.com/some/calculator")
    elsewhere.git("add", ".")
    elsewhere.git("-c", "user.name=n", "-c", "user.email=e", "commit", "--quiet", "--message=all")
    elsewhere.git("tag", "v1.2.3")
    # Depending on its mirror, the outer build may not have used the pinned packages. This test must pass either way.
    (elsewhere.debian / "stale").write_text("", encoding="utf-8")
    built = elsewhere.build("--config=release")
    assert built.returncode == 0, built.stderr
    image = Layout(elsewhere.built / "deploy/image")
    commit = elsewhere.git("rev-parse", "HEAD")
    assert image.manifest()["annotations"][REVISION] == image.config()["config"]["Labels"][REVISION] == commit
    provenance = json.loads((elsewhere.built / "deploy/provenance.slsa.json").read_bytes())
    definition = provenance["buildDefinition"]
    assert definition["externalParameters"] == {"target": "//deploy:image", "options": ["--//bazel:release"]}
    materials = {material.get("name"): material["digest"] for material in definition["resolvedDependencies"]}
    assert materials.pop(None) == {"gitCommit": commit}
    assert materials == {
        name: {"sha256": hashlib.sha256(Path(name).read_bytes()).hexdigest()}
        for name in (
            ".bazelversion",
            "MODULE.bazel",
            "WORKSPACE",
            "third_party/debian/python.lock",
            "third_party/python/requirements.lock",
        )
    }
    assert provenance["runDetails"]["builder"]["id"].startswith("acct:")

    (elsewhere.debian / "stale").write_text("libc6 1.0\n", encoding="utf-8")
    refused = elsewhere.build("--config=release")
    assert refused.returncode
    assert "libc6 1.0 is pinned, but another version is in the image" in refused.stderr

    (elsewhere.checkout / "new").touch()
    assert "?? new" in elsewhere.build("--config=release").stderr
