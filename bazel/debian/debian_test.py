"""Tests of debian_packages in a real Bazel: the warning and the list `stale`, for pins that are and are not served."""

import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import pytest

from bazel.debian.fake_mirror import SUITE, FileServer, Mirror, build
from testing import nested_bazel

RULES = ("bazel/debian/debian.bzl", "bazel/debian/fetch.sh", "tools/apt/apt.sh")
TIMESTAMP = "20260102T030405Z"
REPOSITORY = """
debian_packages(
    name = "{name}",
    build_file_content = 'exports_files(["stale", "root/usr/share/{package}/text"])',
    lock = "//:{name}.lock",
)
"""
# The package that each repository pins.
PINNED = {"served": "alpha", "archived": "beta", "gone": "gamma"}


class Built(NamedTuple):
    """The result of a build.

    Attributes:
        done: the exit status and output of Bazel.
        external: the folder with the external repositories.
    """

    done: subprocess.CompletedProcess[str]
    external: Path

    def read(self, repository: str, file: str) -> str:
        """Read a file of a repository."""
        return (self.external / repository / file).read_text(encoding="utf-8")


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Built]:
    """Build three repositories with one pin each: on the mirror, only in the archive, and on neither."""
    folder = tmp_path_factory.mktemp("nested")
    workspace = folder / "workspace"
    for rule in RULES:
        file = workspace / rule
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_bytes(Path(rule).read_bytes())
        file.chmod(0o755)
        file.with_name("BUILD.bazel").touch()
    old, new = (
        {name: build(folder / f"{name}_{version}", name, version) for name in PINNED.values()} for version in ("1", "2")
    )
    repositories = [REPOSITORY.format(name=name, package=package) for name, package in PINNED.items()]
    load = 'load("//bazel/debian:debian.bzl", "debian_packages")\n'
    (workspace / "WORKSPACE").write_text(load + "".join(repositories), encoding="utf-8")
    (workspace / "BUILD.bazel").touch()
    for name, package in PINNED.items():
        lock = f"suite {SUITE}\nsnapshot {TIMESTAMP}\n{old[package].pin}\n"
        (workspace / f"{name}.lock").write_text(lock, encoding="utf-8")
    (folder / "apt").mkdir()
    (folder / "apt.conf").write_text(f'Dir::Etc "{folder}/apt";\n', encoding="utf-8")
    with (
        Mirror() as mirror,
        FileServer() as archive,
        nested_bazel.opened(workspace, folder / "output") as bazel,
    ):
        mirror.publish(old["alpha"], new["beta"], new["gamma"])
        archive.files[f"{TIMESTAMP}/{old['beta'].path}"] = old["beta"].content
        done = bazel.run(
            *("build", "--noenable_bzlmod", "--color=no", "--curses=no"),
            *(f"@{name}//:{file}" for name in PINNED for file in ("stale", f"root/usr/share/{PINNED[name]}/text")),
            APT_CONFIG=str(folder / "apt.conf"),
            DEBIAN_KEYRING=str(mirror.keyring(folder)),
            DEBIAN_MIRROR=mirror.url,
            DEBIAN_SNAPSHOT=archive.url,
        )
        assert done.returncode == 0, done.stderr
        yield Built(done, folder / "output/external")


@pytest.mark.parametrize("repository", ["served", "archived"])
def test_a_pin_that_is_served_is_used_without_a_warning(built: Built, repository: str) -> None:
    assert built.read(repository, f"root/usr/share/{PINNED[repository]}/text") == "1"
    assert built.read(repository, "stale") == ""
    assert f"{repository}.lock" not in built.done.stderr


def test_a_pin_that_is_not_served_is_listed_as_stale_and_warned_about(built: Built) -> None:
    assert built.read("gone", "root/usr/share/gamma/text") == "2"
    assert built.read("gone", "stale") == "gamma 1\n"
    warning = built.done.stderr
    assert "//:gone.lock: Neither the Debian mirror nor the snapshot archive http://127.0.0.1:" in warning
    assert "  gamma 1 (pinned): 2 (used)\n" in warning
    assert "run ./bazelw run //third_party/debian:lock" in warning
    assert "set DEBIAN_SNAPSHOT to " in warning
