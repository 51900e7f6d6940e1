"""The heap of the C library, in which engines on the host leave free pages."""

import ctypes
import sys

_M_MMAP_THRESHOLD = -3  # malloc.h
LARGEST_KEPT_BYTES = 8 << 20
"""The largest block that a heap keeps when it is freed: a frame of 1080p is one.

Holes of larger ones are no longer small beside what a worker holds, and how many there are differs from run to run
(measured: up to three frames of 4K, of 24 MiB each).
"""


def trim_heap() -> None:
    """Makes the C library give free pages back to the system; libraries of other systems do that by themselves."""
    if sys.platform == "linux":
        ctypes.CDLL(None).malloc_trim(0)


class _HeapSizes(ctypes.Structure):
    """struct mallinfo2 of malloc.h: ten sizes, of which the ninth is what is free."""

    _fields_ = tuple(
        (name, ctypes.c_size_t)
        for name in (
            "arena",
            "ordblks",
            "smblks",
            "hblks",
            "hblkhd",
            "usmblks",
            "fsmblks",
            "uordblks",
            "fordblks",
            "keep",
        )
    )


def hole_bytes() -> int:
    """How many bytes of the C library's heap are free between blocks in use; 0 where it does not tell (glibc 2.33)."""
    tell = getattr(ctypes.CDLL(None), "mallinfo2", None) if sys.platform == "linux" else None
    if tell is None:
        return 0
    tell.restype = _HeapSizes
    return int(tell().fordblks)


def keep_freed() -> None:
    """Makes the C library keep blocks that are freed, up to a size, for the next ones of about theirs; on Linux only.

    By itself it has the system map each large block, page by page, and take it back: a tenth of the time of a video of
    1080p (measured). In exchange, holes stay between blocks that differ in size.
    """
    if sys.platform == "linux":
        ctypes.CDLL(None).mallopt(_M_MMAP_THRESHOLD, LARGEST_KEPT_BYTES)
