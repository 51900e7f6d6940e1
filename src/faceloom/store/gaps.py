"""Gaps of tracks in a store: which faces are missing, and those that fill them, beside those that were found."""

import sqlite3
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import groupby, pairwise

import numpy as np
from numpy.typing import NDArray

from faceloom.faces import FrameId
from faceloom.store.again import CHIP_FILES
from faceloom.store.columns import OF_FACES
from faceloom.store.configuration import config_in
from faceloom.store.rows import FaceRow
from faceloom.store.tracked_videos import Linked, TrackedVideo, frame_times
from faceloom.tracking.gaps import Mark, Placed, find_gaps


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class MissingFace:
    """A face that a track misses in a frame."""

    track: int
    before: int
    """Row number of the last face of the track before it."""
    index: int
    """That it will have among those of its frame."""
    frame: FrameId
    shape: tuple[int, int] | None
    """Height and width of the frame."""
    expected: Placed
    """Where it should be."""


def missing_faces(
    db: sqlite3.Connection,
    video: TrackedVideo,
    tracks: Sequence[Linked],
    indexes: NDArray[np.int64],
    *,
    longest_s: float,
) -> list[MissingFace]:
    """The faces that tracks miss in gaps up to some length, sorted by frame and track."""
    times = frame_times(db, video)
    found = []
    for number, of_track in groupby(sorted(tracks, key=lambda one: (one.track, one.frame)), key=lambda one: one.track):
        for one, other in pairwise(of_track):
            if not np.searchsorted(indexes, other.frame) > np.searchsorted(indexes, one.frame) + 1:
                continue
            ends = [_placed(db, face.face_id, times[np.searchsorted(indexes, face.frame)]) for face in (one, other)]
            for gap in find_gaps(ends, indexes, times, longest_s=longest_s):
                found += [(number, one.face_id, expected) for expected in gap.faces]
    found.sort(key=lambda told: (told[2].frame, told[0]))
    following: dict[int, int] = {}
    return [
        MissingFace(
            track=number,
            before=before,
            index=_next_index(db, video, expected.frame, following),
            frame=FrameId(video.source.name, expected.frame),
            shape=_shape(db, video, expected.frame),
            expected=expected,
        )
        for number, before, expected in found
    ]


def _shape(db: sqlite3.Connection, video: TrackedVideo, frame: int) -> tuple[int, int] | None:
    query = "SELECT height, width FROM frame WHERE source_id = ? AND idx = ?"
    height, width = db.execute(query, (video.id, frame)).fetchone()
    return None if height is None or width is None else (height, width)


def _placed(db: sqlite3.Connection, face_id: int, time_s: float) -> Placed:
    query = "SELECT frame_idx, x0, y0, x1, y1, landmarks, keypoints FROM face WHERE id = ?"
    frame, *box, landmarks, keypoints = db.execute(query, (face_id,)).fetchone()
    points = [None if one is None else np.frombuffer(one, "<f4").reshape(-1, 2) for one in (landmarks, keypoints)]
    return Placed(
        frame=frame,
        time_s=float(time_s),
        box=np.array(box, np.float32),
        landmarks=points[0],
        keypoints=points[1],
    )


def _next_index(db: sqlite3.Connection, video: TrackedVideo, frame: int, following: dict[int, int]) -> int:
    if frame not in following:
        query = "SELECT coalesce(max(idx) + 1, 0) FROM main.face WHERE source_id = ? AND frame_idx = ? AND mark IS NULL"
        (following[frame],) = db.execute(query, (video.id, frame)).fetchone()
    following[frame] += 1
    return following[frame] - 1


def boxes_in(db: sqlite3.Connection, video: TrackedVideo, frames: Iterable[int]) -> dict[int, NDArray[np.float32]]:
    """The boxes (N, 4) of the faces that are known in frames."""
    query = (
        "SELECT x0, y0, x1, y1 FROM face WHERE source_id = ? AND frame_idx = ? AND mark IS NULL AND rejected IS NULL"
    )
    return {
        frame: np.array(db.execute(query, (video.id, frame)).fetchall(), np.float32).reshape(-1, 4) for frame in frames
    }


def write_made(db: sqlite3.Connection, video: TrackedVideo, made: Iterable[tuple[MissingFace, FaceRow]]) -> None:
    """Puts faces that fill gaps in the place of those that did; call it within a transaction.

    Those that were found have the drawn masks of the face before them, and their frames are to have the chips and the
    masks of networks again that they miss.
    """
    db.execute("DELETE FROM main.face WHERE source_id = ? AND mark IS NOT NULL", (video.id,))
    config = config_in(db)
    stages = [
        *([CHIP_FILES] if config.get("chips") else []),
        *(name for name, told in config.get("stages", {}).items() if name.startswith("mask/") and told.get("weights")),
    ]
    (last,) = db.execute("SELECT coalesce(max(id), 0) FROM main.face").fetchone()
    insert = f"INSERT INTO main.face (id, source_id, frame_idx, {OF_FACES}) VALUES (?, ?, ?, {OF_FACES.marks})"
    masks = "INSERT INTO drawn_mask SELECT ?, name, size, drawing FROM drawn_mask WHERE face_id = ?"
    again = "INSERT OR IGNORE INTO again (source_id, frame_idx, stage) VALUES (?, ?, ?)"
    for number, (one, row) in enumerate(made, start=last + 1):
        db.execute(insert, (number, video.id, row.frame.index, *OF_FACES.cells(row)))
        if row.landmarks is not None:
            db.execute(masks, (number, one.before))
        if row.landmarks is not None and row.mark == Mark.FILLED:
            db.executemany(again, ((video.id, row.frame.index, stage) for stage in stages))
        elif row.chip is not None:
            db.execute(again, (video.id, row.frame.index, CHIP_FILES))


def chips_of_made(db: sqlite3.Connection, video: TrackedVideo) -> Iterator[str]:
    """The chips of the faces that fill gaps, by their paths."""
    query = "SELECT chip FROM main.face WHERE source_id = ? AND mark IS NOT NULL AND chip IS NOT NULL"
    yield from (chip for (chip,) in db.execute(query, (video.id,)).fetchall())
