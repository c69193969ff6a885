"""Tests of the launcher of a py_binary, and of the interpreter that it starts."""

import importlib
import json
import os
import shutil
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

PROBE = Path("bazel/python/launcher_probe").absolute()


def _start(probe: Path | str, arguments: Sequence[str] = (), **environment: str) -> dict[str, Any]:
    with subprocess.Popen([probe, *arguments], stdout=subprocess.PIPE, env=os.environ | environment) as process:
        stdout, _ = process.communicate()
        assert process.returncode == 7
        report: dict[str, Any] = json.loads(stdout)
        assert report["pid"] == process.pid, "signals would reach another process"
        return report


def test_arguments_are_passed_unchanged() -> None:
    arguments = ["", "two words", "*", "$HOME", "'", '"', "-x", "--", "a:b", "line\nbreak", "ü"]
    assert _start(PROBE, arguments)["arguments"] == arguments


def test_a_program_starts_from_any_folder_and_through_links(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    absolute = tmp_path / "with a space"
    absolute.symlink_to(PROBE)
    relative = tmp_path / "relative"
    relative.symlink_to("with a space")
    monkeypatch.chdir(tmp_path)
    for name in (absolute, relative, Path("./relative")):
        _start(name)


def test_a_program_in_the_runfiles_of_another_program_starts_by_a_relative_name(tmp_path: Path) -> None:
    # A test starts programs in its data this way: they are in the test's runfiles and have no runfiles folder.
    runfiles = tmp_path / "other.runfiles"
    runfiles.mkdir()
    for repository in Path(os.environ["RUNFILES_DIR"]).iterdir():
        if repository.name != PROBE.relative_to(os.environ["RUNFILES_DIR"]).parts[0]:
            (runfiles / repository.name).symlink_to(repository)
    copy = runfiles / PROBE.relative_to(os.environ["RUNFILES_DIR"])
    copy.parent.mkdir(parents=True)
    shutil.copy(PROBE, copy)
    shutil.copy("bazel/python/launcher_probe.py", copy.parent)
    finished = subprocess.run(["./launcher_probe"], cwd=copy.parent, capture_output=True, text=True, check=False)
    assert finished.returncode == 7, finished.stderr


def test_python_variables_in_the_environment_are_ignored() -> None:
    clean = _start(PROBE)
    leaky = {"PYTHONPATH": "/somewhere/else", "PYTHONSAFEPATH": "", "PYTHONHOME": "/nowhere"}
    assert _start(PROBE, **leaky)["path"] == clean["path"]


def test_modules_come_only_from_the_runfiles_and_the_interpreter() -> None:
    report = _start(PROBE)
    runfiles = os.environ["RUNFILES_DIR"]
    for entry in report["path"]:
        assert entry.startswith((runfiles, report["prefix"])), entry
    assert os.path.dirname(PROBE) not in report["path"]  # noqa: PTH120


def test_without_runfiles_the_error_says_how_to_run_the_program(tmp_path: Path) -> None:
    alone = tmp_path / "alone"
    shutil.copy(PROBE, alone)
    finished = subprocess.run([alone], capture_output=True, text=True, check=False)
    assert finished.returncode == 1
    assert finished.stderr == f"{alone}: cannot find {alone}.runfiles: build and run this program with Bazel\n"


def test_sys_executable_starts_the_same_interpreter() -> None:
    code = "import sys; print(sys.version, sys.prefix, sep='|')"
    child = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert child.stdout == f"{sys.version}|{sys.prefix}\n"


def test_a_virtual_environment_of_the_interpreter_works(tmp_path: Path) -> None:
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", tmp_path], check=True)
    code = "import sys; print(sys.prefix)"
    inside = subprocess.run([tmp_path / "bin/python3", "-c", code], capture_output=True, text=True, check=True)
    assert inside.stdout.rstrip() == str(tmp_path)


@pytest.mark.parametrize("module", ["bz2", "ctypes", "decimal", "hashlib", "lzma", "sqlite3", "ssl", "uuid", "zlib"])
def test_the_standard_library_finds_its_shared_libraries(module: str) -> None:
    importlib.import_module(module)
