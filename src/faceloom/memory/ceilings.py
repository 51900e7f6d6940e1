"""Ceilings that the system enforces: an allocation beyond them fails, in Python as in native code."""

import errno
import resource

from faceloom.memory.usage import address_bytes, held_bytes, peak_bytes, reset_peak

_OPENCV_NO_MEMORY = -4  # cv::Error::StsNoMem


def is_out_of_memory(error: BaseException) -> bool:
    """Whether an error says that memory was refused, in whatever words."""
    return (
        isinstance(error, MemoryError)
        or getattr(error, "errno", None) == errno.ENOMEM
        or (type(error).__module__ == "cv2" and getattr(error, "code", None) == _OPENCV_NO_MEMORY)
    )


class ProcessCeiling:
    """Holds this process to so many bytes of RAM; on systems other than Linux it does nothing.

    RLIMIT_DATA counts writable address space, used or not, and the space of stacks, and of the holes that blocks leave
    when they are freed, is not RAM (measured: up to 120 MiB). So the limit is set anew before each step, to what the
    process has of space then and the RAM that it may still take: an allocation beyond that raises MemoryError, or what
    native code makes of it, before a page of it is touched. What a step can take without asking is holes in the heap,
    which are small since large blocks are mapped one by one.
    """

    def __init__(self, process_bytes: int = 0) -> None:
        """A ceiling of `process_bytes`; 0 is none."""
        self._process_bytes = process_bytes
        self.peak_bytes = 0
        """The most that was held before the system was last made to forget that."""
        self.tighten()

    def tighten(self, *, holes_bytes: int = 0) -> None:
        """Leaves to this process what lies between what it holds now and the ceiling.

        Less the holes in its heap, if their pages have just been given back: they are filled again without asking.
        """
        if self._process_bytes:
            self._leave(max(0, self._process_bytes - held_bytes() - holes_bytes))

    def forget_peak(self) -> None:
        """Has the system begin its peak again at what is held now, and remembers the one that ends here."""
        self.peak_bytes = max(self.peak_bytes, peak_bytes())
        reset_peak()

    def relax(self, more_bytes: int) -> None:
        """Leaves at least so much: for small things that have to be done, as to say what was too large."""
        if self._process_bytes:
            self._leave(max(more_bytes, self._process_bytes - held_bytes()))

    def _leave(self, more_bytes: int) -> None:
        present = address_bytes()
        if not present:
            return
        _, hard = resource.getrlimit(resource.RLIMIT_DATA)
        wanted = present + more_bytes
        resource.setrlimit(
            resource.RLIMIT_DATA, (wanted if hard == resource.RLIM_INFINITY else min(wanted, hard), hard)
        )


NO_CEILING = ProcessCeiling()
