"""Remaking: which faces networks are to look at anew since somebody added or moved them, and what they made of them.

They are laid out in a store of their own, as known faces of frames that are to be done, and an ordinary run does these.
"""

import os
import sqlite3
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from faceloom.faces import FrameId
from faceloom.formats.record import FaceRecord, OnChip
from faceloom.store.adoption import why_changed
from faceloom.store.again import CHIP_FILES
from faceloom.store.columns import OF_KNOWN, OF_REMADE
from faceloom.store.configuration import config_in
from faceloom.store.database import transaction
from faceloom.store.remade import changed_faces, remade_faces
from faceloom.store.replay import Replayed
from faceloom.store.rows import FaceRow, Status
from faceloom.store.saying import saying
from faceloom.store.scratch import is_address
from faceloom.store.view import connect_corrected, replayed

_SOURCE = "name, path, kind, size_bytes, mtime_ns, sha256, time_base, reading_bytes, notes"
_FRAME = "idx, ticks, seek_ticks, height, width"
_CERTAIN = 1.0


@dataclass(frozen=True, slots=True, kw_only=True)
class FaceToMake:
    """A face that networks are to look at, where somebody says that it is."""

    face_id: int
    """Its row number."""
    frame: FrameId
    index: int
    box: tuple[float, float, float, float]
    landmarks: Any
    """68 points, where somebody said where they are; None: they are to be found."""
    made_of: str
    """The digest of all this, and of the stages."""

    def __str__(self) -> str:
        return f"{self.frame}/{self.index}"


@dataclass(frozen=True, slots=True, kw_only=True)
class SourceToRead:
    """A source with faces that are to be looked at."""

    cells: tuple[Any, ...]
    frames: tuple[tuple[Any, ...], ...]
    faces: tuple[FaceToMake, ...]
    problem: str | None
    """Why it cannot be read."""


def select_to_make(folder: Path) -> list[SourceToRead]:
    """The faces of a result folder that were added or moved and not looked at since, by their sources.

    Raises:
        StoreError: the folder holds no store that can be read, or its corrections make no sense.
    """
    with connect_corrected(folder, raw=True) as db:
        db.execute("BEGIN")
        now = replayed(db)
        done = remade_faces(db, now)
        sources: dict[int, list[FaceToMake]] = {}
        for face, box, landmarks, digest in changed_faces(db, now):
            if face not in done:
                query = (
                    "SELECT source_id, name, frame_idx, face.idx FROM main.face JOIN source ON source.id = source_id"
                )
                source, name, frame, index = db.execute(f"{query} WHERE face.id = ?", (face,)).fetchone()
                x0, y0, x1, y1 = (float(value) for value in box)
                made = FaceToMake(
                    face_id=face,
                    frame=FrameId(name, frame),
                    index=index,
                    box=(x0, y0, x1, y1),
                    landmarks=landmarks,
                    made_of=digest,
                )
                sources.setdefault(source, []).append(made)
        return [_source(db, source, faces) for source, faces in sorted(sources.items())]


def _source(db: sqlite3.Connection, source_id: int, faces: Sequence[FaceToMake]) -> SourceToRead:
    cells = db.execute(f"SELECT {_SOURCE} FROM source WHERE id = ?", (source_id,)).fetchone()
    indexes = sorted({face.frame.index for face in faces})
    query = f"SELECT {_FRAME} FROM frame WHERE source_id = ? AND idx = ?"
    frames = tuple(db.execute(query, (source_id, index)).fetchone() for index in indexes)
    _, path, _, size_bytes, mtime_ns, sha256, *_ = cells
    if is_address(path):
        problem: str | None = "was fetched, and is not on this machine any more"
    else:
        problem = why_changed(Path(os.fsdecode(path)), size_bytes=size_bytes, mtime_ns=mtime_ns, sha256=sha256)
    return SourceToRead(cells=tuple(cells), frames=frames, faces=tuple(faces), problem=problem)


def lay_out(db: sqlite3.Connection, sources: Iterable[SourceToRead], *, run_id: int) -> None:
    """Lists the frames of sources as to be done in another open store, and their faces as known."""
    with transaction(db):
        for source in sources:
            marks = ", ".join("?" * (len(source.cells) + 1))
            query = f"INSERT INTO source ({_SOURCE}, run_id) VALUES ({marks})"
            number = db.execute(query, (*source.cells, run_id)).lastrowid
            query = f"INSERT INTO frame (source_id, {_FRAME}, status) VALUES (?, ?, ?, ?, ?, ?, ?)"
            db.executemany(query, ((number, *frame, Status.PENDING) for frame in source.frames))
            query = f"INSERT INTO known (source, frame_idx, {OF_KNOWN}) VALUES (?, ?, {OF_KNOWN.marks})"
            cells = ((face.frame.source, face.frame.index, *OF_KNOWN.cells(_told(face))) for face in source.faces)
            db.executemany(query, cells)


def _told(face: FaceToMake) -> FaceRecord:
    landmarks = None if face.landmarks is None else np.array(face.landmarks, np.float32)
    return FaceRecord(index=face.index, box=np.array(face.box, np.float32), score=_CERTAIN, landmarks=landmarks)


def take_made(folder: Path, sources: Iterable[SourceToRead], made: Iterable[FaceRow]) -> list[FaceToMake]:
    """Keeps what was made of faces, in one transaction; those of which nothing was.

    Of a face that was forgotten or moved again meanwhile nothing is kept that counts.

    Raises:
        StoreError: the store cannot be written.
    """
    asked = {(face.frame, face.index): face for source in sources for face in source.faces}
    with saying(folder) as db:
        has_chips = bool(config_in(db).get("chips"))
        for row in made:
            face = asked.pop((row.frame, row.index))
            if db.execute("SELECT 1 FROM main.face WHERE id = ?", (face.face_id,)).fetchone() is None:
                continue
            _keep(db, face, row)
            if has_chips:
                query = "INSERT OR IGNORE INTO again (source_id, frame_idx, stage) SELECT source_id, frame_idx, ?"
                db.execute(f"{query} FROM main.face WHERE id = ?", (CHIP_FILES, face.face_id))
    return list(asked.values())


def _keep(db: sqlite3.Connection, face: FaceToMake, row: FaceRow) -> None:
    db.execute("DELETE FROM remade WHERE face_id = ?", (face.face_id,))
    cells = (face.face_id, face.made_of, *OF_REMADE.cells(row))
    db.execute(f"INSERT INTO remade (face_id, made_of, {OF_REMADE}) VALUES (?, ?, {OF_REMADE.marks})", cells)
    for name, mask in row.masks.items():
        png, drawing = (None, str(mask.content.drawing)) if isinstance(mask.content, OnChip) else (mask.content, None)
        db.execute("INSERT INTO remade_mask VALUES (?, ?, ?, ?, ?)", (face.face_id, name, mask.size, png, drawing))


def count_to_make(db: sqlite3.Connection, now: Replayed) -> int:
    """How many faces of an open store, as they are now, were added or moved and not looked at since."""
    done = remade_faces(db, now)
    return sum(face not in done for face, *_ in changed_faces(db, now))
