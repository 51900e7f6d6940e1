"""Tracks and shots in a store: what they are made of, writing them, and reading them."""

import hashlib
import os
import sqlite3
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import asdict, dataclass
from itertools import groupby
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from faceloom.media.chunks import PendingFrame
from faceloom.media.sources import Source, SourceKind
from faceloom.store.database import transaction
from faceloom.store.notes import read_notes
from faceloom.store.times import seconds_a_tick, time_of
from faceloom.store.view import connect_corrected
from faceloom.tracking.sightings import SeenFrame

_FRAMES_A_SECOND = 25
"""Of videos whose frames have no times."""
_FACES = (
    "SELECT id, frame_idx, idx, x0, y0, x1, y1, coalesce(landmarks, keypoints), embedding FROM face"
    " WHERE source_id = ? AND rejected IS NULL ORDER BY frame_idx, idx"
)
_PAGE = 1000


@dataclass(frozen=True, slots=True, kw_only=True)
class TrackedVideo:
    """A video of a result folder whose faces can be tracked."""

    id: int
    source: Source
    sha256: str | None
    size_bytes: int
    reading_bytes: int
    """What reading a frame takes besides the frame."""
    frame_bytes: int
    """Of the largest."""
    frames: int
    """That are done."""
    faces: int


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


def select_videos(db: sqlite3.Connection) -> list[TrackedVideo]:
    """The videos of an open store of which frames are done, by name."""
    query = (
        "SELECT source.id, name, path, time_base, notes, sha256, size_bytes, coalesce(reading_bytes, 0),"
        " max(coalesce(height, 0) * coalesce(width, 0)) * 3, count(*),"
        " (SELECT count(*) FROM face WHERE source_id = source.id AND rejected IS NULL)"
        " FROM source JOIN frame ON frame.source_id = source.id WHERE kind = 'video' AND status = 'done'"
        " GROUP BY source.id ORDER BY name"
    )
    return [
        TrackedVideo(
            id=number,
            source=Source(
                name=name,
                path=Path(os.fsdecode(path)),
                kind=SourceKind.VIDEO,
                time_base=time_base,
                notes=read_notes(notes),
            ),
            sha256=sha256,
            size_bytes=size_bytes,
            reading_bytes=reading_bytes,
            frame_bytes=frame_bytes,
            frames=frames,
            faces=faces,
        )
        for number, name, path, time_base, notes, sha256, size_bytes, reading_bytes, frame_bytes, frames, faces in (
            db.execute(query).fetchall()
        )
    ]


def frame_indexes(db: sqlite3.Connection, video: TrackedVideo) -> NDArray[np.int64]:
    """The indexes of its frames that are done, in order."""
    query = "SELECT idx FROM frame WHERE source_id = ? AND status = 'done' ORDER BY idx"
    return np.fromiter((index for (index,) in db.execute(query, (video.id,))), np.int64, count=video.frames)


def frames_to_read(db: sqlite3.Connection, video: TrackedVideo) -> Iterator[PendingFrame]:
    """The same frames, as they are read."""
    query = (
        "SELECT idx, ticks, seek_ticks FROM frame WHERE source_id = ? AND status = 'done' AND idx > ?"
        " ORDER BY idx LIMIT ?"
    )
    at = -1
    while page := db.execute(query, (video.id, at, _PAGE)).fetchall():
        for at, ticks, seek_ticks in page:
            yield PendingFrame(source=video.source, index=at, ticks=ticks, seek_ticks=seek_ticks)


def digest_of_faces(db: sqlite3.Connection, video: TrackedVideo) -> str:
    """Of all that tracks follow from besides the shots."""
    digest = hashlib.sha256()
    said = _said_persons(db)
    for number, *cells in db.execute(_FACES, (video.id,)):
        digest.update(repr((*cells[:6], said.get(number))).encode())
        for content in cells[6:]:
            digest.update(content or b"-")
    return digest.hexdigest()


def seen_frames(
    db: sqlite3.Connection, video: TrackedVideo, indexes: NDArray[np.int64], numbers: list[int]
) -> Iterator[SeenFrame]:
    """The frames of a video that have faces, which are named by their places in `numbers`, where their rows' go."""
    said, tick = _said_persons(db), None if video.source.time_base is None else seconds_a_tick(video.source.time_base)
    ticks = "SELECT ticks FROM frame WHERE source_id = ? AND idx = ?"
    for index, rows in groupby(db.execute(_FACES, (video.id,)), key=lambda row: row[1]):
        faces = list(rows)
        (at,) = db.cursor().execute(ticks, (video.id, index)).fetchone()
        first = len(numbers)
        numbers += [row[0] for row in faces]
        yield SeenFrame(
            position=int(np.searchsorted(indexes, index)),
            time_s=index / _FRAMES_A_SECOND if at is None or tick is None else float(at * tick),
            faces=tuple(range(first, len(numbers))),
            boxes=np.array([row[3:7] for row in faces], np.float32).reshape(-1, 4),
            points=tuple(None if row[7] is None else np.frombuffer(row[7], "<f4").reshape(-1, 2) for row in faces),
            embeddings=tuple(None if row[8] is None else np.frombuffer(row[8], "<f4") for row in faces),
            persons=tuple(said.get(row[0]) for row in faces),
        )


def _said_persons(db: sqlite3.Connection) -> dict[int, str]:
    """Whose the faces are of which somebody has said it, by their row numbers."""
    if db.execute("SELECT 1 FROM temp.sqlite_master WHERE name = 'said'").fetchone() is None:
        return {}
    query = "SELECT face_id, person FROM temp.said WHERE has_person AND person IS NOT NULL AND person != ''"
    return dict(db.execute(query).fetchall())


def made_of(db: sqlite3.Connection, video: TrackedVideo) -> tuple[str | None, str | None]:
    """What the shots and tracks of a video were made of; None where there are none."""
    row = db.execute("SELECT shots_of, tracks_of FROM tracked WHERE source_id = ?", (video.id,)).fetchone()
    return (None, None) if row is None else (row[0], row[1])


def shot_starts(db: sqlite3.Connection, video: TrackedVideo) -> list[int]:
    """The indexes of the frames with which the shots of a video begin, as they are stored."""
    query = "SELECT frame_idx FROM shot WHERE source_id = ? ORDER BY frame_idx"
    return [index for (index,) in db.execute(query, (video.id,))]


def write_tracks(
    db: sqlite3.Connection,
    video: TrackedVideo,
    tracks: Iterable[tuple[int, int]] | None,
    *,
    starts: Sequence[int],
    shots_of: str | None,
    tracks_of: str,
) -> None:
    """Says which face is in which track, in one transaction; no other face of the video is in any from now on.

    Args:
        db: a store that is open for writing.
        video: one of it.
        tracks: row numbers of faces, and the numbers of their tracks; None: they stay as they are.
        starts: indexes of the first frames of all shots.
        shots_of: what the shots were found in.
        tracks_of: what the tracks were made of.
    """
    with transaction(db):
        if tracks is not None:
            _write_numbers(db, video, tracks)
        db.execute("DELETE FROM shot WHERE source_id = ?", (video.id,))
        db.executemany("INSERT INTO shot VALUES (?, ?)", ((video.id, start) for start in starts))
        row = (video.id, shots_of, tracks_of)
        db.execute("INSERT OR REPLACE INTO tracked VALUES (?, ?, ?)", row)


def _write_numbers(db: sqlite3.Connection, video: TrackedVideo, tracks: Iterable[tuple[int, int]]) -> None:
    """Only rows that change are written: each holds blobs."""
    db.execute("CREATE TEMP TABLE linked (face_id INTEGER PRIMARY KEY, track INTEGER NOT NULL)")
    db.executemany("INSERT INTO temp.linked VALUES (?, ?)", tracks)
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
