"""A supervisor of fake workers. tests/e2e/workers_test.py has the supervisor of real ones."""

import sys
from pathlib import Path

from testing import programs

# Does its work once, and fails ever after, before it is ready.
FAILS_LATER = """
import logging, os, sys
from pathlib import Path
from server.process.supervisor import Supervisor
logging.basicConfig(format="%(message)s")
mark = Path(sys.argv[1])
def work(say_ready):
    if mark.exists():
        return 3
    mark.touch()
    say_ready()
    return 4
print(Supervisor(1, work, lambda: print("ready")).run())
"""

# There is no room for a process the first time.
NO_ROOM = """
import logging, os, signal, sys
from server.process import supervisor
logging.basicConfig(format="%(message)s")
supervisor._LONGEST_WAIT_SECONDS = 0.1
fork, tries = os.fork, []
def try_to_fork():
    tries.append(1)
    if len(tries) == 1:
        raise BlockingIOError("no room")
    return fork()
os.fork = try_to_fork
def work(say_ready):
    say_ready()
    signal.sigwait([signal.SIGTERM])
    return 0
print(supervisor.Supervisor(1, work, lambda: os.kill(os.getpid(), signal.SIGTERM)).run())
"""


def _run(program: str, folder: Path) -> list[str]:
    """Run a program of a supervisor; return what it printed, and what it logged."""
    finished = programs.run([sys.executable, "-c", program, str(folder / "mark")], PYTHONPATH=":".join(sys.path))
    assert finished.returncode == 0, finished.stderr
    return [finished.stdout, finished.stderr]


def test_what_cannot_be_started_five_times_in_a_row_ends_the_supervisor_after_longer_and_longer_waits(
    tmp_path: Path,
) -> None:
    printed, logged = _run(FAILS_LATER, tmp_path)
    assert printed == "ready\n3\n"
    waits = [0.1, 0.2, 0.4, 0.8, 1.6]
    places = [f"another takes its place in {wait:g} s" for wait in waits]
    assert logged.splitlines()[:-1] == [
        f"Worker 0 ended with status {code}; {place}" for code, place in zip([4, 3, 3, 3, 3], places, strict=True)
    ]
    assert logged.splitlines()[-1] == "Worker 0 ended with status 3, and cannot be started"


def test_where_there_is_no_room_for_a_process_it_is_tried_again(tmp_path: Path) -> None:
    printed, logged = _run(NO_ROOM, tmp_path)
    assert printed == "0\n"
    assert logged.splitlines()[0] == "Worker 0 cannot be started: no room"
