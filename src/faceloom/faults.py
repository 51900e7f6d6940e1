"""Faults: whose fault it is that something could not be done, as far as an error tells."""

import errno
from collections.abc import Iterator
from enum import StrEnum


class Fault(StrEnum):
    """Why something failed that may well be done the next time; none: it is the input's own fault."""

    MEMORY = "memory"
    MACHINE = "machine"
    """A refused open, a full disk, a decoder or module that is missing."""


_REFUSALS = frozenset(
    [
        errno.EACCES,
        errno.EPERM,
        errno.EMFILE,
        errno.ENFILE,
        errno.ENOENT,
        errno.EIO,
        errno.ENOSPC,
        errno.EDQUOT,
        errno.ESTALE,
        errno.EAGAIN,
        errno.EBUSY,
        errno.ETIMEDOUT,
        errno.ENXIO,
        errno.ENODEV,
    ]
)
_FULL = frozenset([errno.ENOSPC, errno.EDQUOT, errno.EFBIG])
_MISSING_DECODERS = frozenset(["DecoderNotFoundError", "DemuxerNotFoundError", "FilterNotFoundError"])  # PyAV's
_BREAKAGES = (TypeError, AttributeError, ImportError, NameError)


def fault_of(error: BaseException) -> Fault | None:
    """The fault behind an error; None where nothing speaks against the input itself."""
    for one in chain_of(error):
        if isinstance(one, MemoryError):
            return Fault.MEMORY
        if isinstance(one, ImportError) or type(one).__name__ in _MISSING_DECODERS:
            return Fault.MACHINE
        if isinstance(one, OSError) and one.errno in _REFUSALS:
            return Fault.MACHINE
    return None


def is_breakage(error: BaseException) -> bool:
    """Whether an error is of a kind that the libraries of a whole installation raise hardly ever."""
    return any(isinstance(one, _BREAKAGES) for one in chain_of(error))


def is_refused_library(error: BaseException) -> bool:
    """Whether a library could not be loaded for want of memory, which is an ImportError too."""
    return isinstance(error, ImportError) and ("map segment" in str(error) or "allocate memory" in str(error))


def is_full(error: BaseException) -> bool:
    """Whether there was no room: the disk is full, or files may not grow."""
    return isinstance(error, OSError) and error.errno in _FULL


def limit_in_words(error: BaseException) -> str | None:
    """The limit of this machine, or of this account, that an error tells of, and what to do; None for other errors."""
    number = error.errno if isinstance(error, OSError) else None
    if number in {errno.EMFILE, errno.ENFILE}:
        return f"too many files are open ({error}); raise the limit (ulimit -n)"
    if number == errno.EAGAIN or (isinstance(error, RuntimeError) and "start new thread" in str(error)):
        return f"no further process or thread can be started ({error}); raise the limit (ulimit -u), or use --threads 1"
    if number == errno.ENOMEM or isinstance(error, MemoryError):
        return "there is no memory left for this; end other programs, or raise the limit (ulimit -v)"
    if is_refused_library(error):
        return f"there is no memory to load a library ({error}); raise the limit (ulimit -v)"
    return None


def chain_of(error: BaseException | None) -> Iterator[BaseException]:
    """An error, what it was raised from, and so on."""
    while error is not None:
        yield error
        error = error.__cause__
