"""Adding: faces that no detector found and somebody did. Each has a row of its own, which no run has written.

Such a row holds a box alone; what networks make of it is in `remade`. It names its correction, and is there for whoever
reads through corrections as long as that holds.
"""

import sqlite3
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from faceloom.errors import RequestError
from faceloom.faces import FrameId
from faceloom.geometry.boxes import iou
from faceloom.store.configuration import config_in
from faceloom.store.corrections import Correction, FaceAddress, Verb, select_corrections
from faceloom.store.remade import SHOWN
from faceloom.store.replay import Replayed
from faceloom.store.rows import Status

_CERTAIN = 1.0
"""The score of a face of which somebody says that it is one."""
_LEAST_IOU = 0.5
"""From which on a face that is there is the one that is to be added."""
_LEAST_PX = 1.0
_FRAME = (
    "SELECT source.id, sha256, status, frame.height, frame.width FROM main.source"
    " JOIN main.frame ON source_id = source.id WHERE name = ? AND idx = ?"
)
_FACES = f"SELECT id, idx, x0, y0, x1, y1, rejected FROM main.face WHERE source_id = ? AND frame_idx = ? AND {SHOWN}"


def address_to_add(db: sqlite3.Connection, now: Replayed, frame: FrameId, box: NDArray[np.float32]) -> FaceAddress:
    """Where a face will be that somebody adds: behind the others of its frame.

    Raises:
        RequestError: there is no such frame, it is not done, a face is there already, or the box makes no sense.
    """
    row = db.execute(_FRAME, (frame.source, frame.index)).fetchone()
    if row is None:
        raise RequestError(f"there is no frame {frame}; faceloom export --to jsonl --frames lists frames")
    source_id, sha256, status, height, width = row
    if status != Status.DONE:
        raise RequestError(f"frame {frame} is not done ({status}); run the command that made the folder first")
    if config_in(db).get("aligned"):
        raise RequestError("the pictures of this folder are faces already (--aligned), so none can be added to them")
    _require_inside(box, height, width)
    rows = db.execute(_FACES, (source_id, frame.index)).fetchall()
    there = _overlapping(box, [now.boxes.get(row[0], row[2:6]) for row in rows])
    if there is not None:
        number, index, *_, rejected = rows[there]
        is_rejected = now.rejected.get(number, rejected) is not None
        how = f"restore {frame}/{index}" if is_rejected else f"move its box with: box {frame}/{index} X0 Y0 X1 Y1"
        raise RequestError(f"there is a face already: {frame}/{index}{' was rejected' * is_rejected}; {how}")
    x0, y0, x1, y1 = (float(value) for value in box)
    index = _next_index(db, source_id, frame.index)
    return FaceAddress(frame=frame, sha256=sha256, index=index, box=(x0, y0, x1, y1))


def _require_inside(box: NDArray[np.float32], height: int | None, width: int | None) -> None:
    x0, y0, x1, y1 = box.tolist()
    if x1 - x0 < _LEAST_PX or y1 - y0 < _LEAST_PX:
        raise RequestError("the box has less than a pixel; write X0 Y0 X1 Y1, the left upper corner first")
    if height and width and (x1 <= 0 or y1 <= 0 or x0 >= width or y0 >= height):
        raise RequestError(f"the box lies beyond the frame, which has {width} x {height} pixels")


def _overlapping(box: NDArray[np.float32], boxes: Sequence[Sequence[float]]) -> int | None:
    """The place of the box that overlaps most, by half or more."""
    if not boxes:
        return None
    overlaps = iou(box.reshape(1, 4), np.array(boxes, np.float32).reshape(-1, 4))[0]
    best = int(overlaps.argmax())
    return best if overlaps[best] >= _LEAST_IOU else None


def _next_index(db: sqlite3.Connection, source_id: int, frame: int) -> int:
    query = "SELECT coalesce(max(idx) + 1, 0) FROM main.face WHERE source_id = ? AND frame_idx = ?"
    return int(db.execute(query, (source_id, frame)).fetchone()[0])


def lay_row(db: sqlite3.Connection, said: Correction) -> bool:
    """Makes the row of a face that somebody added, unless it, or a face that was found there, is there already.

    Call it within a transaction.

    Returns:
        Whether the face is there now; not where its frame is not, or is still to be done.
    """
    (face,) = said.faces
    if db.execute("SELECT 1 FROM main.face WHERE added_by = ?", (said.uid,)).fetchone():
        return True
    query = (
        "SELECT source.id FROM main.source JOIN main.frame ON source_id = source.id WHERE idx = ? AND status = ?"
        " AND (sha256 = ? OR (? IS NULL AND name = ?)) ORDER BY name != ?, name LIMIT 1"
    )
    name, sha256 = face.frame.source, face.sha256
    row = db.execute(query, (face.frame.index, Status.DONE, sha256, sha256, name, name)).fetchone()
    if row is None:
        return False
    faces = db.execute(_FACES, (row[0], face.frame.index)).fetchall()
    if _overlapping(np.array(face.box, np.float32), [found[2:6] for found in faces]) is not None:
        return True
    taken = {found[1] for found in faces}
    index = face.index if face.index not in taken else _next_index(db, row[0], face.frame.index)
    (last,) = db.execute("SELECT coalesce(max(id), 0) FROM main.face").fetchone()
    columns = "id, source_id, frame_idx, idx, x0, y0, x1, y1, score, added_by"
    cells = (last + 1, row[0], face.frame.index, index, *face.box, _CERTAIN, said.uid)
    db.execute(f"INSERT INTO main.face ({columns}) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)", cells)
    return True


def lay_missing_rows(db: sqlite3.Connection) -> None:
    """Makes the rows of faces that were added whose frames are there again. Call it within a transaction."""
    query = (
        "SELECT id FROM main.correction WHERE verb = ? AND NOT undone > 0"
        " AND NOT EXISTS (SELECT 1 FROM main.face WHERE added_by = uid) ORDER BY id"
    )
    for (number,) in db.execute(query, (Verb.ADD,)).fetchall():
        for said in select_corrections(db, number=number):
            lay_row(db, said)
