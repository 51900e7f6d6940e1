"""How much RAM this process may still take: the machine's, or less where a cgroup limits it (Linux)."""

from dataclasses import dataclass
from pathlib import Path

from faceloom.units import KIB

_MEMINFO = Path("/proc/meminfo")
_CGROUP = Path("/sys/fs/cgroup")


@dataclass(frozen=True, slots=True, kw_only=True)
class Ram:
    """Bytes of RAM."""

    total_bytes: int
    """The machine's, or the cgroup's limit if that is less."""
    available_bytes: int
    """What could be taken now without swapping or being killed."""
    is_limited: bool
    """Whether a cgroup gives less than the machine has."""


def read_ram(meminfo: Path = _MEMINFO, cgroup: Path = _CGROUP) -> Ram | None:
    """What there is at this moment; None where the system does not tell."""
    try:
        fields = dict(line.split(":", 1) for line in meminfo.read_text().splitlines())
        total, available = (int(fields[name].split()[0]) * KIB for name in ("MemTotal", "MemAvailable"))
    except (OSError, KeyError, ValueError):
        return None
    limit = _number(cgroup / "memory.max") or _number(cgroup / "memory" / "memory.limit_in_bytes")
    used = _number(cgroup / "memory.current") or _number(cgroup / "memory" / "memory.usage_in_bytes") or 0
    if limit is None or limit >= total:
        return Ram(total_bytes=total, available_bytes=available, is_limited=False)
    # Cached file pages count as used, but are given up when memory is asked for.
    reclaimable = _inactive_file_bytes(cgroup)
    room = max(0, limit - used + reclaimable)
    return Ram(total_bytes=limit, available_bytes=min(available, room), is_limited=True)


def _number(path: Path) -> int | None:
    try:
        return int(path.read_text())
    except (OSError, ValueError):  # not there, or "max"
        return None


def _inactive_file_bytes(cgroup: Path) -> int:
    for path in (cgroup / "memory.stat", cgroup / "memory" / "memory.stat"):
        try:
            fields = dict(line.split() for line in path.read_text().splitlines())
            return int(fields.get("inactive_file", 0))
        except (OSError, ValueError):
            continue
    return 0
