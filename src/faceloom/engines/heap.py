"""The heap of the C library, which engines on the host's memory leave pages in."""

import ctypes
import sys

_M_MMAP_THRESHOLD = -3  # malloc.h
_LARGEST_KEPT_BYTES = 32 << 20  # the most that glibc takes


def trim_heap() -> None:
    """Has the C library give free pages back; other systems' libraries do that by themselves."""
    if sys.platform == "linux":
        ctypes.CDLL(None).malloc_trim(0)


def keep_freed() -> None:
    """Has the C library keep large blocks that are freed, for the next of about their size; Linux, elsewhere nothing.

    By itself it has the system map each large block, page by page, and take it back: a tenth of the time of a video of
    1080p (measured). In exchange, holes stay between blocks that differ in size.
    """
    if sys.platform == "linux":
        ctypes.CDLL(None).mallopt(_M_MMAP_THRESHOLD, _LARGEST_KEPT_BYTES)
