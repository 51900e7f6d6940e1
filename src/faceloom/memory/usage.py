"""How much memory processes hold."""

import re
import resource
import sys
from pathlib import Path

from faceloom.units import KIB

_STATUS = Path("/proc/self/status")


def peak_bytes() -> int:
    """Most bytes of RAM that this process has held at once so far."""
    try:
        # Not getrusage: there a process starts with the peak of the one that started it.
        (held,) = re.findall(r"^VmHWM:\s+(\d+) kB$", _STATUS.read_text(), re.MULTILINE)
        return int(held) * KIB
    except (OSError, ValueError):  # not Linux
        peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        return peak if sys.platform == "darwin" else peak * KIB  # the unit differs: man getrusage
