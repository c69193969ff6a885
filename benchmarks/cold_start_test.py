"""Tests that bytecode is removed from an image as the table of the benchmark says."""

from pathlib import Path

from benchmarks import cold_start


def test_strip_removes_all_bytecode_that_is_not_to_be_kept(tmp_path: Path) -> None:
    folders = [Path("app/server/__pycache__"), Path("app/site-packages/grpc/__pycache__"), Path("usr/lib/__pycache__")]
    for folder in folders:
        (tmp_path / folder).mkdir(parents=True)
        (tmp_path / folder / "module.pyc").touch()
        (tmp_path / folder.with_name("module.py")).touch()
    cold_start.strip(tmp_path, lambda folder: folder.is_relative_to("app/site-packages"))
    assert [folder for folder in folders if (tmp_path / folder).exists()] == [folders[1]]
    assert len(list(tmp_path.rglob("*.py"))) == len(folders)
