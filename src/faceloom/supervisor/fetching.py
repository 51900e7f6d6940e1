"""Fetching: remote inputs come in waves, each in the scratch while it is done and the next one is fetched."""

import shutil
import threading
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from types import TracebackType
from typing import Self

from faceloom.errors import BudgetError, MediaError
from faceloom.media.mp4_head import SUFFIXES, find_head
from faceloom.media.parts import ByteRange, copy_parts, held_on_disk, remove_parts, write_parts
from faceloom.media.remote import ChangedError, RemoteFile, in_words, patiently
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
_LARGE_BYTES = 32 * MIB
"""Smaller videos are fetched whole, whatever is wanted of them."""
_HEAD_BYTES = 16 * MIB
"""What the index of a large video counts; that of two hours takes 3 MB."""
_CHANGES = 3
"""How often an object may change while it is fetched."""
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
class InPart:
    """A video of which the index is in the scratch, and parts are to be fetched as they are needed."""

    source: Source
    remote: RemoteFile
    head: tuple[ByteRange, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Wave:
    """Objects that are in the scratch together."""

    found: tuple[Found, ...] = ()
    unfetched: tuple[Unfetched, ...] = ()
    in_part: tuple[InPart, ...] = ()


class Fetcher:
    """Fetches objects into a folder, some waves of them one after the other; to be used in a `with` block."""

    def __init__(
        self,
        remote: Iterator[RemoteFile],
        folder: Path,
        *,
        most_bytes: int,
        is_wanted: Callable[[RemoteFile], bool],
        is_excerpt: bool = False,
    ) -> None:
        """Fetches what is wanted of `remote` to below the result folder, `most_bytes` at most at any time.

        Of large videos only the index, if they are larger than half of that, or if an excerpt of them is asked for.
        """
        self._remote = remote
        self._folder = folder
        self.most_bytes = most_bytes // 2  # one wave is done while the next is fetched
        self._in_part_bytes = min(self.most_bytes, _LARGE_BYTES) if is_excerpt else self.most_bytes
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
                found=tuple(one for one in found if not isinstance(one, Unfetched | InPart)),
                unfetched=tuple(one for one in found if isinstance(one, Unfetched)),
            )
            yield wave
            for one in wave.found:
                one.path.unlink(missing_ok=True)
            if in_part := tuple(one for one in found if isinstance(one, InPart)):
                yield Wave(in_part=in_part)

    def _begin(self, limit: int) -> list["Future[Found | Unfetched | InPart]"]:
        """Begins to fetch the objects of a wave."""
        begun: list[Future[Found | Unfetched | InPart]] = []
        total = 0
        while len(begun) < limit:
            remote = self._ahead or next(self._remote, None)
            self._ahead = None
            if remote is None:
                break
            if not self._is_wanted(remote):
                continue
            in_part = self._is_for_parts(remote)
            size = _HEAD_BYTES if in_part else remote.size_bytes or _UNKNOWN_BYTES
            if begun and total + size > self.most_bytes:
                self._ahead = remote
                break
            total += size
            begun.append(self._pool.submit(self._fetched_in_part if in_part else self.fetched, remote))
        return begun

    def _is_for_parts(self, remote: RemoteFile) -> bool:
        """Whether only parts of an object are to be fetched, if its container and its server allow that."""
        return (
            remote.files is not None
            and not remote.files.is_archive
            and (remote.size_bytes or 0) > self._in_part_bytes
            and PurePosixPath(remote.address.url.partition("?")[0]).suffix.lower() in SUFFIXES
        )

    def _fetched_in_part(self, remote: RemoteFile) -> Found | Unfetched | InPart:
        """The index of a video as it lies in the scratch; or all of it, if it has none that can be had."""
        path = scratch_file(self._folder, remote.address.url)
        assert remote.files is not None
        files, size = remote.files, remote.size_bytes or 0

        def find() -> tuple[ByteRange, ...]:
            return find_head(lambda first, stop: files.read(remote.path, first, stop), size)

        try:
            head = patiently(find, self._stop)
            self.fetch_ranges(remote, path, head, known=path)
            kind, _ = kind_or_why(path)
        except Exception as error:  # whatever a file system raises
            remove_parts(path)
            return self.fetched(remote, why_whole=in_words(error))
        if kind is not SourceKind.VIDEO or held_on_disk(path) > self.most_bytes:
            remove_parts(path)
            return self.fetched(remote, why_whole="the disk knows no files with holes")
        source = Source(name=remote.name, path=path, kind=kind, address=remote.address)
        return InPart(source=source, remote=remote, head=head)

    def fetch_ranges(self, remote: RemoteFile, path: Path, ranges: Sequence[ByteRange], *, known: Path) -> None:
        """Writes parts of an object to a new file as long as all of it; those that are in a known one are copied.

        Raises:
            ChangedError: the object is another now.
            Exception: whatever a file system raises.
        """
        assert remote.files is not None
        patiently(remote.require_same, self._stop)
        with path.open("wb") as file:
            file.truncate(remote.size_bytes)
        missing = copy_parts(known, path, ranges)
        try:
            remote.files.fetch_ranges(remote.path, path, missing, stop=self._stop)
        finally:
            patiently(remote.require_same, self._stop)
        write_parts(path, ranges)

    def begin_ranges(
        self, remote: RemoteFile, path: Path, ranges: Sequence[ByteRange], *, known: Path
    ) -> "Future[None]":
        """The same meanwhile."""
        return self._pool.submit(self.fetch_ranges, remote, path, ranges, known=known)

    def fetched(self, remote: RemoteFile, *, why_whole: str = "") -> Found | Unfetched:
        """An object as it lies in the scratch, all of it."""
        path = scratch_file(self._folder, remote.address.url)
        source = Source(name=remote.name, path=path, kind=SourceKind.PICTURE, address=remote.address)
        promised = by_suffix(path.suffix)
        if promised not in _PROMISING:
            return PassedOver(name=remote.name, path=Path("/", remote.address.url), why=str(promised))
        try:
            remote = self._fetch_as_it_is(remote, path)
        except Exception as error:  # whatever a file system raises
            path.unlink(missing_ok=True)
            why = remote.problem or in_words(error)
            more = f"; nor in parts: {why_whole}" if why_whole else ""
            return Unfetched(source, f"cannot be fetched: {why}{more}")
        kind, why = kind_or_why(path)
        if kind is None:
            path.unlink(missing_ok=True)
            return PassedOver(name=remote.name, path=Path("/", remote.address.url), why=why)
        return Source(name=remote.name, path=path, kind=kind, address=remote.address)

    def _fetch_as_it_is(self, remote: RemoteFile, path: Path) -> RemoteFile:
        """Fetches an object whole; one that changes meanwhile as it is then, which is what comes back."""
        for _ in range(_CHANGES):
            try:
                self._fetch(remote, path)
                return remote
            except ChangedError:
                remote = patiently(remote.now, self._stop)
            except MediaError:
                raise
            except Exception as error:
                now = _now(remote)
                if now is None or now.address == remote.address:
                    raise error
                remote = now
        raise ChangedError("it changes again and again")

    def _fetch(self, remote: RemoteFile, path: Path) -> None:
        """Fetches an object whole."""
        if remote.files is None or remote.problem is not None:
            raise MediaError(remote.problem or "it is nowhere")
        files = remote.files

        def fetch() -> None:
            size = files.fetch(remote.path, path, most_bytes=self.most_bytes, stop=self._stop)
            if remote.size_bytes is not None and size != remote.size_bytes:
                raise OSError(f"{size:,} bytes came, not {remote.size_bytes:,}")

        patiently(fetch, self._stop)


def _now(remote: RemoteFile) -> RemoteFile | None:
    """An object as it is now; None if that cannot be told."""
    try:
        return remote.now()
    except Exception:  # whatever a file system raises
        return None
