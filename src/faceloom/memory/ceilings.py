"""Ceilings that the system enforces: an allocation beyond them fails, in Python as in native code."""

import errno
import resource

from faceloom.memory.usage import address_bytes, held_bytes
from faceloom.units import MIB

_OPENCV_NO_MEMORY = -4  # cv::Error::StsNoMem
_HOLES_BYTES = 96 * MIB
"""Address space that is reserved and not filled: stacks, and the heap's holes, which a trim empties and does not unmap
(measured: up to 120 MiB more than what is held, after some changes of phase). A process that does less has none."""


def is_out_of_memory(error: BaseException) -> bool:
    """Whether an error says that memory was refused, in whatever words."""
    return (
        isinstance(error, MemoryError)
        or getattr(error, "errno", None) == errno.ENOMEM
        or (type(error).__module__ == "cv2" and getattr(error, "code", None) == _OPENCV_NO_MEMORY)
    )


def limit_process(worker_bytes: int, *, holes_bytes: int = _HOLES_BYTES) -> None:
    """Limits this process to about `worker_bytes` of RAM; on systems other than Linux it does nothing.

    RLIMIT_DATA counts writable address space, used or not, so the limit is set to what the process has of that now
    and the RAM it may still take. An allocation beyond it raises MemoryError, or what native code makes of that.
    """
    present = address_bytes()
    if not present:
        return
    more = max(0, worker_bytes - held_bytes())
    _, hard = resource.getrlimit(resource.RLIMIT_DATA)
    wanted = present + more + holes_bytes
    resource.setrlimit(resource.RLIMIT_DATA, (wanted if hard == resource.RLIM_INFINITY else min(wanted, hard), hard))
