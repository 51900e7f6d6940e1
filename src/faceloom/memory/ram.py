"""How much RAM this process may still take: the machine's, or less where a control group limits it (Linux).

A limit holds for everything below it, so the tightest of a process's own group and all groups above it counts.
Swap is not counted: a batch that is swapped out is as good as lost.
"""

import math
import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from faceloom.units import KIB, MIB

LEAST_RESERVE_BYTES = 512 * MIB
"""The least that a default budget leaves to the rest of a machine that has as much to spare."""
SMALL_RESERVE_SHARE = 0.25
"""The share of its total that a default budget leaves to the rest of a small machine: below 2 GiB this is less."""
RESERVE_SHARE = 0.10
"""The share of its total that a default budget leaves to the rest of a large machine."""

CGROUP_ROOT = Path("/sys/fs/cgroup")
CGROUPS_OF_PROCESS = Path("/proc/self/cgroup")
_MEMINFO = Path("/proc/meminfo")


@dataclass(frozen=True, slots=True, kw_only=True)
class Ram:
    """How much RAM there is."""

    total_bytes: int
    """The machine's, or the tightest limit of a cgroup if that is less."""
    available_bytes: int
    """What could be taken now without swapping or being killed."""
    is_limited: bool
    """Whether a cgroup gives less than the machine has."""


def read_ram(meminfo: Path = _MEMINFO, cgroup: Path = CGROUP_ROOT, process: Path = CGROUPS_OF_PROCESS) -> Ram | None:
    """Reads how much RAM there is now; None if the system does not tell (`machine_bytes` may still know the total)."""
    try:
        fields = dict(line.split(":", 1) for line in meminfo.read_text().splitlines())
        total, available = (int(fields[name].split()[0]) * KIB for name in ("MemTotal", "MemAvailable"))
    except (OSError, KeyError, ValueError):
        return None
    rooms = [room for group in groups("memory", cgroup, process) if (room := _room(group)) and room[0] < total]
    return Ram(
        total_bytes=min([total, *(limit for limit, _ in rooms)]),
        available_bytes=min([available, *(left for _, left in rooms)]),
        is_limited=bool(rooms),
    )


def default_budget_bytes(ram: Ram) -> int:
    """What a run may take if nothing was asked for: all that is available less a reserve, never below 0.

    The reserve, for the rest of the machine and for what is not measured, is a tenth of the total, but at least 512 MiB
    or a quarter of the total where that is less. 512 MiB are for a desktop or a service beside the run, and a machine
    or container of less than 2 GiB has no such thing; a quarter is for what others and page tables take there, and
    leaves 285 MiB of a container of 400 MiB, in which the default flow runs.
    """
    total = ram.total_bytes
    least = min(LEAST_RESERVE_BYTES, math.ceil(total * SMALL_RESERVE_SHARE))
    return max(0, ram.available_bytes - max(least, round(total * RESERVE_SHARE)))


def machine_bytes() -> int | None:
    """All RAM of the machine, also on systems that do not tell how much of it is free; None if it is not known."""
    try:
        return os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    except (AttributeError, OSError, ValueError):  # Windows has no sysconf, other systems lack a name
        return None


def groups(controller: str, root: Path = CGROUP_ROOT, process: Path = CGROUPS_OF_PROCESS) -> Iterator[Path]:
    """Folders of the cgroups, of both versions, that may limit this process: the root's first, its own last.

    Args:
        controller: as the first version names it: "memory", "cpu".
        root: where the second version is mounted, or the folder of the first version's mounts, or both.
        process: the file that says which groups this process is in.

    Source: man 7 cgroups, "/proc/pid/cgroup".
    """
    mounts = {root: "/", root / controller: "/"}
    try:
        memberships = [line.split(":", 2) for line in process.read_text().splitlines()]
    except OSError:
        memberships = []
    for _, controllers, path in memberships:
        if not controllers:  # the second version; beside the first it is mounted apart
            mounts |= {root: path, root / "unified": path}
        elif controller in controllers.split(","):
            mounts |= {root / controller: path, root / controllers: path}
    for mount, path in mounts.items():
        yield from _lineage(mount, path)


def _lineage(mount: Path, path: str) -> Iterator[Path]:
    names = PurePosixPath(path).parts[1:]
    if ".." in names:  # the group is outside what is mounted here
        names = ()
    # In a container the mount may begin at the container's own group, while the path begins at the machine's.
    while names and not (mount / names[0]).is_dir():
        names = names[1:]
    yield mount
    for name in names:
        mount /= name
        yield mount


def _room(group: Path) -> tuple[int, int] | None:
    """Limit of a group and what is left of it, in bytes; None without a limit."""
    # At memory.high the second version begins to throttle, which a run would not survive in any useful time.
    limits = [_number(group / name) for name in ("memory.max", "memory.high", "memory.limit_in_bytes")]
    known = [limit for limit in limits if limit is not None]
    if not known:
        return None
    used = _number(group / "memory.current") or _number(group / "memory.usage_in_bytes") or 0
    # Cached file pages count as used but are given up when memory is asked for; those in active use hardly.
    return min(known), max(0, min(known) - max(0, used - _inactive_file_bytes(group)))


def _number(path: Path) -> int | None:
    try:
        return int(path.read_text())
    except (OSError, ValueError):  # not there, or "max"
        return None


def _inactive_file_bytes(group: Path) -> int:
    try:
        fields = dict(line.split() for line in (group / "memory.stat").read_text().splitlines())
        # Only the first version has both: there the other name leaves out the groups below.
        return int(fields.get("total_inactive_file") or fields.get("inactive_file") or 0)
    except (OSError, ValueError):
        return 0
