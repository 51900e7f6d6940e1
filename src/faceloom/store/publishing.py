"""Publishing: a result folder is copied to where others read it, a bucket for one, also while a run goes on.

The store never lies on a share itself: what is copied is a snapshot of it, after the files that it names.
"""

import os
import sqlite3
import tempfile
import threading
from collections.abc import Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import closing, contextmanager
from dataclasses import asdict, dataclass
from itertools import islice
from pathlib import Path, PurePosixPath
from typing import Any

from faceloom.errors import FaceloomError, StoreError
from faceloom.events import NOT_PUBLISHED, Counting, Notice, OnEvent
from faceloom.media.remote import RemoteFolder
from faceloom.options.stages import PathLike
from faceloom.store.database import connect
from faceloom.store.file_intake import files_of
from faceloom.store.folder import DATABASE
from faceloom.store.given_folders import GivenFolder, opened
from faceloom.store.places import file_below

_THREADS = 4
_AT_ONCE = 256
"""Files that are under way together; what there is of them is asked for by folder."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Published:
    """What was copied."""

    files: int
    """Chips and overlays."""
    known: int
    """Files that were there already, of the same size."""
    store_bytes: int

    def to_json(self) -> dict[str, Any]:
        """Gives it as `publish --json` prints it."""
        return asdict(self)


def publish(folder: PathLike, address: str, *, on_event: OnEvent = lambda event: None) -> Published:
    """Copies a result folder to an address: chips and overlays that are not there, and then a snapshot of the store.

    So whatever the store there names is there too, whenever this is ended; called again it copies what is missing.

    Args:
        folder: a result folder; a run may be writing to it.
        address: as fsspec has them, as in s3://bucket/faces; or a folder.
        on_event: told how many files have been looked at.

    Raises:
        RequestError: fsspec, or what it needs for this kind of address, is not installed.
        MediaError: something cannot be written there; what was copied before stays.
        StoreError: the folder holds no results.
    """
    folder = Path(folder)
    target = RemoteFolder(str(address))
    with tempfile.TemporaryDirectory(prefix="faceloom-publish-") as place:
        snapshot = Path(place) / DATABASE
        with connect(folder, read_only=True) as db:
            _write_snapshot(db, snapshot)
        files = known = 0
        with opened(Path(place)) as given, ThreadPoolExecutor(_THREADS, thread_name_prefix="publish") as pool:
            told = _told(given)
            while group := list(islice(told, _AT_ONCE)):
                copied, there = _copy(folder, group, target, pool)
                files, known = files + copied, known + there
                on_event(Counting(sources=files + known, frames=files))
        target.put(snapshot, DATABASE)
        return Published(files=files, known=known, store_bytes=snapshot.stat().st_size)


def _copy(folder: Path, group: Sequence[str], target: RemoteFolder, pool: ThreadPoolExecutor) -> tuple[int, int]:
    """Copies files that are not there, side by side: how many, and how many were there."""
    sizes = _sizes(target, group)
    begun: list[Future[None]] = []
    known = 0
    for name in group:
        path = file_below(folder, name)
        if not path.is_file():  # lost, or an overlay that there is none of
            continue
        if sizes.get(name) == path.stat().st_size:
            known += 1
        else:
            begun.append(pool.submit(target.put, path, name))
    for one in begun:
        one.result()
    return len(begun), known


@contextmanager
def published_meanwhile(folder: Path, address: PathLike | None, *, every_s: float, on_event: OnEvent) -> Iterator[None]:
    """Publishes a result folder every so many seconds while something is done, and once more when that has ended well.

    What goes wrong meanwhile is told and tried again the next time; at the end it is raised, as by `publish`.
    """
    if address is None:
        yield
        return
    RemoteFolder(str(address))  # so that an address that is none is refused before anything is done
    stop = threading.Event()

    def go_on() -> None:
        while not stop.wait(every_s):
            try:
                publish(folder, str(address))
            except FaceloomError as error:
                on_event(Notice(kind=NOT_PUBLISHED, text=f"not published this time: {error}"))

    thread = threading.Thread(target=go_on, name="publish")
    thread.start()
    try:
        yield
    finally:
        stop.set()
        thread.join()
    publish(folder, str(address))


def _write_snapshot(db: sqlite3.Connection, path: Path) -> None:
    """The store as it is now, without a log beside it, for its owner alone."""
    os.close(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600))
    try:
        with closing(sqlite3.connect(path)) as copy:
            db.backup(copy)
            copy.execute("PRAGMA journal_mode = DELETE")
    except sqlite3.Error as error:
        raise StoreError(f"no snapshot of the store can be written to {path.parent}: {error}", path=path) from error


def _told(given: GivenFolder) -> Iterator[str]:
    """The files that a store names, or could have, source by source."""
    names = given.db.execute("SELECT name FROM source ORDER BY name")
    for (name,) in names:
        yield from files_of(given, name, overlays=True)


def _sizes(target: RemoteFolder, names: Sequence[str]) -> dict[str, int]:
    """The sizes of those files that are there, by name."""
    folders = {str(PurePosixPath(name).parent) for name in names}
    return {f"{folder}/{name}": size for folder in folders for name, size in target.sizes(folder).items()}
