"""The heap of the C library, in which engines on the host leave free pages."""

import ctypes
import sys

_M_MMAP_THRESHOLD = -3  # malloc.h
_LARGEST_KEPT_BYTES = 32 << 20  # the most that glibc takes


def trim_heap() -> None:
    """Makes the C library give free pages back to the system; libraries of other systems do that by themselves."""
    if sys.platform == "linux":
        ctypes.CDLL(None).malloc_trim(0)


def keep_freed() -> None:
    """Makes the C library keep large blocks that are freed, for the next ones of about their size; on Linux only.

    By itself it has the system map each large block, page by page, and take it back: a tenth of the time of a video of
    1080p (measured). In exchange, holes stay between blocks that differ in size.
    """
    if sys.platform == "linux":
        ctypes.CDLL(None).mallopt(_M_MMAP_THRESHOLD, _LARGEST_KEPT_BYTES)
