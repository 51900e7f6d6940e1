"""Inputs: what a job is given, named one by one or by a list, and which part of that is its own."""

import os
import sys
import tempfile
import weakref
from collections.abc import Iterator
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, field
from fractions import Fraction
from pathlib import Path
from typing import IO, BinaryIO

from faceloom.errors import RequestError
from faceloom.media.numbered import USUAL_RATE
from faceloom.media.remote import RemoteFile, find_remote, is_remote, listed_name, without_secrets
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

    def entries(self) -> Iterator[str]:
        """The paths and addresses, in order; empty entries are none.

        Raises:
            RequestError: it cannot be read, or an entry is longer than a path can be.
        """
        try:
            with self._opened() as file:
                for entry in self._entries(file):
                    if entry:
                        yield os.fsdecode(entry)
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


class AddressSpool:
    """Addresses in a temporary file, so that memory does not grow with their number."""

    def __init__(self) -> None:
        self._file: IO[bytes] | None = None

    def add(self, address: str) -> None:
        """One more address."""
        if self._file is None:
            self._file = tempfile.TemporaryFile()  # noqa: SIM115  # closed with its last reference
            weakref.finalize(self, self._file.close)
        self._file.write(os.fsencode(address) + b"\0")

    def __bool__(self) -> bool:
        return self._file is not None

    def __iter__(self) -> Iterator[str]:
        if self._file is None:
            return
        self._file.seek(0)
        rest = b""
        while block := self._file.read(_BLOCK_BYTES):
            *entries, rest = (rest + block).split(b"\0")
            yield from map(os.fsdecode, entries)


@dataclass(frozen=True, slots=True, kw_only=True)
class Inputs:
    """What a job is given."""

    roots: tuple[Path, ...] = ()
    """Files, and folders with everything below them."""
    listed: FileList | None = None
    """More of them, whose names are their paths."""
    shard: Shard | None = None
    """The part of all that is this job's own; None: all."""

    found: tuple[Found, ...] = ()
    """What has been come across already, of a wave of remote files."""
    remote: tuple[str, ...] = ()
    """Addresses: objects, all below a prefix, or the members of an archive."""
    rate: Fraction = USUAL_RATE
    """Frames a second of numbered pictures."""
    spool: AddressSpool = field(default_factory=AddressSpool, repr=False, compare=False)
    """Where the addresses of the list are kept until its files are found."""

    @property
    def has_remote(self) -> bool:
        """Whether some of it is elsewhere, as far as the list has been read."""
        return bool(self.remote or self.spool)

    def find(self) -> Iterator[Found]:
        """What there is of it on this machine, in a fixed order; to be gone through once."""
        yield from self.found
        yield from find_inputs(self.roots, is_wanted=self._is_own)
        if self.listed is not None:
            yield from find_listed(self._paths(self.listed), is_wanted=self._is_own)

    def find_remote(self) -> Iterator[RemoteFile]:
        """What there is of it elsewhere, in a fixed order; to be gone through once, after `find`.

        Raises:
            RequestError: what it takes to read an address is not installed.
            MediaError: an address cannot be listed.
        """
        for address in self.remote:
            yield from (one for one in find_remote(address) if self._is_own(one.name))
        for address in self.spool:
            yield from (one for one in find_remote(address, prefix=listed_name(address)) if self._is_own(one.name))

    def _paths(self, listed: FileList) -> Iterator[Path]:
        for entry in listed.entries():
            if is_remote(entry):
                self.spool.add(entry)
            else:
                yield Path(entry)

    def _is_own(self, name: str) -> bool:
        return self.shard is None or name in self.shard

    def __str__(self) -> str:
        listed = [f"the entries of {self.listed.path}"] if self.listed else []
        return ", ".join([*map(str, self.roots), *map(without_secrets, self.remote), *listed])
