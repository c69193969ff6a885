"""The CPU limit of a container, from its cgroup: https://docs.kernel.org/admin-guide/cgroup-v2.html."""

import os
from collections.abc import Callable, Iterator
from pathlib import Path


def cpu_limit(root: Path = Path("/")) -> int:
    """Return the number of CPUs that this process may use, rounded down, at least 1.

    Args:
        root: the root of the file system with /proc and /sys.
    """
    cores = len(os.sched_getaffinity(0))
    return max(1, int(min([cores, *_quotas(root)])))


def _quotas(root: Path) -> Iterator[float]:
    """Yield the quota, in CPUs, of each cgroup that contains this process."""
    for line in _text(root / "proc/self/cgroup").splitlines():
        _, controllers, path = line.split(":", 2)
        if not controllers:
            yield from _quotas_along(root / "sys/fs/cgroup", path, _version_2)
        elif "cpu" in controllers.split(","):
            yield from _quotas_along(root / "sys/fs/cgroup/cpu", path, _version_1)


def _quotas_along(mount: Path, path: str, quota: Callable[[Path], float | None]) -> Iterator[float]:
    # In a container, the path may be that on the host, while the container's own cgroup is at the mount point.
    group = Path(path.lstrip("/"))
    for folder in {mount / part for part in (group, *group.parents)}:
        found_quota = quota(folder)
        if found_quota:
            yield found_quota


def _version_2(folder: Path) -> float | None:
    quota, _, period = _text(folder / "cpu.max").partition(" ")
    return int(quota) / int(period) if quota.isdigit() else None


def _version_1(folder: Path) -> float | None:
    quota, period = (_text(folder / f"cpu.cfs_{name}_us") for name in ("quota", "period"))
    return int(quota) / int(period) if quota.strip().isdigit() else None


def _text(file: Path) -> str:
    try:
        return file.read_text("ascii")
    except OSError:
        return ""
