"""Compares one and two workers. The load needs cores too, so a cgroup limits each worker to half a core."""

import os
import statistics
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

from benchmarks import servers
from benchmarks.load import Load, Workload, pin
from testing import programs

_CONNECTIONS = 80  # the kernel assigns each connection to a worker; with only a few, one worker may get most of them
_PERIOD_MICROSECONDS = 100_000
_HALF = 0.5
_VERSION_1 = Path("/sys/fs/cgroup/cpu")
_VERSION_2 = Path("/sys/fs/cgroup")


@contextmanager
def _limited(process: int, cores: float) -> Iterator[None]:
    """Limit a process to a number of cores, which may be a fraction, until the block ends.

    Raises:
        OSError: cgroups are not available, or this user may not create one.
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


def measure(load: Load, workload: Workload, rounds: int) -> dict[int, float]:
    """Return the median calls/s of one and two workers, with half a core for each worker.

    Raises:
        LoadError: not every call was answered as expected.
        OSError: cgroups are not available, or this user may not create one.
    """
    os.sched_setaffinity(0, range(os.cpu_count() or 1))
    speeds: dict[int, list[float]] = {1: [], 2: []}
    with ExitStack() as stack:
        running = {}
        for count in speeds:
            command: list[str | Path] = [programs.SERVER, f"--workers={count}", "--log-format=json"]
            running[count] = stack.enter_context(servers.running(servers.Server(f"{count} workers", command)))
            first = running[count].process.pid
            for core, process in enumerate(_workers(first) or [first]):
                pin(process, core)
                stack.enter_context(_limited(process, _HALF))
        for counts in [False] + [True] * rounds:
            for count, server in running.items():
                speed = load.measure_sustained_rate(workload, server.port, _CONNECTIONS)
                if counts:
                    speeds[count].append(speed)
                server.truncate_log()
    return {count: statistics.median(each) for count, each in speeds.items()}


def _workers(process: int) -> list[int]:
    return [int(child) for child in Path(f"/proc/{process}/task/{process}/children").read_text("ascii").split()]
