"""Inputs: what a job is given, named one by one or by a list, and which part of that is its own."""

import sys
from collections.abc import Iterator
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

from faceloom.errors import RequestError
from faceloom.media.shards import Shard
from faceloom.media.sources import Found, find_inputs, find_listed

STDIN = "-"
_BLOCK_BYTES = 1 << 16
_LONGEST_BYTES = 1 << 16
"""Of a path in a list: system calls take a sixteenth of it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class FileList:
    """A list of paths, which is read as far as it is asked for, and once."""

    path: Path
    """`-` for standard input."""
    is_null: bool = False
    """Whether entries end with a NUL character, and not with a line."""

    def paths(self) -> Iterator[Path]:
        """The paths, in order; empty entries are none.

        Raises:
            RequestError: it cannot be read, or an entry is longer than a path can be.
        """
        try:
            with self._opened() as file:
                for entry in self._entries(file):
                    if entry:
                        yield Path(entry.decode(sys.getfilesystemencoding(), "surrogateescape"))
        except OSError as error:
            raise RequestError(f"the list {self.path} cannot be read: {error.strerror}") from error

    def _opened(self) -> AbstractContextManager[BinaryIO]:
        return nullcontext(sys.stdin.buffer) if str(self.path) == STDIN else self.path.open("rb")

    def _entries(self, file: BinaryIO) -> Iterator[bytes]:
        end, rest = (b"\0" if self.is_null else b"\n"), b""
        while block := file.read(_BLOCK_BYTES):
            *entries, rest = (rest + block).split(end)
            if len(rest) > _LONGEST_BYTES:
                other = "a line" if self.is_null else "NUL characters"
                raise RequestError(f"the list {self.path} has an entry that is no path; do they end with {other}?")
            yield from map(self._stripped, entries)
        yield self._stripped(rest)

    def _stripped(self, entry: bytes) -> bytes:
        if not self.is_null and b"\0" in entry:
            raise RequestError(f"the list {self.path} has NUL characters; if its entries end with them, say so: -0")
        return entry if self.is_null else entry.removesuffix(b"\r")


@dataclass(frozen=True, slots=True, kw_only=True)
class Inputs:
    """What a job is given."""

    roots: tuple[Path, ...] = ()
    """Files, and folders with everything below them."""
    listed: FileList | None = None
    """More of them, whose names are their paths."""
    shard: Shard | None = None
    """The part of all that is this job's own; None: all."""

    def find(self) -> Iterator[Found]:
        """What there is of it, in a fixed order; to be gone through once."""
        yield from find_inputs(self.roots, is_wanted=self._is_own)
        if self.listed is not None:
            yield from find_listed(self.listed.paths(), is_wanted=self._is_own)

    def _is_own(self, name: str) -> bool:
        return self.shard is None or name in self.shard

    def __str__(self) -> str:
        told = [*map(str, self.roots), *([f"the entries of {self.listed.path}"] if self.listed else [])]
        return ", ".join(told)
