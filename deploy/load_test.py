"""Tests of //deploy:load, with scripts in place of container engines."""

import os
import tarfile
from pathlib import Path

from bazel.oci.layout import Layout
from testing import programs

LOAD = Path("deploy/load").absolute()


def _engine(folder: Path, name: str, script: str) -> str:
    (folder / name).write_text(f"#!/bin/sh\n{script}\n", encoding="utf-8")
    (folder / name).chmod(0o755)
    return f"{folder}:{os.environ['PATH']}"


def test_the_engine_gets_an_archive_of_the_image(tmp_path: Path) -> None:
    path = _engine(tmp_path, "podman", f'[ "$1" = version ] || {{ cat >{tmp_path}/$1.tar && echo loaded; }}')
    loaded = programs.run([LOAD, "--engine", "podman"], PATH=path)
    assert (loaded.returncode, loaded.stdout) == (0, "loaded\n"), loaded.stderr
    with tarfile.open(tmp_path / "load.tar") as archive:
        names = archive.getnames()
    manifest = Layout(Path("deploy/image")).manifest()
    blobs = [manifest["config"], *manifest["layers"]]
    assert {name.partition(".")[0] for name in names} == {"manifest", *(blob["digest"][7:] for blob in blobs)}


def test_the_exit_status_is_that_of_the_engine(tmp_path: Path) -> None:
    path = _engine(tmp_path, "docker", '[ "$1" = version ] || { echo no space left >&2; exit 5; }')
    loaded = programs.run([LOAD, "--engine", "docker"], PATH=path)
    assert (loaded.returncode, loaded.stderr) == (5, "no space left\nload: docker failed: exit status 5\n")


def test_without_an_engine_the_error_says_what_each_answered(tmp_path: Path) -> None:
    path = _engine(tmp_path, "docker", "echo 'Cannot connect to the Docker daemon' >&2; exit 1")
    loaded = programs.run([LOAD, "--engine", "docker"], PATH=path)
    assert (loaded.returncode, loaded.stdout) == (1, "")
    assert "no container engine answers:\n  docker: Cannot connect to the Docker daemon\n" in loaded.stderr
    assert "Traceback" not in loaded.stderr
