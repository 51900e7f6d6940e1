"""Usage: how much memory this process holds."""

import os
import re
import resource
import sys
from functools import lru_cache
from pathlib import Path

from faceloom.units import KIB

_PROCESS = Path("/proc/self")
_FORGET_PEAK = "5"  # man proc, clear_refs
_RESIDENT, _DATA = 1, 5  # man proc, /proc/pid/statm
_STATM_BYTES = 256
"""More than its seven numbers take."""
_PAGE_BYTES = resource.getpagesize()


def held_bytes(pid: int | None = None) -> int:
    """How many bytes of RAM this process, or another one, holds now; 0 if the system does not tell."""
    return _statm(_RESIDENT, pid)


def peak_bytes(pid: int | None = None) -> int:
    """The most bytes of RAM that this process has held at once, since it began or since `reset_peak`.

    Of another one 0 if the system does not tell.
    """
    # Not getrusage: there a process starts with the peak of the one that started it.
    held = _status("VmHWM", pid)
    if held is not None or pid is not None:
        return held or 0
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak if sys.platform == "darwin" else peak * KIB  # the unit differs: man getrusage


class ProcessMemory:
    """What this process holds of the host's memory, in the words in which engines speak of a device's."""

    @property
    def held_bytes(self) -> int:
        return held_bytes()

    @property
    def peak_bytes(self) -> int:
        return peak_bytes()

    def reset_peak(self) -> None:
        reset_peak()


def address_bytes() -> int:
    """How many bytes of writable address space this process has, which RLIMIT_DATA counts; 0 if not known."""
    return _statm(_DATA)


def reset_peak() -> None:
    """Makes `peak_bytes` begin again at what is held now; does nothing where the system cannot."""
    try:
        (_PROCESS / "clear_refs").write_text(_FORGET_PEAK)
    except OSError:
        return


def _statm(field: int, pid: int | None = None) -> int:
    """One of the sizes that cost a process least to be asked for: 13 microseconds by way of a `Path` (measured), 6 by a
    file that is opened for it, 2 by one that stays open, as that of this process does.
    """
    try:
        if pid is None:
            told = os.pread(_own_statm(os.getpid()), _STATM_BYTES, 0)
        else:
            with open(f"/proc/{pid}/statm", "rb", buffering=0) as file:  # noqa: PTH123
                told = file.read()
        return int(told.split()[field]) * _PAGE_BYTES
    except (OSError, IndexError):  # not Linux, or the process is gone
        return 0


@lru_cache(maxsize=1)
def _own_statm(pid: int) -> int:
    """An open file that tells of this process; of its child another one does."""
    return os.open(f"/proc/{pid}/statm", os.O_RDONLY)


def _status(field: str, pid: int | None = None) -> int | None:
    try:
        text = (Path(f"/proc/{pid}/status") if pid else _PROCESS / "status").read_text()
    except OSError:  # not Linux, or the process is gone
        return None
    found = re.search(rf"^{field}:\s+(\d+) kB$", text, re.MULTILINE)
    return int(found[1]) * KIB if found else None
