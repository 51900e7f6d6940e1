"""The one view in which corrections lie over what was found: whoever reads results for people reads through it.

A connection that looks through corrections has a view `face` of its own, in place of the table, whose columns say what
holds now. So every query over faces reads through corrections without a word of them. Nothing is written to the store.
"""

import json
import sqlite3
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, TypeAlias

import numpy as np

from faceloom.geometry.affine import Affine, Points, scale_of
from faceloom.geometry.borders import made_up_share
from faceloom.geometry.boxes import iou
from faceloom.geometry.chips import Framing, frame_to_chip
from faceloom.geometry.pose import fit_pose
from faceloom.store.columns import OF_FACES
from faceloom.store.configuration import config_in, framing_of
from faceloom.store.corrections import Address, Correction, select_corrections
from faceloom.store.database import connect
from faceloom.store.replay import Replayed, replay

_LEAST_IOU = 0.5
"""From which on a face that was found anew is the one that was corrected."""
_SAID = (
    "CREATE TEMP TABLE said (face_id INTEGER PRIMARY KEY, has_person INTEGER NOT NULL DEFAULT 0, person TEXT,"
    " has_rejected INTEGER NOT NULL DEFAULT 0, rejected TEXT, x0 REAL, y0 REAL, x1 REAL, y1 REAL,"
    " landmarks BLOB, affine BLOB, pitch REAL, yaw REAL, roll REAL, made_up REAL)",
    "CREATE TEMP TABLE called (found TEXT PRIMARY KEY, person TEXT NOT NULL) WITHOUT ROWID",
    "CREATE TEMP TABLE said_mask (face_id INTEGER NOT NULL, name TEXT NOT NULL, told TEXT NOT NULL,"
    " PRIMARY KEY (face_id, name)) WITHOUT ROWID",
)
_TEMPORARY = ("said", "called", "said_mask")
_OF_SAID = "FROM temp.said WHERE face_id = found.id"
# Looked up column by column: SQLite would copy a view with a LEFT JOIN in it, blobs and all, before joining it further.
_COLUMNS: Mapping[str, str] = {
    "person": f"CASE (SELECT has_person {_OF_SAID}) WHEN 1 THEN (SELECT person {_OF_SAID})"
    " ELSE coalesce((SELECT called.person FROM temp.called WHERE called.found = found.person), found.person) END",
    "rejected": f"CASE (SELECT has_rejected {_OF_SAID}) WHEN 1 THEN (SELECT rejected {_OF_SAID})"
    " ELSE found.rejected END",
    **{
        name: f"coalesce((SELECT {name} {_OF_SAID}), found.{name})"
        for name in ("x0", "y0", "x1", "y1", "landmarks", "affine", "pitch", "yaw", "roll", "made_up")
    },
}
_EXACTLY = (
    "SELECT number, face.id FROM main.corrected_face AS said JOIN main.source ON source.name = said.source"
    " AND (said.sha256 IS NULL OR source.sha256 = said.sha256)"
    " JOIN main.face ON face.source_id = source.id AND face.frame_idx = said.frame_idx AND face.idx = said.idx"
    " AND (face.x0, face.y0, face.x1, face.y1) = (said.x0, said.y0, said.x1, said.y1) WHERE correction_id = ?"
)
_FACES_OF_FRAME = "SELECT id, x0, y0, x1, y1 FROM main.face WHERE source_id = ? AND frame_idx = ? ORDER BY idx"


@contextmanager
def connect_corrected(folder: Path, *, raw: bool = False) -> Iterator[sqlite3.Connection]:
    """A store that is open for reading, as it is corrected, or as it was found.

    Raises:
        StoreError: there is none that can be read, or what corrections say makes no sense.
    """
    with connect(folder, read_only=True) as db:
        if not raw:
            look_through(db)
        yield db


def look_through(db: sqlite3.Connection) -> None:
    """Has an open store show faces as they are corrected from here on; no changes can be written through it.

    Raises:
        ValueError, and others: a correction makes no sense.
    """
    if db.execute("SELECT 1 FROM main.correction WHERE NOT undone LIMIT 1").fetchone() is None:
        return
    (is_query_only,) = db.execute("PRAGMA query_only").fetchone()
    db.execute("PRAGMA query_only = OFF")
    db.execute("SAVEPOINT corrections")  # one state of the store, also where no transaction has begun
    try:
        _make(db, replayed(db))
    finally:
        db.execute("RELEASE corrections")
        db.execute(f"PRAGMA query_only = {is_query_only}")


@contextmanager
def looking_through(db: sqlite3.Connection) -> Iterator[None]:
    """The same while the block lasts, of a store that is written afterwards."""
    look_through(db)
    try:
        yield
    finally:
        db.execute("DROP VIEW IF EXISTS temp.face")
        for name in _TEMPORARY:
            db.execute(f"DROP TABLE IF EXISTS temp.{name}")


def replayed(db: sqlite3.Connection) -> Replayed:
    """What the corrections of an open store make of its faces.

    Raises:
        ValueError, and others: a correction makes no sense.
    """

    def found_person(number: int) -> str | None:
        person = db.execute("SELECT person FROM main.face WHERE id = ?", (number,)).fetchone()[0]
        return None if person is None else str(person)

    corrections = select_corrections(db, undone=False)
    return replay(((one, list(found_again(db, one).values())) for one in corrections), found_person=found_person)


def found_again(db: sqlite3.Connection, said: Correction) -> dict[int, int]:
    """The row numbers of a correction's faces, by their places in it, as far as they are there."""
    found = dict(db.execute(_EXACTLY, (said.id,)).fetchall()) if said.faces else {}
    for place, face in enumerate(said.faces):
        if place not in found and (number := _nearest_face(db, face)) is not None:
            found[place] = number
    return dict(sorted(found.items()))


def number_of(db: sqlite3.Connection, face: Address) -> int | None:
    """The row number of a face, found again if need be; None: it is not there."""
    row = db.execute(
        "SELECT face.id FROM main.source JOIN main.face ON face.source_id = source.id WHERE name = ?"
        " AND (? IS NULL OR sha256 = ?) AND frame_idx = ? AND face.idx = ? AND (x0, y0, x1, y1) = (?, ?, ?, ?)",
        (face.frame.source, face.sha256, face.sha256, face.frame.index, face.index, *face.box),
    ).fetchone()
    return _nearest_face(db, face) if row is None else int(row[0])


def _nearest_face(db: sqlite3.Connection, face: Address) -> int | None:
    """The row number of the face that overlaps most with one that is not where it was; None if none does by half."""
    rows = [row for source_id in _sources_of(db, face) for row in db.execute(_FACES_OF_FRAME, (source_id, *_at(face)))]
    if not rows:
        return None
    boxes = np.array([row[1:] for row in rows], np.float32)
    overlaps = iou(np.array([face.box], np.float32), boxes)[0]
    best = int(overlaps.argmax())
    return int(rows[best][0]) if overlaps[best] >= _LEAST_IOU else None


def _at(face: Address) -> tuple[int]:
    return (face.frame.index,)


def _sources_of(db: sqlite3.Connection, face: Address) -> list[int]:
    """The source of a face: that with its content, if several have it that with its name; by name if it is unknown."""
    name = face.frame.source
    if face.sha256 is None:
        query, values = "SELECT id FROM main.source WHERE name = ?", (name,)
    else:
        query = "SELECT id FROM main.source WHERE sha256 = ? ORDER BY name != ?, name LIMIT 1"
        values = (face.sha256, name)  # type: ignore[assignment]
    return [row for (row,) in db.execute(query, values)]


def _make(db: sqlite3.Connection, now: Replayed) -> None:
    """The view, and the tables that it looks things up in."""
    for text in _SAID:
        db.execute(text)
    for faces, columns, cells in _cells(db, now):
        marks = ", ".join("?" * len(columns))
        update = ", ".join(f"{name} = excluded.{name}" for name in columns)
        query = f"INSERT INTO temp.said (face_id, {', '.join(columns)}) VALUES (?, {marks})"
        rows = ((face, *cells(value)) for face, value in faces.items())
        db.executemany(f"{query} ON CONFLICT (face_id) DO UPDATE SET {update}", rows)
    db.executemany("INSERT INTO temp.called VALUES (?, ?)", now.aliases.items())
    masks = ((face, name, json.dumps(told)) for face, some in now.masks.items() for name, told in some.items())
    db.executemany("INSERT INTO temp.said_mask VALUES (?, ?, ?)", masks)
    names = ("id", "source_id", "frame_idx", *OF_FACES.names)
    shown = ", ".join(f"{_COLUMNS.get(name, f'found.{name}')} AS {name}" for name in names)
    db.execute(f"CREATE TEMP VIEW face AS SELECT {shown} FROM main.face AS found")


_Cells: TypeAlias = tuple[Mapping[int, Any], tuple[str, ...], Callable[[Any], Sequence[Any]]]
"""Something of faces, the columns of it, and what is in them."""


def _cells(db: sqlite3.Connection, now: Replayed) -> Iterator[_Cells]:
    yield now.people, ("has_person", "person"), lambda person: (1, person)
    yield now.rejected, ("has_rejected", "rejected"), lambda reason: (1, reason)
    yield now.boxes, ("x0", "y0", "x1", "y1"), lambda box: box
    framing = framing_of(config_in(db))
    laid = {face: _laid(db, face, landmarks, framing) for face, landmarks in now.landmarks.items()}
    yield laid, ("landmarks", "affine", "pitch", "yaw", "roll", "made_up"), lambda cells: cells


def _laid(db: sqlite3.Connection, face: int, told: Any, framing: Framing) -> list[Any]:
    """Landmarks, and what follows from them: where the chip lies, how the head is turned, how much of it is made up."""
    query = (
        "SELECT landmarks, affine, height, width FROM main.face JOIN main.frame"
        " ON frame.source_id = face.source_id AND frame.idx = frame_idx WHERE face.id = ?"
    )
    found, affine, height, width = db.execute(query, (face,)).fetchone()
    landmarks, pose = np.array(told, np.float32), fit_pose(np.array(told, np.float32))
    cells: list[Any] = [landmarks.tobytes(), affine, *pose, None]
    if found is None or affine is None or framing.is_frame:
        return cells
    size = chip_size_of(np.frombuffer(found, "<f4").reshape(68, 2), np.frombuffer(affine).reshape(2, 3), framing)
    affine = frame_to_chip(landmarks, size=size, framing=framing)
    cells[1] = affine.tobytes()
    if height and width:
        cells[-1] = made_up_share(affine, size=size, height=height, width=width)
    return cells


def chip_size_of(landmarks: Points, to_chip: Affine, framing: Framing) -> int:
    """The side of a chip that was laid by these landmarks, also where no configuration tells it."""
    return max(1, round(scale_of(to_chip) / scale_of(frame_to_chip(landmarks, size=1, framing=framing))))
