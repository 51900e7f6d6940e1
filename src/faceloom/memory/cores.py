"""Cores: how many of them this process may use."""

import os
from pathlib import Path

from faceloom.memory.ram import CGROUP_ROOT, CGROUPS_OF_PROCESS, groups


def usable_cores(cgroup: Path = CGROUP_ROOT, process: Path = CGROUPS_OF_PROCESS) -> int:
    """The number of cores by affinity, or fewer if a cgroup of the process gives less time; at least 1."""
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    shares = [share for group in groups("cpu", cgroup, process) if (share := _share(group)) is not None]
    return min([cores, *(max(1, round(share)) for share in shares)])


def _share(group: Path) -> float | None:
    """Cores' worth of time that a group may use; None without a limit."""
    try:
        if (group / "cpu.max").exists():
            quota, period = (group / "cpu.max").read_text().split()
        else:
            quota, period = ((group / f"cpu.cfs_{name}_us").read_text() for name in ("quota", "period"))
        return int(quota) / int(period) if int(quota) > 0 else None
    except (OSError, ValueError, ZeroDivisionError):  # no such file, or no limit ("max")
        return None
