"""What is read from a store: faces and frames, always in the same order, whatever order they were found in."""

import itertools
import sqlite3
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import Any

from faceloom.faces import FrameId
from faceloom.formats.record import FrameRecord, MaskRecord, OnChip
from faceloom.geometry.affine import Points
from faceloom.geometry.chips import Framing
from faceloom.geometry.drawings import Drawing
from faceloom.store.columns import OF_FACES
from faceloom.store.configuration import config_in, framing_of, is_size
from faceloom.store.database import connect
from faceloom.store.rows import FaceRow, Status
from faceloom.store.said_masks import SaidMasks
from faceloom.store.times import time_of
from faceloom.store.view import connect_corrected, of_persons

# CROSS JOIN holds SQLite to this order of the tables, in which rows come sorted: otherwise it writes all to a temporary
# file first.
_CELLS = f"SELECT {', '.join(f'face.{name}' for name in OF_FACES.names)}, face.id, name, frame_idx, ticks, time_base"
_AND_FRAMES = "JOIN frame ON frame.source_id = source.id AND frame.idx = frame_idx WHERE (rejected IS NULL OR ?)"
_FACES = f"{_CELLS} FROM source CROSS JOIN face ON face.source_id = source.id {_AND_FRAMES}"
_ONE_FACE = f"{_CELLS} FROM face CROSS JOIN source ON face.source_id = source.id {_AND_FRAMES} AND face.id = ?"
_MASKS = (
    "SELECT name, size, png, 1 FROM mask WHERE face_id = ?"
    " UNION ALL SELECT name, size, drawing, 0 FROM drawn_mask WHERE face_id = ? ORDER BY 1, 4"
)
_IN_ORDER = "ORDER BY name, frame_idx, face.idx"
_FRAMES = (
    "SELECT name, frame.idx, ticks, time_base, frame.width, frame.height, status, reason,"
    " (SELECT count(*) FROM face WHERE face.source_id = source.id AND frame_idx = frame.idx AND rejected IS NULL)"
    " FROM source JOIN frame ON frame.source_id = source.id WHERE status != ? ORDER BY name, frame.idx"
)
_STORED = (
    "SELECT name, frame.idx, ticks, time_base, frame.width, frame.height,"
    " EXISTS (SELECT 1 FROM face WHERE face.source_id = source.id AND frame_idx = frame.idx"
    " AND (rejected IS NULL OR ?) AND (mark IS NULL OR NOT ?)) AS has_faces"
    " FROM source JOIN frame ON frame.source_id = source.id WHERE status = 'done' OR has_faces"
    " ORDER BY name, frame.idx"
)


def read_faces(folder: Path, *, raw: bool = False) -> Iterator[tuple[FaceRow, Fraction | None]]:
    """Every face of a result folder that is not rejected, and its frame's time, sorted by source, frame and index.

    Raises:
        StoreError: the folder holds no store that can be read.
    """
    with connect_corrected(folder, raw=raw) as db:
        yield from select_faces(db)


def read_faces_of(folder: Path, frame: FrameId) -> list[FaceRow]:
    """The faces of one frame of a result folder.

    Raises:
        StoreError: the folder holds no store that can be read.
    """
    with stored_faces(folder) as found:
        return found(frame)[1]


@contextmanager
def stored_faces(
    folder: Path, *, raw: bool = False, smooth: bool = False
) -> Iterator[Callable[[FrameId], tuple[int, list[FaceRow]]]]:
    """Gives the look of any frame of a result folder and its faces, while it is open.

    Raises:
        StoreError: the folder holds no store that can be read.
    """
    with connect_corrected(folder, raw=raw, smooth=smooth) as db:

        def found(frame: FrameId) -> tuple[int, list[FaceRow]]:
            place = (frame.source, frame.index)
            query = "SELECT look FROM frame JOIN source ON source.id = source_id WHERE name = ? AND idx = ?"
            row = db.execute(query, place).fetchone()
            return row[0] if row else 0, [face for face, _ in select_faces(db, "AND name = ? AND frame_idx = ?", place)]

        yield found


def select_faces(
    db: sqlite3.Connection,
    condition: str = "",
    values: tuple[Any, ...] = (),
    *,
    rejected: bool = False,
    persons: Sequence[str] | None = None,
) -> Iterator[tuple[FaceRow, Fraction | None]]:
    """The faces of an open store, each with its frame's time, sorted by source, frame and index.

    They are as they are corrected if the store looks through corrections. Only those that are not rejected, unless they
    are asked for too; only those that meet a condition over source, face and frame, as in ` AND score >= ?`; and only
    those of these persons, which are looked up without going through all others.
    """
    is_grouped = _is_grouped(db)
    masks, framing, said = db.cursor(), framing_of(config_in(db)), SaidMasks(db)
    found: Iterable[tuple[Any, ...]]
    if persons is None:
        found = db.execute(f"{_FACES} {condition} {_IN_ORDER}", (rejected, *values))
    else:
        found = _rows_of(db, persons, f"{_ONE_FACE} {condition}", (rejected, *values))
    for row in found:
        face_id, source, frame, ticks, time_base = row[-5:]
        attributes = OF_FACES.values(row)
        if is_grouped and attributes["person"] is None:
            attributes["person"] = ""
        of_face = masks.execute(_MASKS, (face_id, face_id))
        attributes["masks"] = {
            name: MaskRecord(size=size, content=content)
            if is_picture
            else _drawn(content, size, attributes["landmarks"], framing)
            for name, size, content, is_picture in of_face
        }
        attributes["frame"] = FrameId(source, frame)
        if face_id in said:
            attributes["masks"] = said.corrected(face_id, attributes, framing)
        yield FaceRow(**attributes), time_of(ticks, time_base)


def _is_grouped(db: sqlite3.Connection) -> bool:
    """Whether any face is somebody's, as it is corrected."""
    return db.execute("SELECT 1 FROM face WHERE person IS NOT NULL LIMIT 1").fetchone() is not None


def _rows_of(
    db: sqlite3.Connection, persons: Sequence[str], query: str, values: tuple[Any, ...]
) -> Iterator[tuple[Any, ...]]:
    """What a query finds, whose second value is a row number, of the faces that may be these persons', in order.

    The numbers are sorted and not the rows, whose blobs SQLite would write to a temporary file with them.
    """
    candidates, names = of_persons(db, persons)
    some = f"SELECT face.id FROM main.face JOIN source ON source.id = source_id WHERE face.id IN ({candidates})"
    rows = db.cursor()
    for (number,) in db.execute(f"{some} {_IN_ORDER}", names):
        yield from rows.execute(query, (values[0], number, *values[1:])).fetchall()


def _drawn(told: str, size: Any, landmarks: Points | None, framing: Framing) -> MaskRecord:
    if landmarks is None or not is_size(size):
        raise ValueError("a mask is drawn from landmarks that are not there, or of no size")
    return MaskRecord(size=size, content=OnChip(Drawing.parse(told), landmarks, framing))


def read_frames(folder: Path, *, raw: bool = False) -> Iterator[dict[str, Any]]:
    """Every frame of a result folder that is done or has failed, sorted by source and index."""
    with connect_corrected(folder, raw=raw) as db:
        for name, index, ticks, time_base, width, height, status, reason, faces in db.execute(
            _FRAMES, (Status.PENDING,)
        ):
            time = time_of(ticks, time_base)
            yield {
                "source": name,
                "frame": index,
                "time_s": None if time is None else float(time),
                "width": width,
                "height": height,
                "faces": faces,
                "status": status,
                "reason": reason,
            }


@dataclass(frozen=True, slots=True)
class StoredFrames:
    """The frames of a store that are done, or have faces, as formats take them; one state of it, whenever looked at."""

    db: sqlite3.Connection
    chip_size: int | None
    rejected: bool
    """Whether faces are among them that a filter rejected."""
    found_only: bool = False
    """Whether faces are left out that fill gaps of tracks."""

    def __iter__(self) -> Iterator[FrameRecord]:
        condition = "AND mark IS NULL" if self.found_only else ""
        selected = select_faces(self.db, condition, rejected=self.rejected)
        faces = itertools.groupby(selected, key=lambda told: told[0].frame)
        asked = (self.rejected, self.found_only)
        for name, index, ticks, time_base, width, height, has_faces in self.db.execute(_STORED, asked):
            found = next(faces)[1] if has_faces else ()
            time = time_of(ticks, time_base)
            yield FrameRecord(
                id=FrameId(name, index),
                time=None if time is None else float(time),
                width=width,
                height=height,
                faces=tuple(face.laid(chip_size=self.chip_size) for face, _ in found),
            )


@contextmanager
def stored_frames(
    folder: Path, *, rejected: bool = False, found_only: bool = False, smooth: bool = False, raw: bool = False
) -> Iterator[StoredFrames]:
    """The frames of a result folder, while it is open, on demand with the faces that were rejected.

    Or without those that fill gaps of tracks, or with those in tracks as they are steady.

    Raises:
        StoreError: the folder holds no store that can be read.
    """
    with connect_corrected(folder, raw=raw, smooth=smooth) as db:
        db.execute("BEGIN")  # what a run writes meanwhile is not seen
        yield StoredFrames(db, _chip_size(db), rejected, found_only)


def read_chip_size(folder: Path) -> int | None:
    """Side of the chips of a result folder, in pixels; None if there are none.

    Raises:
        StoreError: the folder holds no store that can be read.
    """
    with connect(folder, read_only=True) as db:
        return _chip_size(db)


def _chip_size(db: sqlite3.Connection) -> int | None:
    chips = config_in(db).get("chips")
    return int(chips["size"]) if chips else None


def read_config(folder: Path) -> dict[str, Any]:
    """The configuration that a result folder was made with.

    Raises:
        StoreError: the folder holds no store that can be read.
    """
    with connect(folder, read_only=True) as db:
        return config_in(db)


def has_landmarks(folder: Path) -> bool:
    """Whether any face of a result folder has landmarks, or there are none.

    Raises:
        StoreError: the folder holds no store that can be read.
    """
    with connect(folder, read_only=True) as db:
        query = "SELECT count(*) = 0 OR max(landmarks IS NOT NULL) FROM face"
        return bool(db.execute(query).fetchone()[0])
