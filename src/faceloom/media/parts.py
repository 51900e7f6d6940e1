"""Files of which only parts are here: each lies where it is in the file, with holes between; a list tells of them."""

import errno
import json
from bisect import bisect_right
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TypeAlias

from faceloom.errors import MediaError

ByteRange: TypeAlias = tuple[int, int]
"""The first byte, and the first after the last."""
NOT_HERE = "needs a part of the video that was not fetched"
_SUFFIX = ".parts"
_COPY_BYTES = 1 << 20
_STAT_BLOCK_BYTES = 512
"""In which blocks are counted, whatever those of the disk are (POSIX, sys/stat.h, as systems do it)."""


@dataclass(frozen=True, slots=True)
class Parts:
    """What is here of a file."""

    ranges: tuple[ByteRange, ...]
    """In order, with something between any two."""

    def require(self, first: int | None, size: int) -> None:
        """Raises an error unless these bytes are here.

        Raises:
            MediaError: they are not.
        """
        if first is not None:
            place = bisect_right(self.ranges, (first, first)) - 1
            for begin, end in self.ranges[max(0, place) : place + 2]:
                if begin <= first and first + size <= end:
                    return
        raise MediaError(NOT_HERE) from OSError(errno.EIO, "these bytes were not fetched")


def joined_ranges(ranges: Iterable[ByteRange], *, gap: int = 0) -> tuple[ByteRange, ...]:
    """The same bytes in as few ranges as can be, in order, and those of gaps of at most `gap` between them."""
    joined: list[ByteRange] = []
    for begin, end in sorted(one for one in ranges if one[0] < one[1]):
        if joined and begin <= joined[-1][1] + gap:
            joined[-1] = (joined[-1][0], max(joined[-1][1], end))
        else:
            joined.append((begin, end))
    return tuple(joined)


def without_ranges(ranges: Iterable[ByteRange], others: Iterable[ByteRange]) -> tuple[ByteRange, ...]:
    """What of some ranges is in none of others."""
    left = list(joined_ranges(ranges))
    for first, stop in others:
        cut = ((begin, min(end, first)) for begin, end in left), ((max(begin, stop), end) for begin, end in left)
        left = [one for part in cut for one in part if one[0] < one[1]]
    return joined_ranges(left)


def total_bytes(ranges: Sequence[ByteRange]) -> int:
    """How long ranges that do not overlap are together."""
    return sum(end - begin for begin, end in ranges)


def write_parts(path: Path, ranges: Iterable[ByteRange]) -> None:
    """Notes what is here of a file."""
    _beside(path).write_text(json.dumps(joined_ranges(ranges)))


def parts_of(path: Path) -> Parts | None:
    """What is here of a file; None if all of it is."""
    try:
        told = json.loads(_beside(path).read_text())
    except (FileNotFoundError, NotADirectoryError):
        return None
    return Parts(tuple((int(begin), int(end)) for begin, end in told))


def copy_parts(path: Path, to: Path, ranges: Iterable[ByteRange]) -> tuple[ByteRange, ...]:
    """Copies what is here of these bytes to where they are in another file that is there; which are not here."""
    parts = parts_of(path)
    if parts is None or not path.exists():
        return joined_ranges(ranges)
    missing = without_ranges(ranges, parts.ranges)
    with path.open("rb") as file, to.open("r+b") as copy:
        for begin, end in without_ranges(ranges, missing):
            file.seek(begin)
            copy.seek(begin)
            for at in range(begin, end, _COPY_BYTES):
                copy.write(file.read(min(_COPY_BYTES, end - at)))
    return missing


def move_parts(path: Path, to: Path) -> None:
    """Puts a file of parts in the place of another."""
    _beside(path).replace(_beside(to))
    path.replace(to)


def remove_parts(path: Path) -> None:
    """Removes a file and what tells of it."""
    path.unlink(missing_ok=True)
    _beside(path).unlink(missing_ok=True)


def held_on_disk(path: Path) -> int:
    """The bytes that a file takes of its disk; holes take none, where the file system has such."""
    return path.stat().st_blocks * _STAT_BLOCK_BYTES


def _beside(path: Path) -> Path:
    return path.with_name(path.name + _SUFFIX)
