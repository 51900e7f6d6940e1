"""The heap of the C library, which engines on the host's memory leave pages in."""

import ctypes
import sys


def trim_heap() -> None:
    """Has the C library give free pages back; other systems' libraries do that by themselves."""
    if sys.platform == "linux":
        ctypes.CDLL(None).malloc_trim(0)
