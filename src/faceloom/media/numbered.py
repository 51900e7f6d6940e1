"""Numbered pictures: what a pattern like frame_%04d.png names is one video, each of whose frames is a file of its own.

A frame's index is its rank among the numbers; its time is told by its number, so that one that is missing leaves a gap.
Here too is what tells a source's content from another, be it a file or such pictures.
"""

import hashlib
import os
import re
from dataclasses import dataclass
from fractions import Fraction
from itertools import pairwise
from pathlib import Path

USUAL_RATE = Fraction(25)
"""Frames a second, if nobody says."""
_PLACE = re.compile(r"%(?:0(\d{1,2}))?d", re.ASCII)
_SHOWN = 6
"""Of the gaps among numbers, how many are told."""
_BLOCK_BYTES = 1 << 20
_TIME_BITS = 62


def is_pattern(path: Path) -> bool:
    """Whether a path has one place for a number in its name, and is that of no file."""
    return len(_PLACE.findall(path.name)) == 1 and not path.exists()


def rate_of(told: float | None) -> Fraction:
    """Frames a second as they were told in decimals."""
    return USUAL_RATE if told is None else Fraction(str(told))


@dataclass(frozen=True, slots=True)
class NumberedFile:
    """One of the pictures."""

    number: int
    path: Path
    size_bytes: int
    mtime_ns: int


def numbered_files(pattern: Path) -> list[NumberedFile]:
    """The files of a pattern, by their numbers; none where there is no such folder."""
    digits = _PLACE.findall(pattern.name)
    if len(digits) != 1:
        return []
    before, after = (re.escape(part) for part in _PLACE.sub("%d", pattern.name).split("%d"))
    width = int(digits[0] or 1)
    name = re.compile(rf"{before}(\d{{{width}}}|[1-9]\d{{{width},15}}){after}", re.ASCII)
    found = []
    try:
        with os.scandir(pattern.parent) as entries:
            for entry in entries:
                match = name.fullmatch(entry.name)
                if match and entry.is_file():
                    state = entry.stat()
                    found.append(NumberedFile(int(match[1]), Path(entry.path), state.st_size, state.st_mtime_ns))
    except OSError:
        return []
    return sorted(found, key=lambda one: one.number)


def gaps_among(files: list[NumberedFile]) -> str | None:
    """Which numbers are missing between the first and the last, in words."""
    gaps = [(one.number + 1, other.number - 1) for one, other in pairwise(files) if other.number > one.number + 1]
    if not gaps:
        return None
    missing = sum(last - first + 1 for first, last in gaps)
    words = [str(first) if first == last else f"{first} to {last}" for first, last in gaps[:_SHOWN]]
    more = f" and {len(gaps) - _SHOWN} more gaps" if len(gaps) > _SHOWN else ""
    return f"{missing:,} of the pictures are missing: {', '.join(words)}{more}; times go on over them"


def is_there(path: Path) -> bool:
    """Whether a source's file, or a picture of it, is there to be read: a pipe is none."""
    return path.is_file() or (is_pattern(path) and bool(numbered_files(path)))


def state_of(path: Path) -> tuple[int, int]:
    """Size and time of change of a source's file; of numbered pictures that of all, and what tells all their times.

    Raises:
        OSError: it is not there.
    """
    try:
        state = path.stat()
    except OSError:
        files = numbered_files(path)
        if not files:
            raise
        told = repr([(one.number, one.size_bytes, one.mtime_ns) for one in files]).encode()
        times = int.from_bytes(hashlib.sha256(told).digest()[:8]) >> (64 - _TIME_BITS)
        return sum(one.size_bytes for one in files), times
    return state.st_size, state.st_mtime_ns


def digest_of(path: Path) -> str:
    """The sha256 of a source's content: of its file, or of its pictures with their numbers.

    Raises:
        OSError: it cannot be read.
    """
    if not is_pattern(path):
        with path.open("rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest()
    digest = hashlib.sha256()
    for one in numbered_files(path):
        digest.update(f"{one.number} {one.size_bytes}\0".encode())
        with one.path.open("rb") as file:
            while block := file.read(_BLOCK_BYTES):
                digest.update(block)
    return digest.hexdigest()
