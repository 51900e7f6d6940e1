"""Adoption: the sources and frames of another result folder become those of this one, to be done in another way."""

import itertools
import os
import sqlite3
from collections.abc import Iterator
from pathlib import Path

from faceloom.errors import RequestError
from faceloom.media.numbered import digest_of, is_there, state_of
from faceloom.store.folder import remove_files
from faceloom.store.rows import Status
from faceloom.store.soundness import check_rows
from faceloom.store.view import connect_corrected

_SOURCE = "name, path, kind, size_bytes, mtime_ns, sha256, time_base, reading_bytes, notes"
_FRAME = "idx, ticks, seek_ticks, height, width, look, status, reason"
_FOUND = "face.source_id = frame.source_id AND frame_idx = frame.idx AND rejected IS NULL"
_ADOPTED = f"source_id = ? AND (status = 'done' OR EXISTS (SELECT 1 FROM face WHERE {_FOUND}))"
"""The condition that a frame of the other store is taken: it has faces, or has been seen to have none."""
NOT_THERE = "the source "
"""How the reason of a frame begins whose source is not as it was."""


class Adoption:
    """The sources of an open store, as those of another."""

    def __init__(self, db: sqlite3.Connection, folder: Path) -> None:
        self._db = db
        self._folder = folder

    def take(self, given: Path, *, run_id: int, raw: bool = False, smooth: bool = False) -> None:
        """Makes the sources of another result folder this run's, and its frames with faces those that are to be done.

        What is here already of a source with the same content and faces stays; what is of none any more goes. Frames of
        a source that is not where it was, or not as it was, fail until it is. Faces are as they are corrected, or with
        `raw` as they were found. Call within a transaction.

        Raises:
            RequestError: the other folder has frames that are still to be done, or no frames.
            StoreError: the other folder holds no store that can be read.
        """
        with connect_corrected(given, raw=raw, smooth=smooth) as other:
            other.execute("BEGIN")  # what a run writes meanwhile is not seen
            check_rows(other, given)
            _refuse_unfinished(other, given)
            for source_id, *source in other.execute(f"SELECT id, {_SOURCE} FROM source ORDER BY name"):
                name, sha256 = source[0], source[5]
                here = self._db.execute("SELECT id, sha256 FROM source WHERE name = ?", (name,)).fetchone()
                if here is not None and (here[1] != sha256 or not self._is_up_to_date(here[0], other, source_id)):
                    self._forget(here[0], name)
                    here = None
                if here is None:
                    own_id = self._insert(source, _frames(other, source_id), run_id)
                else:
                    (own_id, _) = here
                    query = "UPDATE source SET run_id = ?, path = ?, mtime_ns = ? WHERE id = ?"
                    self._db.execute(query, (run_id, source[1], source[4], own_id))
                self._hold_to(own_id, run_id)
        for source_id, name in self._db.execute("SELECT id, name FROM source WHERE run_id != ?", (run_id,)).fetchall():
            self._forget(source_id, name)

    def _is_up_to_date(self, own_id: int, other: sqlite3.Connection, source_id: int) -> bool:
        """Whether the frames that are here are those of the other store, and those that are done have its faces."""
        boxes = "group_concat(face.idx || ' ' || x0 || ' ' || y0 || ' ' || x1 || ' ' || y1 || ' ' || hex(landmarks))"
        faces = f"(SELECT {boxes} FROM (SELECT * FROM face WHERE {_FOUND} ORDER BY idx) AS face)"
        columns = f"idx, look, {faces}, status"
        there = other.execute(f"SELECT {columns} FROM frame WHERE {_ADOPTED} ORDER BY idx", (source_id,))
        here = self._db.execute(f"SELECT {columns} FROM frame WHERE source_id = ? ORDER BY idx", (own_id,))
        return all(
            one is not None and two is not None and one[:2] == two[:2] and (two[3] != Status.DONE or one[2] == two[2])
            for one, two in itertools.zip_longest(there, here)
        )

    def _insert(self, source: list[object], frames: Iterator[tuple[object, ...]], run_id: int) -> int:
        marks = ", ".join("?" * (len(source) + 1))
        cursor = self._db.execute(f"INSERT INTO source ({_SOURCE}, run_id) VALUES ({marks})", (*source, run_id))
        own_id = int(cursor.lastrowid or 0)
        rows = ((own_id, *frame) for frame in frames)
        self._db.executemany(f"INSERT INTO frame (source_id, {_FRAME}) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)", rows)
        return own_id

    def _hold_to(self, source_id: int, run_id: int) -> None:
        """Has the frames of a source that are still to be done fail if its file is another, or gone."""
        is_waiting = "source_id = ? AND status = 'failed' AND substr(reason, 1, ?) = ?"
        values = (source_id, len(NOT_THERE), NOT_THERE)
        self._db.execute(f"UPDATE frame SET status = 'pending', reason = NULL WHERE {is_waiting}", values)
        pending = "SELECT 1 FROM frame WHERE source_id = ? AND status = 'pending' LIMIT 1"
        if self._db.execute(pending, (source_id,)).fetchone() is None:
            return
        columns = "path, size_bytes, mtime_ns, sha256"
        row = self._db.execute(f"SELECT {columns} FROM source WHERE id = ?", (source_id,)).fetchone()
        reason = why_changed(Path(os.fsdecode(row[0])), size_bytes=row[1], mtime_ns=row[2], sha256=row[3])
        if reason:
            self._db.execute(
                "UPDATE frame SET status = 'failed', reason = ?, tried_in = ?"
                " WHERE source_id = ? AND status = 'pending'",
                (NOT_THERE + reason, run_id, source_id),
            )

    def _forget(self, source_id: int, name: str) -> None:
        remove_files(self._folder, name)
        self._db.execute("DELETE FROM source WHERE id = ?", (source_id,))


def _refuse_unfinished(other: sqlite3.Connection, given: Path) -> None:
    (frames, pending) = other.execute("SELECT count(*), sum(status = ?) FROM frame", (Status.PENDING,)).fetchone()
    if not frames:
        raise RequestError(f"{given} holds no frames")
    if pending:
        raise RequestError(
            f"{given} is not finished, {pending:,} of its frames are still to be done; run its command again first"
        )


def _frames(other: sqlite3.Connection, source_id: int) -> Iterator[tuple[object, ...]]:
    """The frames of a source that have faces, to be done, and those without, as they are; not those that failed."""
    has_faces = f"EXISTS (SELECT 1 FROM face WHERE {_FOUND})"
    query = f"SELECT {_FRAME}, {has_faces} FROM frame WHERE {_ADOPTED} ORDER BY idx"
    for *frame, status, reason, is_to_do in other.execute(query, (source_id,)):
        yield (*frame, Status.PENDING, None) if is_to_do else (*frame, status, reason)


def why_changed(path: Path, *, size_bytes: int, mtime_ns: int, sha256: str | None) -> str | None:
    """Why a file is not, or not any more, the one whose faces are known; None: it is."""
    try:
        state = state_of(path)
        if not is_there(path):  # reading a pipe would wait for ever
            return f"at {path} is no file any more; extract anew"
        if state == (size_bytes, mtime_ns) or (state[0] == size_bytes and digest_of(path) == sha256):
            return None
    except OSError as error:
        return f"is not at {path} any more ({error.strerror}); put it back there, or extract anew from where it is"
    return f"at {path} has changed since its faces were found; extract anew"
