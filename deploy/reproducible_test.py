"""The image is the same to the byte when another Bazel builds it, elsewhere, from nothing but what was fetched.

A Bazel inside of Bazel's own sandbox: with an output base of its own, and with an interpreter that was compiled and
packed once more in another folder. There is no network, so the packages are those that the Bazel around it fetched.
"""

import os
import shutil
import subprocess
from pathlib import Path

import pytest

PYTHON = "python3.13"
BASE = Path("../debian/base.tar")
# Where the repositories are that the Bazel around this test has fetched.
FETCHED = BASE.resolve().parents[1]
TOOLBOX = Path("/usr/share/bazel/toolbox.bazelrc")


@pytest.fixture
def checkout(tmp_path: Path) -> Path:
    """Copy the sources, without what Bazel has built beside them."""

    def built(folder: str, names: list[str]) -> list[str]:
        links = [name for name in names if Path(folder, name).is_symlink()]
        return [name for name in links if "bazel-out" in Path(folder, name).resolve().parts]

    return Path(shutil.copytree(".", tmp_path / "checkout", ignore=built))


@pytest.fixture
def debian(tmp_path: Path) -> Path:
    """Make the interpreter's repository once more, from its unpacked packages, in a folder of another name."""
    folder = tmp_path / "debian"
    shutil.copytree(FETCHED / "debian", folder, symlinks=True, ignore=shutil.ignore_patterns("base.tar", "__pycache__"))
    for script in ("compile_stdlib.sh", "image_base.sh"):
        program = Path("bazel/debian", script).absolute()
        extra = ["base.tar"] if script == "image_base.sh" else []
        subprocess.run([program, "root", PYTHON, *extra], cwd=folder, check=True)
    return folder


def _bazel() -> list[str]:
    """Return the command of the Bazel that is around, or of one like it."""
    program = shutil.which("bazel") or shutil.which("bazelisk")
    assert program, f"no bazel on a test's PATH, {os.environ['PATH']}; BAZELW=toolbox ./bazelw test has one"
    return [program, f"--bazelrc={TOOLBOX}"] if TOOLBOX.exists() else [program]


def test_the_base_is_the_same_when_it_is_packed_elsewhere(debian: Path) -> None:
    assert (debian / "base.tar").read_bytes() == BASE.read_bytes()


def test_another_output_base_has_the_same_image(checkout: Path, debian: Path, tmp_path: Path) -> None:
    repositories = {folder.name: folder for folder in FETCHED.iterdir() if folder.is_dir()} | {"debian": debian}
    del repositories["bazel_tools"]  # is Bazel's own
    finished = subprocess.run(
        [
            *_bazel(),
            *("--batch", f"--output_user_root={tmp_path}/user", f"--output_base={tmp_path}/output"),
            *("build", "--spawn_strategy=local", "--symlink_prefix=built/"),
            *(f"--override_repository={name}={folder}" for name, folder in repositories.items()),
            "//deploy:image",
        ],
        cwd=checkout,
        env=os.environ | {"HOME": str(Path.home())},
        capture_output=True,
        text=True,
        check=False,
    )
    assert finished.returncode == 0, finished.stderr
    again = checkout / "built/bin/deploy/image/index.json"
    assert str(again.resolve()).startswith(f"{tmp_path}/output/")
    assert again.read_bytes() == Path("deploy/image/index.json").read_bytes()
