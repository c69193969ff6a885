"""Tests of loading an image: the choice of the engine, and the archive that it gets."""

import io
import json
import os
import re
import tarfile
from pathlib import Path

import pytest

from bazel.oci import archive, load
from bazel.oci.fake_image import layout_of
from bazel.oci.layout import Layout
from testing import programs, timeouts


@pytest.fixture
def layout(tmp_path: Path) -> Layout:
    equal = {"empty": b""}
    return layout_of(tmp_path / "layout", {"app": {"program": b"\x7fELF"}, "one": equal, "other": equal})


def test_the_archive_is_a_valid_image_for_another_tool(layout: Layout, tmp_path: Path) -> None:
    with (tmp_path / "archive.tar").open("wb") as file:
        archive.write(layout, ["some/name:tag"], file)
    validated = programs.run([os.environ["CRANE"], "validate", "--tarball", tmp_path / "archive.tar"])
    assert validated.returncode == 0, validated.stderr
    with tarfile.open(tmp_path / "archive.tar") as written:
        manifest = written.extractfile("manifest.json")
        assert manifest
        assert json.load(manifest)[0]["RepoTags"] == ["some/name:tag"]


def test_the_same_image_gives_the_same_archive(layout: Layout) -> None:
    first, second = io.BytesIO(), io.BytesIO()
    for stream in (first, second):
        archive.write(layout, ["name:tag"], stream)
    assert first.getvalue() == second.getvalue()


def _put_on_path(folder: Path, name: str, script: str) -> None:
    (folder / name).write_text(f"#!/bin/sh\n{script}\n", encoding="utf-8")
    (folder / name).chmod(0o755)


def test_the_first_engine_that_answers_is_used(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    _put_on_path(tmp_path, "docker", "echo no daemon >&2; exit 1")
    _put_on_path(tmp_path, "podman", "exit 0")
    assert load.choose(("docker", "podman")) == "podman"
    _put_on_path(tmp_path, "docker", "exit 0")
    assert load.choose(("docker", "podman")) == "docker"


def test_if_no_engine_answers_the_error_has_a_reason_for_each(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    _put_on_path(tmp_path, "docker", "echo Cannot connect to the Docker daemon >&2; exit 1")
    with pytest.raises(load.NoEngineError, match=r"docker: Cannot connect .*\n  podman: not on PATH\n"):
        load.choose(("docker", "podman"))


@pytest.mark.parametrize(
    ("script", "seconds", "reason"),
    [
        ("exec sleep 3600", 0.5, 'docker: "docker version" did not answer within'),
        ("printf '\\377' >&2; exit 1", timeouts.SECONDS, "docker: \ufffd"),
        ("exit 7", timeouts.SECONDS, "docker: exit status 7"),
    ],
)
def test_an_engine_that_hangs_or_fails_is_skipped(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, script: str, seconds: float, reason: str
) -> None:
    monkeypatch.setenv("PATH", f"{tmp_path}:{os.environ['PATH']}")
    monkeypatch.setattr(load, "_TIMEOUT_SECONDS", seconds)
    _put_on_path(tmp_path, "docker", script)
    with pytest.raises(load.NoEngineError, match=re.escape(reason)):
        load.choose(("docker",))


def test_an_engine_that_cannot_be_started_is_skipped(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    _put_on_path(tmp_path, "podman", "exit 0")
    (tmp_path / "docker").write_text("#!/no/such/interpreter\n", encoding="utf-8")
    (tmp_path / "docker").chmod(0o755)
    assert load.choose(("docker", "podman")) == "podman"
