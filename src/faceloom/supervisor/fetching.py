"""Fetching: remote inputs come in waves, each in the scratch while it is done and the next one is fetched."""

import shutil
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Self

from faceloom.errors import BudgetError, MediaError
from faceloom.media.remote import RemoteFile, in_words, patiently
from faceloom.media.sniffing import Content, by_suffix
from faceloom.media.sources import Found, PassedOver, Source, SourceKind, kind_or_why
from faceloom.store.scratch import scratch_file
from faceloom.units import GIB, MIB, format_bytes

_THREADS = 4
_FILES_A_WAVE = (64, 512, 2048)
"""The first waves are small, so that there is something to do soon."""
_UNKNOWN_BYTES = 64 * MIB
"""What an object counts of whose size nothing tells."""
_SCRATCH_BYTES = 10 * GIB
_PROMISING = frozenset([Content.PICTURE, Content.VIDEO, Content.UNKNOWN])


def scratch_bytes_below(folder: Path, asked_bytes: int | None) -> int:
    """How much of the disk below a result folder fetched files may take: what is asked for, or the usual.

    Raises:
        BudgetError: the disk has less.
    """
    free = shutil.disk_usage(folder).free
    if asked_bytes is None:
        return min(_SCRATCH_BYTES, free // 2)
    if asked_bytes > free:
        message = f"the scratch is to take {format_bytes(asked_bytes)}, and {folder} has room for {format_bytes(free)}"
        raise BudgetError(f"{message}; lower --scratch", needed_bytes=asked_bytes, budget_bytes=free)
    return asked_bytes


@dataclass(frozen=True, slots=True)
class Unfetched:
    """An object that could not be fetched, and why."""

    source: Source
    reason: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Wave:
    """Objects that are in the scratch together."""

    found: tuple[Found, ...]
    unfetched: tuple[Unfetched, ...]


class Fetcher:
    """Fetches objects into a folder, some waves of them one after the other; to be used in a `with` block."""

    def __init__(
        self,
        remote: Iterator[RemoteFile],
        folder: Path,
        *,
        most_bytes: int,
        is_wanted: Callable[[RemoteFile], bool],
    ) -> None:
        """Fetches what is wanted of `remote` to below the result folder, `most_bytes` at most at any time."""
        self._remote = remote
        self._folder = folder
        self._most_bytes = most_bytes // 2  # one wave is done while the next is fetched
        self._is_wanted = is_wanted
        self._ahead: RemoteFile | None = None
        self._stop = threading.Event()
        self._pool = ThreadPoolExecutor(_THREADS, thread_name_prefix="fetch")

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._stop.set()
        self._pool.shutdown(wait=True, cancel_futures=True)

    def waves(self) -> Iterator[Wave]:
        """The waves, in order; the files of one go when the next one is asked for."""
        sizes = iter(_FILES_A_WAVE)
        limit = next(sizes)
        begun = self._begin(limit)
        while begun:
            found = [future.result() for future in begun]
            limit = next(sizes, limit)
            begun = self._begin(limit)
            wave = Wave(
                found=tuple(one for one in found if not isinstance(one, Unfetched)),
                unfetched=tuple(one for one in found if isinstance(one, Unfetched)),
            )
            yield wave
            for one in wave.found:
                one.path.unlink(missing_ok=True)

    def _begin(self, limit: int) -> list["Future[Found | Unfetched]"]:
        """Begins to fetch the objects of a wave."""
        begun: list[Future[Found | Unfetched]] = []
        total = 0
        while len(begun) < limit:
            remote = self._ahead or next(self._remote, None)
            self._ahead = None
            if remote is None:
                break
            if not self._is_wanted(remote):
                continue
            size = remote.size_bytes or _UNKNOWN_BYTES
            if begun and total + size > self._most_bytes:
                self._ahead = remote
                break
            total += size
            begun.append(self._pool.submit(self._fetched, remote))
        return begun

    def _fetched(self, remote: RemoteFile) -> Found | Unfetched:
        """An object as it lies in the scratch."""
        path = scratch_file(self._folder, remote.address.url)
        source = Source(name=remote.name, path=path, kind=SourceKind.PICTURE, address=remote.address)
        promised = by_suffix(path.suffix)
        if promised not in _PROMISING:
            return PassedOver(name=remote.name, path=Path("/", remote.address.url), why=str(promised))
        try:
            self._fetch(remote, path)
        except Exception as error:  # whatever a file system raises
            path.unlink(missing_ok=True)
            why = remote.problem or in_words(error)
            return Unfetched(source, f"cannot be fetched: {why}")
        kind, why = kind_or_why(path)
        if kind is None:
            path.unlink(missing_ok=True)
            return PassedOver(name=remote.name, path=Path("/", remote.address.url), why=why)
        return Source(name=remote.name, path=path, kind=kind, address=remote.address)

    def _fetch(self, remote: RemoteFile, path: Path) -> None:
        """Fetches an object whole."""
        if remote.files is None or remote.problem is not None:
            raise MediaError(remote.problem or "it is nowhere")
        files = remote.files

        def fetch() -> None:
            size = files.fetch(remote.path, path, most_bytes=self._most_bytes, stop=self._stop)
            if remote.size_bytes is not None and size != remote.size_bytes:
                raise OSError(f"{size:,} bytes came, not {remote.size_bytes:,}")

        patiently(fetch, self._stop)
