"""Videos whose faces can be tracked: their frames, and the faces in them as tracking is given them."""

import hashlib
import os
import sqlite3
from collections.abc import Collection, Iterator
from dataclasses import dataclass
from itertools import groupby
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from faceloom.media.chunks import PendingFrame
from faceloom.media.sources import Source, SourceKind
from faceloom.store.notes import read_notes
from faceloom.store.times import seconds_a_tick
from faceloom.tracking.sightings import SeenFrame

_FRAMES_A_SECOND = 25
"""Of videos whose frames have no times."""
_FACES = (
    "SELECT id, frame_idx, idx, x0, y0, x1, y1, coalesce(landmarks, keypoints), embedding FROM face"
    " WHERE source_id = ? AND rejected IS NULL AND mark IS NULL ORDER BY frame_idx, idx"
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


@dataclass(frozen=True, slots=True)
class Linked:
    """A face in a track."""

    face_id: int
    """Its row number."""
    frame: int
    """Index of its frame."""
    track: int


def select_videos(db: sqlite3.Connection) -> list[TrackedVideo]:
    """The videos of an open store of which frames are done, by name."""
    query = (
        "SELECT source.id, name, path, time_base, notes, sha256, size_bytes, coalesce(reading_bytes, 0),"
        " max(coalesce(height, 0) * coalesce(width, 0)) * 3, count(*),"
        " (SELECT count(*) FROM face WHERE source_id = source.id AND rejected IS NULL AND mark IS NULL)"
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


def frames_to_read(
    db: sqlite3.Connection, video: TrackedVideo, wanted: Collection[int] | None = None
) -> Iterator[PendingFrame]:
    """The same frames, or those with these indexes, as they are read."""
    query = (
        "SELECT idx, ticks, seek_ticks FROM frame WHERE source_id = ? AND status = 'done' AND idx > ?"
        " ORDER BY idx LIMIT ?"
    )
    at = -1
    while page := db.execute(query, (video.id, at, _PAGE)).fetchall():
        for at, ticks, seek_ticks in page:
            if wanted is not None and at not in wanted:
                continue
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
    db: sqlite3.Connection, video: TrackedVideo, indexes: NDArray[np.int64], numbers: list[tuple[int, int]]
) -> Iterator[SeenFrame]:
    """The frames of a video with faces, named by their places in `numbers`, where those of rows and frames go."""
    said, tick = _said_persons(db), None if video.source.time_base is None else seconds_a_tick(video.source.time_base)
    ticks = "SELECT ticks FROM frame WHERE source_id = ? AND idx = ?"
    for index, rows in groupby(db.execute(_FACES, (video.id,)), key=lambda row: row[1]):
        faces = list(rows)
        (at,) = db.cursor().execute(ticks, (video.id, index)).fetchone()
        first = len(numbers)
        numbers += [(row[0], index) for row in faces]
        yield SeenFrame(
            position=int(np.searchsorted(indexes, index)),
            time_s=index / _FRAMES_A_SECOND if at is None or tick is None else float(at * tick),
            faces=tuple(range(first, len(numbers))),
            boxes=np.array([row[3:7] for row in faces], np.float32).reshape(-1, 4),
            points=tuple(None if row[7] is None else np.frombuffer(row[7], "<f4").reshape(-1, 2) for row in faces),
            embeddings=tuple(None if row[8] is None else np.frombuffer(row[8], "<f4") for row in faces),
            persons=tuple(said.get(row[0]) for row in faces),
        )


def frame_times(db: sqlite3.Connection, video: TrackedVideo) -> NDArray[np.float64]:
    """Of its frames that are done, in seconds."""
    tick = None if video.source.time_base is None else seconds_a_tick(video.source.time_base)
    query = "SELECT idx, ticks FROM frame WHERE source_id = ? AND status = 'done' ORDER BY idx"
    rows = db.execute(query, (video.id,))
    times = (i / _FRAMES_A_SECOND if ticks is None or tick is None else float(ticks * tick) for i, ticks in rows)
    return np.fromiter(times, np.float64, count=video.frames)


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
