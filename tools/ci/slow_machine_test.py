"""Tests of slow_machine.sh with a folder in place of the kernel's control groups, which need root."""

from pathlib import Path

from testing import programs

SLOW_MACHINE = "tools/ci/slow_machine.sh"


def _content(folder: Path) -> dict[str, str]:
    return {file.name: file.read_text("utf-8").strip() for file in folder.iterdir()}


def test_a_third_of_a_core_is_set_with_cgroup_v2(tmp_path: Path) -> None:
    (tmp_path / "cgroup.controllers").touch()
    finished = programs.run([SLOW_MACHINE, "123", tmp_path])
    assert (finished.returncode, finished.stderr) == (0, "")
    assert _content(tmp_path / "third") == {"cgroup.procs": "123", "cpu.max": "33333 100000"}
    assert (tmp_path / "cgroup.subtree_control").read_text(encoding="utf-8") == "+cpu\n"


def test_a_third_of_a_core_is_set_with_cgroup_v1(tmp_path: Path) -> None:
    finished = programs.run([SLOW_MACHINE, "123", tmp_path])
    assert (finished.returncode, finished.stderr) == (0, "")
    expected = {"cgroup.procs": "123", "cpu.cfs_period_us": "100000", "cpu.cfs_quota_us": "33333"}
    assert _content(tmp_path / "cpu/third") == expected


def test_a_missing_pid_is_named_in_the_error() -> None:
    finished = programs.run([SLOW_MACHINE])
    assert finished.returncode
    assert "the PID of a process is missing, such as $$" in finished.stderr
