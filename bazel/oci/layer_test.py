"""Tests of the content of a layer."""

import marshal
import tarfile
from pathlib import Path, PurePosixPath

import pytest

from bazel.oci import layer


def test_a_layer_is_sorted_without_dates_and_owned_by_root(tmp_path: Path) -> None:
    contents = {PurePosixPath("app/b.txt"): b"text", PurePosixPath("app/a/program"): b"\x7fELF..."}
    layer.write(contents, tmp_path / "layer.tar")
    with tarfile.open(tmp_path / "layer.tar") as archive:
        entries = archive.getmembers()
    assert [(entry.name, entry.mode, entry.isdir()) for entry in entries] == [
        ("app", 0o755, True),
        ("app/a", 0o755, True),
        ("app/a/program", 0o755, False),
        ("app/b.txt", 0o644, False),
    ]
    assert {(entry.uid, entry.gid, entry.uname, entry.gname, entry.mtime) for entry in entries} == {(0, 0, "", "", 0)}


def test_the_order_of_the_files_does_not_change_the_layer(tmp_path: Path) -> None:
    for name in ("a.py", "b.py"):
        (tmp_path / name).write_text(f"NAME = {name!r}\n", encoding="utf-8")
    files = [(f"app/{name}", tmp_path / name) for name in ("a.py", "b.py")]
    for number, order in enumerate((files, files[::-1])):
        layer.write(layer.collect(order), tmp_path / f"{number}.tar")
    assert (tmp_path / "0.tar").read_bytes() == (tmp_path / "1.tar").read_bytes()


def test_a_module_has_unchecked_bytecode_with_its_path_in_the_image(tmp_path: Path) -> None:
    (tmp_path / "module.py").write_text("ANSWER = 42\n", encoding="utf-8")
    contents = layer.collect([("app/module.py", tmp_path / "module.py")])
    [cached] = [place for place in contents if place.suffix == ".pyc"]
    assert cached.parent == PurePosixPath("app/__pycache__")
    header, code = contents[cached][:16], contents[cached][16:]
    assert int.from_bytes(header[4:8], "little") == 1  # by hash, unchecked: https://peps.python.org/pep-0552/
    assert marshal.loads(code).co_filename == "/app/module.py"


def test_two_files_with_the_same_path_are_an_error_unless_they_are_equal(tmp_path: Path) -> None:
    for name, text in (("a", "1"), ("b", "1"), ("c", "2")):
        (tmp_path / name).write_text(text, encoding="utf-8")
    assert len(layer.collect([("app/x", tmp_path / "a"), ("app/x", tmp_path / "b")])) == 1
    with pytest.raises(layer.CollisionError, match="/app/x"):
        layer.collect([("app/x", tmp_path / "a"), ("app/x", tmp_path / "c")])
