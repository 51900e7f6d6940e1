"""The same face in the frames beside: that of the last frame, and those that somebody put right before and after it."""

import sqlite3
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from faceloom.errors import RequestError
from faceloom.geometry.boxes import iou
from faceloom.store.times import time_of
from faceloom.store.view import connect_corrected, replayed

_FACE = "SELECT id, frame_idx, person, track, x0, y0, x1, y1, landmarks FROM face WHERE source_id = ?"
_LEAST_IOU = 0.1
"""Of faces that neither a track nor a name tells to be one."""


@dataclass(frozen=True, slots=True, kw_only=True)
class _Placed:
    """A face in a frame of a source."""

    id: int
    frame: int
    person: str | None
    track: int | None
    box: tuple[float, float, float, float]
    landmarks: bytes | None

    @classmethod
    def of_row(cls, row: tuple[Any, ...]) -> "_Placed":
        face, frame, person, track, x0, y0, x1, y1, landmarks = row
        return cls(id=face, frame=frame, person=person, track=track, box=(x0, y0, x1, y1), landmarks=landmarks)

    def likeness(self, other: "_Placed") -> float:
        """How much another face passes for this one, by its track, or its person, or its place; 0: it does not."""
        overlap = float(iou(np.array([self.box], np.float32), np.array([other.box], np.float32))[0, 0])
        if self.track is not None and other.track is not None:
            return 1 + overlap if self.track == other.track else 0
        if self.person is not None and other.person is not None:
            return 1 + overlap if self.person == other.person else 0
        return overlap if overlap >= _LEAST_IOU else 0


def faces_beside(folder: Path, face: int) -> dict[str, Any]:
    """The same face in the last frame that has it, and in the nearest frames before and after where it was put right.

    Raises:
        RequestError: there is no such face.
        StoreError: the folder holds no store that can be read.
    """
    with connect_corrected(folder) as db:
        row = db.execute("SELECT source_id FROM face WHERE id = ?", (face,)).fetchone()
        if row is None:
            raise RequestError(f"there is no face {face}")
        (source,) = row
        here = _Placed.of_row(db.execute(f"{_FACE} AND id = ?", (source, face)).fetchone())
        right = [one for one in _put_right(db, source) if one.frame != here.frame and here.likeness(one)]
        before = max((one for one in right if one.frame < here.frame), key=lambda one: one.frame, default=None)
        after = min((one for one in right if one.frame > here.frame), key=lambda one: one.frame, default=None)
        told = {"last": _last(db, source, here), "before": before, "after": after, "here": here}
        return {name: None if one is None else _told(db, source, one) for name, one in told.items()}


def _put_right(db: sqlite3.Connection, source: int) -> Iterator[_Placed]:
    """The faces of a source whose landmarks somebody moved."""
    for face in replayed(db).landmarks:
        row = db.execute(f"{_FACE} AND id = ? AND rejected IS NULL", (source, face)).fetchone()
        if row is not None:
            yield _Placed.of_row(row)


def _last(db: sqlite3.Connection, source: int, here: _Placed) -> _Placed | None:
    """The face in the frame before that has faces, if one of them passes for this one."""
    query = "SELECT max(frame_idx) FROM face WHERE source_id = ? AND frame_idx < ? AND landmarks IS NOT NULL"
    (frame,) = db.execute(query, (source, here.frame)).fetchone()
    rows = db.execute(f"{_FACE} AND frame_idx = ? AND rejected IS NULL AND landmarks IS NOT NULL", (source, frame))
    best = max(map(_Placed.of_row, rows), key=here.likeness, default=None)
    return best if best is not None and here.likeness(best) else None


def _told(db: sqlite3.Connection, source: int, one: _Placed) -> dict[str, Any]:
    query = "SELECT ticks, time_base FROM main.frame JOIN main.source ON source.id = source_id"
    time = time_of(*db.execute(f"{query} WHERE source_id = ? AND idx = ?", (source, one.frame)).fetchone())
    points = None if one.landmarks is None else np.frombuffer(one.landmarks, "<f4").reshape(68, 2).round(3).tolist()
    return {"id": one.id, "frame": one.frame, "time_s": None if time is None else float(time), "landmarks": points}
