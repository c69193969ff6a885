"""What several workers are worth, where the load needs cores, too: each worker gets half a core, by a cgroup."""

import os
import statistics
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

from benchmarks import subjects
from benchmarks.load import Load, Work, pin
from testing import programs

_CONNECTIONS = 80  # the kernel gives each to one worker or the other: with few, one may have most
_PERIOD_MICROSECONDS = 100_000
_HALF = 0.5
_VERSION_1 = Path("/sys/fs/cgroup/cpu")
_VERSION_2 = Path("/sys/fs/cgroup")


@contextmanager
def _limited(process: int, cores: float) -> Iterator[None]:
    """Have a process get no more than so much of a core.

    Raises:
        OSError: this user may not say so, or there are no cgroups.
    """
    quota = int(cores * _PERIOD_MICROSECONDS)
    is_version_1 = (_VERSION_1 / "cpu.cfs_quota_us").exists()
    group = (_VERSION_1 if is_version_1 else _VERSION_2) / f"calculator-benchmark-{process}"
    group.mkdir()
    try:
        if is_version_1:
            (group / "cpu.cfs_period_us").write_text(str(_PERIOD_MICROSECONDS))
            (group / "cpu.cfs_quota_us").write_text(str(quota))
        else:
            (group / "cpu.max").write_text(f"{quota} {_PERIOD_MICROSECONDS}")
        (group / "cgroup.procs").write_text(str(process))
        yield
    finally:
        (group.parent / "cgroup.procs").write_text(str(process))
        group.rmdir()


def measure(load: Load, work: Work, rounds: int) -> dict[int, float]:
    """Return how many calls a second one and two workers answer, each on half a core: the medians of some rounds.

    Raises:
        OSError: cgroups are not for this user.
    """
    os.sched_setaffinity(0, range(os.cpu_count() or 1))
    speeds: dict[int, list[float]] = {1: [], 2: []}
    with ExitStack() as stack:
        servers = {}
        for count in speeds:
            command: list[str | Path] = [programs.SERVER, f"--workers={count}", "--log-format=json"]
            servers[count] = stack.enter_context(subjects.running(subjects.Subject(f"{count} workers", command)))
            first = servers[count].process.pid
            for core, process in enumerate(_workers(first) or [first]):
                pin(process, core)
                stack.enter_context(_limited(process, _HALF))
        for counts in [False] + [True] * rounds:
            for count, server in servers.items():
                speed = load.keep_up(work, server.port, _CONNECTIONS)
                if counts:
                    speeds[count].append(speed)
                server.forget_log()
    return {count: statistics.median(each) for count, each in speeds.items()}


def _workers(process: int) -> list[int]:
    return [int(child) for child in Path(f"/proc/{process}/task/{process}/children").read_text("ascii").split()]
