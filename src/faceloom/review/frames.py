"""A frame under review: its faces as they are corrected, and the frames before and after it."""

import sqlite3
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from faceloom.errors import RequestError
from faceloom.formats.record import MaskRecord
from faceloom.media.sources import SourceKind
from faceloom.store.reading import select_faces
from faceloom.store.times import time_of
from faceloom.store.view import connect_corrected

_FACES = (
    "SELECT id, idx, x0, y0, x1, y1, score, quality, person, rejected, landmarks, chip IS NOT NULL,"
    " added_by IS NOT NULL,"
    " pitch, yaw, roll"
    " FROM face WHERE source_id = ? AND frame_idx = ? ORDER BY idx"
)
_FRAME = (
    "SELECT source.id, name, kind, frame.idx, ticks, time_base, frame.height, frame.width, status, reason"
    " FROM main.source JOIN main.frame ON source_id = source.id WHERE source.id = ? AND frame.idx = ?"
)
_AROUND = (
    "SELECT source_id, frame_idx FROM main.face WHERE source_id = ? AND frame_idx {sign} ? ORDER BY frame_idx {order}"
    " LIMIT 1"
)


def read_frame(folder: Path, source: int, frame: int) -> dict[str, Any]:
    """A frame and its faces, those too that are rejected.

    Raises:
        RequestError: there is no such frame.
        StoreError: the folder holds no store that can be read.
    """
    with connect_corrected(folder) as db:
        row = db.execute(_FRAME, (source, frame)).fetchone()
        if row is None:
            raise RequestError(f"there is no frame {frame}")
        number, name, kind, index, ticks, time_base, height, width, status, reason = row
        time = time_of(ticks, time_base)
        return {
            "source_id": number,
            "source": name,
            "kind": kind,
            "frame": index,
            "time_s": None if time is None else float(time),
            "height": height,
            "width": width,
            "status": status,
            "reason": reason,
            "faces": [_face(row) for row in db.execute(_FACES, (source, frame))],
            "beside": _beside(db, source, frame) if kind == SourceKind.VIDEO else [None, None],
            "before": _around(db, name, source, frame, after=False),
            "after": _around(db, name, source, frame, after=True),
        }


def _beside(db: sqlite3.Connection, source: int, frame: int) -> list[int | None]:
    """The frames right before and after, whether they have faces or not."""
    query = (
        "SELECT (SELECT max(idx) FROM main.frame WHERE source_id = :source AND idx < :frame),"
        " (SELECT min(idx) FROM main.frame WHERE source_id = :source AND idx > :frame)"
    )
    return list(db.execute(query, {"source": source, "frame": frame}).fetchone())


def place_of_face(folder: Path, face: int) -> tuple[int, int]:
    """The source and the frame of a face.

    Raises:
        RequestError: there is no such face.
    """
    with connect_corrected(folder, raw=True) as db:
        row = db.execute("SELECT source_id, frame_idx FROM main.face WHERE id = ?", (face,)).fetchone()
    if row is None:
        raise RequestError(f"there is no face {face}")
    return int(row[0]), int(row[1])


def masks_of(folder: Path, face: int) -> Mapping[str, MaskRecord]:
    """The masks of a face, over the square of its chip, as they are corrected.

    Raises:
        RequestError: there is no such face.
    """
    with connect_corrected(folder) as db:
        found = next(select_faces(db, "AND face.id = ?", (face,), rejected=True), None)
    if found is None:
        raise RequestError(f"there is no face {face}")
    return found[0].masks


def _face(row: tuple[Any, ...]) -> dict[str, Any]:
    face, index, x0, y0, x1, y1, score, quality, person, rejected, landmarks, has_chip, is_added, *pose = row
    points = None if landmarks is None else np.frombuffer(landmarks, "<f4").reshape(68, 2).round(3).tolist()
    return {
        "id": face,
        "index": index,
        "box": [x0, y0, x1, y1],
        "score": score,
        "quality": quality,
        "person": person,
        "rejected": rejected,
        "landmarks": points,
        "chip": bool(has_chip),
        "added": bool(is_added),
        "pose": None if pose[0] is None else [round(angle, 1) for angle in pose],
    }


def _around(db: sqlite3.Connection, name: str, source: int, frame: int, *, after: bool) -> list[int] | None:
    """The next frame with faces, of this source or of the next one by name."""
    sign, order = (">", "ASC") if after else ("<", "DESC")
    row = db.execute(_AROUND.format(sign=sign, order=order), (source, frame)).fetchone()
    if row is None:
        there = "EXISTS (SELECT 1 FROM main.face WHERE source_id = source.id)"
        query = f"SELECT id FROM main.source WHERE name {sign} ? AND {there} ORDER BY name {order} LIMIT 1"
        other = db.execute(query, (name,)).fetchone()
        if other is None:
            return None
        edge = "min" if after else "max"
        row = db.execute(f"SELECT ?, {edge}(frame_idx) FROM main.face WHERE source_id = ?", (*other, *other)).fetchone()
    return [int(row[0]), int(row[1])]
