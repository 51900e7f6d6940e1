"""How much memory processes hold."""

import resource
import sys


def peak_bytes() -> int:
    """Most bytes of RAM that this process has held at once so far."""
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak if sys.platform == "darwin" else peak * 1024  # the unit differs: man getrusage
