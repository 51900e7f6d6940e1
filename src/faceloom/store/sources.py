"""Sources of an open store: taking files up, their frames, and whether they are what they were."""

import os
import sqlite3
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from enum import Enum, auto
from itertools import chain
from pathlib import Path, PurePosixPath
from typing import Any

from faceloom.errors import StoreError
from faceloom.faults import Fault
from faceloom.media.notes import Note
from faceloom.media.numbered import digest_of, is_there, state_of
from faceloom.media.sources import PassedOver, RemoteAddress, Shape, Source, SourceKind, VideoIndex, longer_names
from faceloom.store.again import Again
from faceloom.store.database import transaction
from faceloom.store.folder import remove_files
from faceloom.store.notes import add_notes
from faceloom.store.round import Round
from faceloom.store.scratch import is_address, place_of
from faceloom.store.spelling import spellings
from faceloom.store.tombstones import Tombstones

_KNOWN_BY = "SELECT id, name, path, size_bytes, mtime_ns, sha256, run_id FROM source WHERE"


_GONE = (0, 0)
"""In place of size and time of change of a file that is not there."""


class Known(Enum):
    """What the store knew of a source that it is given."""

    NEW = auto()
    SAME = auto()
    """It was there already, with the same content, or is there no more."""
    CHANGED = auto()
    """The file's content is another now; what was found in the old one is gone."""
    TWICE = auto()
    """This run has been given the file before."""
    FORGOTTEN = auto()
    """What was found in it was forgotten, and it is not taken up again."""


class Sources:
    """The input files of an open store; what is called within `adding` is one transaction."""

    def __init__(self, db: sqlite3.Connection, folder: Path, again: Again, now: Round) -> None:
        self._db = db
        self._folder = folder
        self._again = again
        self._round = now
        self._tombstones = Tombstones(db)
        self.unreadable = 0
        """How many sources have been added since the store was opened of which no frame can be had."""

    @contextmanager
    def adding(self) -> Iterator[None]:
        """Many sources in one transaction."""
        with transaction(self._db):
            yield

    def add(self, source: Source, *, other_names: Iterable[str]) -> tuple[Source, Known]:
        """Takes a source up under its name, or the first of its other names that no other file has.

        Call within `adding`. The source comes back with the name it got.
        """
        path, spelled = spellings(source.path) if source.address is None else [source.address.url.encode()] * 2
        if path in self._tombstones or spelled in self._tombstones:
            return source, Known.FORGOTTEN
        self._db.execute("DELETE FROM passed_over WHERE path = ?", (path,))
        state = _state(source.path) if source.address is None else (source.address.size_bytes, source.address.tag)
        row = self._db.execute(f"{_KNOWN_BY} path IN (?, ?) ORDER BY id LIMIT 1", (path, spelled)).fetchone()
        if row is not None:  # under whatever name it was given the first time
            return self._take_up(source, row, path, state)
        for name in chain([source.name], other_names):
            row = self._db.execute(f"{_KNOWN_BY} name = ?", (name,)).fetchone()
            if row is None and lies_across(self._db, name):
                continue
            if row is None:
                named = Source(name=name, path=source.path, kind=source.kind)
                self._insert_source(named, path, state)
                return named, Known.NEW
            if row[-1] == self._round.run_id or is_address(row[2]) or _state(Path(os.fsdecode(row[2]))) != _GONE:
                continue
            return self._take_up(source, row, path, state)
        raise StoreError(
            f"no free name for {source.path} ({source.name} and its other names are taken)", path=source.path
        )

    def _take_up(
        self, source: Source, row: tuple[Any, ...], path: bytes, state: tuple[int, int]
    ) -> tuple[Source, Known]:
        """A file that has a row, which is now one of this run's."""
        source_id, name, _, size_bytes, mtime_ns, digest, run_id = row
        named = Source(name=name, path=source.path, kind=source.kind)
        if run_id == self._round.run_id:
            return named, Known.TWICE
        if state == _GONE:  # what was found in it stays
            query = "UPDATE source SET path = ?, run_id = ? WHERE id = ?"
            self._db.execute(query, (path, self._round.run_id, source_id))
            return named, Known.SAME
        if (size_bytes, mtime_ns) == state or _is_same_content(source.path, size_bytes=size_bytes, digest=digest):
            self._db.execute(
                "UPDATE source SET path = ?, mtime_ns = ?, run_id = ? WHERE id = ?",
                (path, state[1], self._round.run_id, source_id),
            )
            if source.address is not None:  # what could not be fetched was taken for a picture
                never_read = "NOT EXISTS (SELECT 1 FROM frame WHERE source_id = source.id AND status = 'done')"
                self._db.execute(f"UPDATE source SET kind = ? WHERE id = ? AND {never_read}", (source.kind, source_id))
            return named, Known.SAME
        self._forget(source_id, name)
        self._insert_source(named, path, state)
        return named, Known.CHANGED

    def pass_over(self, found: PassedOver) -> None:
        """Notes something that is no source. Call within `adding`."""
        row = (os.fsencode(found.path.absolute()), found.name, found.why, self._round.run_id)
        self._db.execute("INSERT OR REPLACE INTO passed_over VALUES (?, ?, ?, ?)", row)

    def drop(self, source: Source, why: str) -> None:
        """Notes that what was taken up as a source, and has no frames yet, is none. Call within `adding`."""
        self._db.execute("DELETE FROM source WHERE name = ?", (source.name,))
        self.pass_over(PassedOver(name=source.name, path=source.path, why=why))

    def uncounted(self) -> Iterator[Source]:
        """The videos of this run whose frames have not been counted; commits may go on meanwhile."""
        query = (
            "SELECT id, name, path FROM source WHERE run_id = ? AND kind = 'video' AND time_base IS NULL AND id > ?"
            " AND NOT EXISTS (SELECT 1 FROM frame WHERE source_id = source.id) ORDER BY id LIMIT 1"
        )
        at = -1
        while (row := self._db.execute(query, (self._round.run_id, at)).fetchone()) is not None:
            at, name, path = row
            yield Source(name=name, path=place_of(self._folder, path), kind=SourceKind.VIDEO)

    def unsized(self, limit: int) -> Iterator[tuple[Source, ...]]:
        """The pictures of this run that are to be done and have not been looked at, some at a time."""
        query = (
            "SELECT id, name, path FROM source WHERE run_id = ? AND kind = 'picture' AND reading_bytes IS NULL"
            " AND id > ? AND EXISTS (SELECT 1 FROM frame WHERE source_id = source.id AND status = 'pending')"
            " ORDER BY id LIMIT ?"
        )
        at = -1
        while rows := self._db.execute(query, (self._round.run_id, at, limit)).fetchall():
            at = rows[-1][0]
            yield tuple(
                Source(name=name, path=place_of(self._folder, path), kind=SourceKind.PICTURE) for _, name, path in rows
            )

    def add_shape(self, source: Source, shape: Shape) -> None:
        """How large a picture is, by its header. Call within `adding`."""
        source_id = self._size(source, shape)
        if shape.pages > 1:
            rows = ((source_id, page, shape.height, shape.width) for page in range(1, shape.pages))
            self._db.executemany(
                "INSERT OR IGNORE INTO frame (source_id, idx, height, width) VALUES (?, ?, ?, ?)", rows
            )
            add_notes(self._db, source_id, [Note.PAGES])

    def _size(self, source: Source, shape: Shape) -> int:
        source_id = self.id_of(source.name)
        self._db.execute("UPDATE source SET reading_bytes = ? WHERE id = ?", (shape.reading_bytes, source_id))
        self._db.execute(
            "UPDATE frame SET height = ?, width = ? WHERE source_id = ? AND idx = 0",
            (shape.height, shape.width, source_id),
        )
        return source_id

    def add_picture(self, source: Source) -> None:
        """The only frame of a picture, to be done. Call within `adding`."""
        self._db.execute("INSERT INTO frame (source_id, idx) SELECT id, 0 FROM source WHERE name = ?", (source.name,))

    def add_video(self, source: Source, index: VideoIndex, *, sha256: str | None, wanted: range | None = None) -> None:
        """The frames of a video, to be done, or those with these indexes. Call within `adding`."""
        self._db.execute(
            "UPDATE source SET time_base = ?, sha256 = ?, reading_bytes = ? WHERE name = ?",
            (str(index.time_base), sha256, index.reading_bytes, source.name),
        )
        (source_id,) = self._db.execute("SELECT id FROM source WHERE name = ?", (source.name,)).fetchone()
        add_notes(self._db, source_id, index.notes)
        indexes = range(len(index.keyframes)) if wanted is None else wanted
        rows = (
            (source_id, i, ticks, seek, index.height, index.width)
            for i, (ticks, seek) in enumerate(index.times())
            if i in indexes
        )
        columns = "source_id, idx, ticks, seek_ticks, height, width"
        self._db.executemany(f"INSERT INTO frame ({columns}) VALUES (?, ?, ?, ?, ?, ?)", rows)
        if indexes and indexes.stop == len(index.keyframes):  # after the last something is missing, if anything is
            self._db.execute(
                "UPDATE frame SET reason = ? WHERE source_id = ? AND idx = ?", (index.problem, source_id, indexes[-1])
            )

    def add_failed(self, source: Source, reason: str, fault: Fault | None = None, shape: Shape | None = None) -> None:
        """A source of which no frame can be had, as one failed frame, of this shape. Call within `adding`."""
        self.unreadable += 1
        self._db.execute(
            "INSERT INTO frame (source_id, idx, status, reason, fault, tried_in)"
            " SELECT id, 0, 'failed', ?, ?, ? FROM source WHERE name = ?",
            (reason, fault, self._round.run_id, source.name),
        )
        if shape is not None:
            self._size(source, shape)

    def is_wanted(self, address: RemoteAddress) -> bool:
        """Whether the content of an object is wanted; if all its frames are done it is one of this run's without that.

        One that was forgotten is not.
        """
        if address.url.encode() in self._tombstones:
            return False
        row = self._db.execute(
            "SELECT id FROM source WHERE path = ? AND size_bytes = ? AND mtime_ns = ?"
            " AND EXISTS (SELECT 1 FROM frame WHERE source_id = source.id)"
            " AND NOT EXISTS (SELECT 1 FROM frame WHERE source_id = source.id AND status != 'done')"
            " AND NOT EXISTS (SELECT 1 FROM again WHERE source_id = source.id)",
            (address.url.encode(), address.size_bytes, address.tag),
        ).fetchone()
        if row is None:
            return True
        self._db.execute("UPDATE source SET run_id = ? WHERE id = ?", (self._round.run_id, row[0]))
        return False

    def fail_fetching(self, source: Source, reason: str) -> None:
        """Has the frames of an object that cannot be fetched fail, as far as they are to be done. Call within `adding`.

        What was found before in an object that has changed stays.
        """
        assert source.address is not None
        path = source.address.url.encode()
        row = self._db.execute("SELECT id FROM source WHERE path = ?", (path,)).fetchone()
        if row is None:
            named, _ = self.add(source, other_names=longer_names(source))
            self.add_failed(named, reason, Fault.MACHINE)
            return
        run = self._round.run_id
        self._db.execute("UPDATE source SET run_id = ? WHERE id = ?", (run, row[0]))
        query = "UPDATE frame SET status = 'failed', reason = ?, fault = ?, tried_in = ? WHERE source_id = ?"
        self._db.execute(f"{query} AND status = 'pending'", (reason, Fault.MACHINE, run, row[0]))

    def again(self, address: RemoteAddress, reason: str) -> bool:
        """Has frames of an object that failed for this reason done, and counted, again; whether there are any."""
        failed = "status = 'failed' AND reason = ? AND source_id IN (SELECT id FROM source WHERE path = ?"
        values = (reason, address.url.encode())
        with transaction(self._db):
            uncounted = self._db.execute(f"DELETE FROM frame WHERE {failed} AND time_base IS NULL)", values).rowcount
            again = "status = 'pending', reason = NULL, fault = NULL, tried_in = NULL"
            return uncounted + self._db.execute(f"UPDATE frame SET {again} WHERE {failed})", values).rowcount > 0

    def refuse_changed(self, *, but_gone: bool = False) -> Iterator[str]:
        """Gives up what is to be done again in files that are gone or have changed, and says why, file by file.

        With `but_gone` only in those that have changed.
        """
        for source_id, name, path, size_bytes, mtime_ns, digest in self._again.sources(
            self._round.run_id, self._round.stages
        ):
            state = _state(path)
            is_file = state == _GONE or is_there(path)  # reading a pipe would wait for ever
            if is_file and state == (size_bytes, mtime_ns):
                continue
            if is_file and _is_same_content(path, size_bytes=size_bytes, digest=digest):
                with transaction(self._db):
                    self._db.execute("UPDATE source SET mtime_ns = ? WHERE id = ?", (state[1], source_id))
                continue
            if but_gone and state == _GONE:
                continue
            why = "is gone" if state == _GONE else "has changed since it was read; extract does it anew"
            with transaction(self._db):
                self._again.give_up(source_id, None, self._round.stages, f"{path} {why}")
            yield f"{name}: the file {path} {why}"

    def gone(self) -> Iterator[str]:
        """Names of the sources that have something to be done again, and whose files are gone."""
        for _, name, path, *_ in self._again.sources(self._round.run_id, self._round.stages):
            if _state(path) == _GONE:
                yield name

    def id_of(self, name: str) -> int:
        """The row number of a source."""
        return int(self._db.execute("SELECT id FROM source WHERE name = ?", (name,)).fetchone()[0])

    def _insert_source(self, source: Source, path: bytes, state: tuple[int, int]) -> None:
        self._db.execute(
            "INSERT INTO source (name, path, kind, size_bytes, mtime_ns, run_id) VALUES (?, ?, ?, ?, ?, ?)",
            (source.name, path, source.kind, *state, self._round.run_id),
        )

    def _forget(self, source_id: int, name: str) -> None:
        remove_files(self._folder, name)
        self._db.execute("DELETE FROM source WHERE id = ?", (source_id,))


def lies_across(db: sqlite3.Connection, name: str) -> bool:
    """Whether a source's files would lie below those of another in an open store, or the reverse."""
    above = [str(parent) for parent in PurePosixPath(name).parents][:-1]
    marks = ", ".join("?" * len(above))
    query = f"SELECT 1 FROM source WHERE name IN ({marks}) OR (name >= ? AND name < ?) LIMIT 1"
    return db.execute(query, (*above, name + "/", name + "0")).fetchone() is not None


def _state(path: Path) -> tuple[int, int]:
    """Size and time of change, or that it is gone, which reading will report."""
    try:
        return state_of(path)
    except OSError:
        return _GONE


def _is_same_content(path: Path, *, size_bytes: int, digest: str | None) -> bool:
    if digest is None or _state(path)[0] != size_bytes or not is_there(path):
        return False
    try:
        return digest_of(path) == digest
    except OSError:
        return False
