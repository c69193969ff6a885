"""Tests of `programs`: it waits for a program, but never for processes that the program leaves behind."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from testing import programs, timeouts

# Starts a process that keeps the pipes open for longer than any test lasts, and prints its PID. With an argument, the
# process has its own session.
LEAVES_A_CHILD = """
import subprocess, sys, time
child = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(3600)"], start_new_session=len(sys.argv) > 1)
print(child.pid, flush=True)
"""


def test_run_does_not_wait_for_a_child_left_behind_and_kills_it() -> None:
    finished = programs.run([sys.executable, "-c", LEAVES_A_CHILD + "print('done')"])
    child, said = finished.stdout.split()
    assert (finished.returncode, said) == (0, "done")
    programs.eventually(lambda: programs.has_ended(int(child)))


def test_run_reports_output_and_stack_of_a_program_that_times_out_and_kills_its_child(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    script = tmp_path / "script.py"
    script.write_text(LEAVES_A_CHILD + "def waits():\n    time.sleep(3600)\nwaits()\n", encoding="utf-8")
    seconds = round(4 * timeouts.SLOWDOWN)
    monkeypatch.setattr(timeouts, "SECONDS", seconds)
    with pytest.raises(AssertionError, match=f"did not exit within {seconds} s") as failed:
        programs.run([sys.executable, script])
    monkeypatch.undo()
    child = int(str(failed.value).partition("stdout '")[2].partition("\\n")[0])
    assert "in waits" in str(failed.value)
    programs.eventually(lambda: programs.has_ended(child))


@pytest.mark.parametrize("arguments", [[], ["session"]])
def test_started_kills_the_program_and_its_child_when_the_block_ends(arguments: list[str]) -> None:
    code = LEAVES_A_CHILD + "time.sleep(3600)"
    with programs.started([sys.executable, "-c", code, *arguments], stdout=subprocess.PIPE) as program:
        child = int(programs.read_until(program))
    assert program.returncode < 0
    programs.eventually(lambda: programs.has_ended(child))


def test_started_kills_the_child_of_a_child() -> None:
    code = "import subprocess, sys; subprocess.run([sys.executable, *sys.argv[1:]])"
    child = ["-c", LEAVES_A_CHILD + "time.sleep(3600)", "session"]
    with programs.started([sys.executable, "-c", code, *child], stdout=subprocess.PIPE) as program:
        grandchild = int(programs.read_until(program))
    programs.eventually(lambda: programs.has_ended(grandchild))


def test_read_until_stops_after_the_text_and_leaves_the_rest() -> None:
    code = "print('one\\ntwo ü three')"
    with programs.started([sys.executable, "-X", "utf8", "-c", code], stdout=subprocess.PIPE) as program:
        assert programs.read_until(program) == "one\n"
        assert programs.read_until(program, "ü") == "two ü"
        assert program.communicate(timeout=timeouts.SECONDS)[0] == " three\n"


def test_read_until_reports_the_output_of_a_program_that_ends_without_the_text() -> None:
    with (
        programs.started([sys.executable, "-c", "print('other')"], stdout=subprocess.PIPE) as program,
        pytest.raises(AssertionError, match=r"did not write 'text', but 'other\\n', before it closed"),
    ):
        programs.read_until(program, "text")


def test_read_until_reports_the_output_of_a_program_that_times_out(monkeypatch: pytest.MonkeyPatch) -> None:
    code = "import time; print('one\\ntwo', end='', flush=True); time.sleep(3600)"
    with programs.started([sys.executable, "-c", code], stdout=subprocess.PIPE) as program:
        programs.read_until(program)
        monkeypatch.setattr(timeouts, "SECONDS", 1)
        with pytest.raises(AssertionError, match="did not write 'text', but 'two', within 1 s"):
            programs.read_until(program, "text")


def test_run_passes_standard_input_and_added_variables() -> None:
    code = "import os, sys; print(sys.stdin.read() + os.environ['ADDED']); sys.exit(3)"
    finished = programs.run([sys.executable, "-c", code], standard_input="in ", ADDED="ü")
    assert (finished.stdout, finished.stderr, finished.returncode) == ("in ü" + os.linesep, "", 3)
