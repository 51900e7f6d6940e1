"""How many cores this process may use."""

import os
from pathlib import Path

_CGROUP_CPU_MAX = Path("/sys/fs/cgroup/cpu.max")


def usable_cores() -> int:
    """Cores by affinity, or fewer if a cgroup limits them."""
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    try:
        quota, period = _CGROUP_CPU_MAX.read_text().split()
        limit = max(1, round(int(quota) / int(period)))
    except (OSError, ValueError):  # no cgroup, or no limit ("max")
        return cores
    return min(cores, limit)
