"""Steady faces in a store: of each face in a track its box and points without what shakes, beside what was found."""

import sqlite3
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from faceloom.errors import GeometryError
from faceloom.geometry.chips import Framing, frame_to_chip
from faceloom.store.again import CHIP_FILES
from faceloom.store.configuration import SMOOTH, config_in, framing_of
from faceloom.store.steady_columns import STEADY
from faceloom.store.tracked_videos import TrackedVideo, frame_indexes, frame_times
from faceloom.tracking.steady import steady

_LEAST_FACES = 4
"""Of a track in which anything can be told from shaking."""
_CHIP_PX = 512
"""Where there are no chips, as affine maps have it then."""
_BREAK_FRAMES = 2
"""Where a track misses its face for more frames, what comes after is steadied by itself."""


def write_steady(db: sqlite3.Connection, video: TrackedVideo) -> None:
    """Makes the faces of a video's tracks steady anew, as they are corrected; call it within a transaction.

    Where chips show them so, those that change are to be cut again.
    """
    config = config_in(db)
    has_chips = bool(config.get(SMOOTH) and config.get("chips"))
    before = _squares(db, video) if has_chips else set()
    db.execute("DELETE FROM steady WHERE face_id IN (SELECT id FROM main.face WHERE source_id = ?)", (video.id,))
    indexes, times = frame_indexes(db, video), frame_times(db, video)
    size = (config.get("chips") or {}).get("size", _CHIP_PX)
    framing = framing_of(config)
    insert = f"INSERT INTO steady (face_id, {', '.join(STEADY)}) VALUES (?, {', '.join('?' * len(STEADY))})"
    for rows in _pieces(db, video, indexes):
        places = np.searchsorted(indexes, [row[1] for row in rows])
        db.executemany(insert, _steadied(rows, times[places], size=size, framing=framing))
    if has_chips:
        of_frame = "INSERT OR IGNORE INTO again (source_id, frame_idx, stage) SELECT source_id, frame_idx, ?"
        query = f"{of_frame} FROM main.face WHERE id = ? AND chip IS NOT NULL"
        changed = sorted({face for face, _ in before ^ _squares(db, video)})
        db.executemany(query, ((CHIP_FILES, face) for face in changed))


def _squares(db: sqlite3.Connection, video: TrackedVideo) -> set[tuple[int, bytes | None]]:
    """Where the chips of steady faces lie."""
    query = "SELECT face_id, steady.affine FROM steady JOIN main.face ON face.id = face_id WHERE source_id = ?"
    return set(db.execute(query, (video.id,)).fetchall())


def _pieces(db: sqlite3.Connection, video: TrackedVideo, indexes: NDArray[np.int64]) -> Iterator[list[tuple[Any, ...]]]:
    """The faces of each track, in pieces without a gap."""
    query = "SELECT DISTINCT track FROM main.face WHERE source_id = ? AND track IS NOT NULL ORDER BY track"
    faces = "SELECT id FROM main.face WHERE source_id = ? AND track = ? ORDER BY frame_idx, idx"
    row = "SELECT id, frame_idx, x0, y0, x1, y1, keypoints, landmarks FROM face WHERE id = ? AND rejected IS NULL"
    for (track,) in db.execute(query, (video.id,)).fetchall():
        piece: list[tuple[Any, ...]] = []
        for (number,) in db.execute(faces, (video.id, track)).fetchall():
            found = db.execute(row, (number,)).fetchone()
            if found is None:
                continue
            if piece and np.searchsorted(indexes, found[1]) - np.searchsorted(indexes, piece[-1][1]) > _BREAK_FRAMES:
                yield piece
                piece = []
            piece.append(found)
        yield piece


def _steadied(
    rows: Sequence[tuple[Any, ...]], times_s: NDArray[np.float64], *, size: int, framing: Framing
) -> Iterator[tuple[Any, ...]]:
    """Rows of the table; none of a piece that is too short."""
    if len(rows) < _LEAST_FACES:
        return
    boxes = steady(np.array([row[2:6] for row in rows], np.float64), times_s)
    keypoints, landmarks = (_points([row[place] for row in rows], times_s) for place in (6, 7))
    for i, row in enumerate(rows):
        points = None if landmarks is None else landmarks[i]
        affine = None
        if points is not None and not framing.is_frame:
            try:
                affine = frame_to_chip(points, size=size, framing=framing).tobytes()
            except GeometryError:  # landmarks that no chip can be laid by
                points = None
        of_face = (None if keypoints is None else keypoints[i], points)
        yield (row[0], *boxes[i].tolist(), *(None if some is None else some.tobytes() for some in of_face), affine)


def _points(contents: Sequence[bytes | None], times_s: NDArray[np.float64]) -> NDArray[np.float32] | None:
    """The points of each face, if all have them."""
    found = [np.frombuffer(content, "<f4").reshape(-1, 2) for content in contents if content is not None]
    if len(found) < len(contents):
        return None
    return steady(np.array(found, np.float64), times_s).astype("<f4")
