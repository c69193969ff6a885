"""Tests of protoc: packages that collide, and the real compiler."""

from pathlib import Path

import pytest

from testing import programs
from tools.protoc import protoc


@pytest.mark.parametrize(
    ("package", "other"),
    [
        ("math", "the module math of Python's standard library"),
        ("types", "the module types of Python's standard library"),
        ("statistics", "the module statistics of Python's standard library"),
        ("client", "the folder client/ of this repository"),
        ("server", "the folder server/ of this repository"),
        ("grpc", "the installed package grpc"),
    ],
)
def test_a_package_that_collides_fails_the_build_with_a_sentence(package: str, other: str, tmp_path: Path) -> None:
    (tmp_path / package).mkdir()
    (tmp_path / package / "x.proto").write_text('syntax = "proto3";', encoding="utf-8")
    command = ["tools/protoc/protoc", f"-I{tmp_path}", f"--python_out={tmp_path}", f"{package}/x.proto"]
    finished = programs.run(command)
    assert finished.returncode == 1
    assert finished.stderr == (
        f"{package}/x.proto: its Python package '{package}' collides with {other};"
        " move it to a folder with another name\n"
    )


@pytest.mark.parametrize("proto", ["calculator/v1/calculator.proto", "math.proto", "google/rpc/status.proto"])
def test_other_packages_do_not_collide(proto: str) -> None:
    assert list(protoc.collisions([proto])) == []


def test_all_folders_of_the_repository_with_python_are_known() -> None:
    folders = {file.parts[0] for file in Path().rglob("*.py") if len(file.parts) > 1 and "_stubs/" not in str(file)}
    assert folders - {"external", "third_party"} <= protoc.OWN_PACKAGES
