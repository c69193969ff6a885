"""How many processors a container is allowed, by its cgroup: https://docs.kernel.org/admin-guide/cgroup-v2.html."""

import os
from collections.abc import Callable, Iterator
from pathlib import Path


def cpu_limit(root: Path = Path("/")) -> int:
    """Return how many processors' worth this process may use, rounded down, 1 at least.

    Args:
        root: of the file system that tells.
    """
    cores = len(os.sched_getaffinity(0))
    return max(1, int(min([cores, *_quotas(root)])))


def _quotas(root: Path) -> Iterator[float]:
    """Yield what each of the groups that this process is in allows all that are in it."""
    for line in _text(root / "proc/self/cgroup").splitlines():
        _, controllers, path = line.split(":", 2)
        if not controllers:
            yield from _of_each(root / "sys/fs/cgroup", path, _version_2)
        elif "cpu" in controllers.split(","):
            yield from _of_each(root / "sys/fs/cgroup/cpu", path, _version_1)


def _of_each(mount: Path, path: str, quota: Callable[[Path], float | None]) -> Iterator[float]:
    # Within a container the path may be that of the host, and its own group at the mount.
    group = Path(path.lstrip("/"))
    for folder in {mount / part for part in (group, *group.parents)}:
        found = quota(folder)
        if found:
            yield found


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
