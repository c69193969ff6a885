"""A supervisor of fake workers. tests/e2e/workers_test.py tests one of real workers."""

import sys
from pathlib import Path

from testing import programs

# The worker becomes ready once, and then always fails before it is ready.
FAILS_AFTER_FIRST_START = """
import logging, os, sys
from pathlib import Path
from server.process.supervisor import Supervisor
logging.basicConfig(format="%(message)s")
mark = Path(sys.argv[1])
def work(notify_ready):
    if mark.exists():
        return 3
    mark.touch()
    notify_ready()
    return 4
print(Supervisor(1, work, lambda: print("ready")).run())
"""

# The first fork fails.
FORK_FAILS_ONCE = """
import logging, os, signal, sys
from server.process import supervisor
logging.basicConfig(format="%(message)s")
supervisor._MAX_BACKOFF_SECONDS = 0.1
fork, tries = os.fork, []
def try_to_fork():
    tries.append(1)
    if len(tries) == 1:
        raise BlockingIOError("fork failed")
    return fork()
os.fork = try_to_fork
def work(notify_ready):
    notify_ready()
    signal.sigwait([signal.SIGTERM])
    return 0
print(supervisor.Supervisor(1, work, lambda: os.kill(os.getpid(), signal.SIGTERM)).run())
"""


def _run(program: str, folder: Path) -> list[str]:
    """Run a program with a supervisor; return its stdout and stderr."""
    finished = programs.run([sys.executable, "-c", program, str(folder / "mark")], PYTHONPATH=":".join(sys.path))
    assert finished.returncode == 0, finished.stderr
    return [finished.stdout, finished.stderr]


def test_five_consecutive_failed_starts_with_backoff_end_the_supervisor(tmp_path: Path) -> None:
    printed, logged = _run(FAILS_AFTER_FIRST_START, tmp_path)
    assert printed == "ready\n3\n"
    waits = [0.1, 0.2, 0.4, 0.8, 1.6]
    assert logged.splitlines()[:-1] == [
        f"Worker 0 exited with status {code}; restarting in {wait:g} s"
        for code, wait in zip([4, 3, 3, 3, 3], waits, strict=True)
    ]
    assert logged.splitlines()[-1] == "Worker 0 exited with status 3; giving up"


def test_a_failed_fork_is_retried(tmp_path: Path) -> None:
    printed, logged = _run(FORK_FAILS_ONCE, tmp_path)
    assert printed == "0\n"
    assert logged.splitlines()[0] == "Cannot start worker 0: fork failed"
