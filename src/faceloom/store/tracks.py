"""Tracks and shots in a store: what they are made of, writing them, and reading them."""

import sqlite3
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from faceloom.store.database import transaction
from faceloom.store.gaps import MissingFace, write_made
from faceloom.store.rows import FaceRow
from faceloom.store.steady import write_steady
from faceloom.store.times import time_of
from faceloom.store.tracked_videos import Linked, TrackedVideo
from faceloom.store.view import connect_corrected, looking_through


@dataclass(frozen=True, slots=True, kw_only=True)
class Track:
    """One face through consecutive frames of one shot of a video."""

    source: str
    number: int
    """From 1, in the order in which the tracks of the video begin."""
    first: int
    """Index of its first frame."""
    last: int
    """Index of its last frame."""
    start_s: float | None
    """Time of its first frame; None where frames have no times, as the next."""
    end_s: float | None
    """Time of its last frame."""
    faces: int
    """In how many frames there is a face of it."""
    person: str | None
    """Whose most of its faces are; None: nobody's that is known."""

    def to_json(self) -> dict[str, Any]:
        """Gives it as `track --json` prints it."""
        return asdict(self)


@dataclass(frozen=True, slots=True, kw_only=True)
class Shot:
    """Frames of a video between two cuts."""

    source: str
    first: int
    """Index of its first frame."""
    last: int
    """Index of its last frame."""


def read_tracks(folder: Path, *, sources: Sequence[str] | None = None, raw: bool = False) -> Iterator[Track]:
    """The tracks of all videos of a result folder, or of some, sorted by source and number.

    Raises:
        StoreError: the folder holds no store that can be read.
    """
    with connect_corrected(folder, raw=raw) as db:
        db.execute("BEGIN")
        for source_id, name, time_base in _tracked(db, sources):
            whose = _persons_of(db, source_id)
            query = (
                "SELECT track, min(frame_idx), max(frame_idx), count(DISTINCT frame_idx) FROM face WHERE source_id = ?"
                " AND track IS NOT NULL AND rejected IS NULL GROUP BY track ORDER BY track"
            )
            for number, first, last, faces in db.execute(query, (source_id,)).fetchall():
                start, end = (_time(db, source_id, index, time_base) for index in (first, last))
                yield Track(
                    source=name,
                    number=number,
                    first=first,
                    last=last,
                    start_s=start,
                    end_s=end,
                    faces=faces,
                    person=whose.get(number),
                )


def read_shots(folder: Path, *, sources: Sequence[str] | None = None) -> Iterator[Shot]:
    """The shots of all videos of a result folder that were tracked, or of some, sorted by source and frame.

    Raises:
        StoreError: the folder holds no store that can be read.
    """
    with connect_corrected(folder, raw=True) as db:
        db.execute("BEGIN")
        for source_id, name, _ in _tracked(db, sources):
            query = "SELECT frame_idx FROM shot WHERE source_id = ? ORDER BY frame_idx"
            firsts = [index for (index,) in db.execute(query, (source_id,))]
            (end,) = db.execute("SELECT max(idx) FROM frame WHERE source_id = ?", (source_id,)).fetchone()
            for first, following in zip(firsts, [*firsts[1:], end + 1], strict=True):
                yield Shot(source=name, first=first, last=following - 1)


def _tracked(db: sqlite3.Connection, sources: Sequence[str] | None) -> list[tuple[int, str, str | None]]:
    query = "SELECT id, name, time_base FROM source WHERE id IN (SELECT source_id FROM tracked) ORDER BY name"
    found = db.execute(query).fetchall()
    return found if sources is None else [row for row in found if row[1] in sources]


def _persons_of(db: sqlite3.Connection, source_id: int) -> dict[int, str]:
    """Whose most faces of each track are, and of as many the name that is first."""
    query = (
        "SELECT track, person FROM face WHERE source_id = ? AND track IS NOT NULL AND rejected IS NULL"
        " AND person IS NOT NULL GROUP BY track, person ORDER BY count(*), person DESC"
    )
    return dict(db.execute(query, (source_id,)).fetchall())


def _time(db: sqlite3.Connection, source_id: int, index: int, time_base: str | None) -> float | None:
    query = "SELECT ticks FROM frame WHERE source_id = ? AND idx = ?"
    time = time_of(db.execute(query, (source_id, index)).fetchone()[0], time_base)
    return None if time is None else float(time)


def write_tracks(
    db: sqlite3.Connection,
    video: TrackedVideo,
    tracks: Sequence[Linked] | None,
    made: Iterable[tuple[MissingFace, FaceRow]],
    *,
    starts: Sequence[int],
    shots_of: str | None,
    tracks_of: str,
) -> None:
    """Says which face is in which track, in one transaction; no other face of the video is in any from now on.

    Args:
        db: a store that is open for writing.
        video: one of it.
        tracks: the faces that are in tracks; None: all stays as it is.
        made: what fills the gaps of these.
        starts: indexes of the first frames of all shots.
        shots_of: what the shots were found in.
        tracks_of: what the tracks were made of.
    """
    with transaction(db):
        if tracks is not None:
            _write_numbers(db, video, tracks)
            write_made(db, video, made)
            with looking_through(db):
                write_steady(db, video)
        db.execute("DELETE FROM shot WHERE source_id = ?", (video.id,))
        db.executemany("INSERT INTO shot VALUES (?, ?)", ((video.id, start) for start in starts))
        row = (video.id, shots_of, tracks_of)
        db.execute("INSERT OR REPLACE INTO tracked VALUES (?, ?, ?)", row)


def _write_numbers(db: sqlite3.Connection, video: TrackedVideo, tracks: Sequence[Linked]) -> None:
    """Only rows that change are written: each holds blobs."""
    db.execute("CREATE TEMP TABLE linked (face_id INTEGER PRIMARY KEY, track INTEGER NOT NULL)")
    db.executemany("INSERT INTO temp.linked VALUES (?, ?)", ((one.face_id, one.track) for one in tracks))
    db.execute(
        "UPDATE main.face SET track = NULL WHERE source_id = ? AND track IS NOT NULL"
        " AND id NOT IN (SELECT face_id FROM temp.linked)",
        (video.id,),
    )
    db.execute(
        "UPDATE main.face SET track = linked.track FROM temp.linked WHERE id = face_id"
        " AND face.track IS NOT linked.track"
    )
    db.execute("DROP TABLE temp.linked")
