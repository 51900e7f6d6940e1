"""The one view in which corrections lie over what was found: whoever reads results for people reads through it.

A connection that looks through corrections has a view `face` of its own, in place of the table, whose columns say what
holds now. So every query over faces reads through corrections without a word of them. Nothing is written to the store.
"""

import json
import sqlite3
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from itertools import groupby
from pathlib import Path
from typing import Any, TypeAlias

import numpy as np

from faceloom.geometry.affine import Affine, Points, scale_of
from faceloom.geometry.borders import made_up_share
from faceloom.geometry.boxes import iou
from faceloom.geometry.chips import Framing, frame_to_chip
from faceloom.geometry.pose import fit_pose
from faceloom.store.columns import OF_FACES, OF_REMADE
from faceloom.store.configuration import SMOOTH, config_in, framing_of
from faceloom.store.corrections import Correction, FaceAddress, Said, Verb, address_of_row
from faceloom.store.database import connect
from faceloom.store.remade import SHOWN, remade_faces
from faceloom.store.replay import Replayed, replay
from faceloom.store.soundness import DAMAGE
from faceloom.store.steady_columns import STEADY

_LEAST_IOU = 0.5
"""From which on a face that was found anew is the one that was corrected."""
_SAID = (
    "CREATE TEMP TABLE said (face_id INTEGER PRIMARY KEY, has_person INTEGER NOT NULL DEFAULT 0, person TEXT,"
    " has_rejected INTEGER NOT NULL DEFAULT 0, rejected TEXT, x0 REAL, y0 REAL, x1 REAL, y1 REAL,"
    " landmarks BLOB, affine BLOB, pitch REAL, yaw REAL, roll REAL, made_up REAL,"
    " is_remade INTEGER NOT NULL DEFAULT 0)",
    "CREATE TEMP TABLE called (found TEXT PRIMARY KEY, person TEXT NOT NULL) WITHOUT ROWID",
    "CREATE TEMP TABLE said_mask (face_id INTEGER NOT NULL, name TEXT NOT NULL, told TEXT NOT NULL,"
    " PRIMARY KEY (face_id, name)) WITHOUT ROWID",
    "CREATE TEMP TABLE hidden (face_id INTEGER PRIMARY KEY)",
)
_TEMPORARY = ("said", "called", "said_mask", "hidden")
_ADDED = Verb.ADD.value
_UNSEEN = -1
"""In place of the row number of a face that was added by a correction which does not hold."""
_LAID = ("landmarks", "affine", "pitch", "yaw", "roll", "made_up")
_OF_SAID = "FROM temp.said WHERE face_id = found.id"
# Looked up column by column: SQLite would copy a view with a LEFT JOIN in it, blobs and all, before joining it further.
_COLUMNS: Mapping[str, str] = {
    "person": f"CASE (SELECT has_person {_OF_SAID}) WHEN 1 THEN (SELECT person {_OF_SAID})"
    " ELSE coalesce((SELECT called.person FROM temp.called WHERE called.found = found.person), found.person) END",
    "rejected": f"CASE (SELECT has_rejected {_OF_SAID}) WHEN 1 THEN (SELECT rejected {_OF_SAID})"
    " ELSE found.rejected END",
    "track": f"CASE WHEN (SELECT has_rejected AND rejected IS NOT NULL {_OF_SAID}) THEN NULL ELSE found.track END",
    **{name: f"coalesce((SELECT {name} {_OF_SAID}), found.{name})" for name in ("x0", "y0", "x1", "y1", *_LAID)},
}
_OF_STEADY = "FROM main.steady WHERE face_id = found.id"
_FOUND_STEADY: Mapping[str, str] = {name: f"coalesce((SELECT {name} {_OF_STEADY}), found.{name})" for name in STEADY}
_SAID_OR_STEADY: Mapping[str, str] = {
    name: f"coalesce((SELECT {name} {_OF_SAID}), (SELECT {name} {_OF_STEADY}), found.{name})"
    for name in STEADY
    if name != "keypoints"
} | {"keypoints": _FOUND_STEADY["keypoints"]}
"""What people said of a face is steady enough."""
_REMADE: Mapping[str, str] = {
    name: f"CASE (SELECT is_remade {_OF_SAID}) WHEN 1"
    f" THEN (SELECT {name} FROM main.remade WHERE face_id = found.id) ELSE found.{name} END"
    for name in OF_REMADE.names
    if name not in _LAID
}
"""Of a store in which networks have made anything of faces that were added or moved."""
_EXACTLY = (
    "SELECT number, face.id FROM main.corrected_face AS said JOIN main.source ON source.name = said.source"
    " AND (said.sha256 IS NULL OR source.sha256 = said.sha256)"
    " JOIN main.face ON face.source_id = source.id AND face.frame_idx = said.frame_idx AND face.idx = said.idx"
    " AND (face.x0, face.y0, face.x1, face.y1) = (said.x0, said.y0, said.x1, said.y1) WHERE correction_id = ?"
)
_HOLDING = (
    "SELECT correction.id, verb, persons, after, number,"
    f" CASE WHEN {SHOWN} THEN face.id ELSE {_UNSEEN} END, said.source, said.sha256, said.frame_idx, said.idx,"
    " said.x0, said.y0, said.x1, said.y1 FROM main.correction"
    " LEFT JOIN main.corrected_face AS said ON correction_id = correction.id"
    " LEFT JOIN main.source ON source.name = said.source AND (said.sha256 IS NULL OR source.sha256 = said.sha256)"
    " LEFT JOIN main.face ON face.source_id = source.id AND face.frame_idx = said.frame_idx AND face.idx = said.idx"
    " AND (face.x0, face.y0, face.x1, face.y1) = (said.x0, said.y0, said.x1, said.y1)"
    " WHERE NOT correction.undone > 0 ORDER BY correction.id, number"
)
_FACES_OF_FRAME = (
    f"SELECT id, x0, y0, x1, y1 FROM main.face WHERE source_id = ? AND frame_idx = ? AND {SHOWN} ORDER BY idx"
)
_HIDDEN = (
    "INSERT INTO temp.hidden SELECT face.id FROM main.face JOIN main.correction ON uid = face.added_by"
    " WHERE face.added_by IS NOT NULL AND (undone > 0 OR ?)"
)


@contextmanager
def connect_corrected(folder: Path, *, raw: bool = False, smooth: bool = False) -> Iterator[sqlite3.Connection]:
    """A store that is open for reading, as it is corrected, or as it was found; and as faces in tracks are steady.

    That is so too, unless it is to be as it was found, where the folder was made to show them so.

    Raises:
        StoreError: there is none that can be read, or what corrections say makes no sense.
    """
    with connect(folder, read_only=True) as db:
        is_smooth = smooth or (not raw and bool(config_in(db).get(SMOOTH)))
        (look_at_found if raw else look_through)(db, smooth=is_smooth)
        yield db


def look_at_found(db: sqlite3.Connection, *, smooth: bool = False) -> None:
    """Has an open store show faces as they were found from here on, without those that people added."""
    if smooth or has_additions(db):
        with _laying(db):
            _show(db, _FOUND_STEADY if smooth else {}, is_raw=True)


def has_additions(db: sqlite3.Connection) -> bool:
    """Whether anybody ever said of an open store that there is a face where none was found."""
    return db.execute("SELECT 1 FROM main.correction WHERE verb = ? LIMIT 1", (_ADDED,)).fetchone() is not None


def look_through(db: sqlite3.Connection, *, smooth: bool = False) -> None:
    """Has an open store show faces as they are corrected from here on; no changes can be written through it.

    Raises:
        ValueError, and others: a correction makes no sense.
    """
    query = "SELECT 1 FROM main.correction WHERE NOT undone > 0 OR verb = ? LIMIT 1"
    if smooth or db.execute(query, (_ADDED,)).fetchone():
        with _laying(db):
            _make(db, replayed(db), smooth=smooth)


@contextmanager
def _laying(db: sqlite3.Connection) -> Iterator[None]:
    """The view is made within, of one state of the store, also where no transaction has begun."""
    (is_query_only,) = db.execute("PRAGMA query_only").fetchone()
    db.execute("PRAGMA query_only = OFF")
    db.execute("SAVEPOINT corrections")
    try:
        yield
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


def of_persons(db: sqlite3.Connection, names: Sequence[str]) -> tuple[str, tuple[str, ...]]:
    """A query over an open store for the row numbers of all faces that may be these persons', and its values.

    It is answered by an index, also through corrections; "" are the faces that are nobody's.
    """
    marks = ", ".join("?" * len(names))
    parts = [f"SELECT id FROM main.face WHERE person IN ({marks})"]
    parts += ["SELECT id FROM main.face WHERE person IS NULL"] if "" in names else []
    values = tuple(names)
    if db.execute("SELECT 1 FROM temp.sqlite_master WHERE name = 'said'").fetchone():
        called = f"SELECT found FROM temp.called WHERE person IN ({marks})"
        parts += [f"SELECT id FROM main.face WHERE person IN ({called})"]
        parts += ["SELECT face_id FROM temp.said WHERE has_person"]
        values *= 2
    return " UNION ".join(parts), values


def replayed(db: sqlite3.Connection) -> Replayed:
    """What the corrections of an open store make of its faces.

    Raises:
        ValueError, and others: a correction makes no sense.
    """

    def found_person(number: int) -> str | None:
        person = db.execute("SELECT person FROM main.face WHERE id = ?", (number,)).fetchone()[0]
        return None if person is None else str(person)

    return replay(_holding(db), found_person=found_person)


def _holding(db: sqlite3.Connection) -> Iterator[tuple[Said, list[int]]]:
    """The corrections that hold, with the row numbers of their faces that are there.

    What is of no use here, as when something was said, is not looked at: there may be thousands of them.
    """
    for number, same in groupby(db.execute(_HOLDING), key=lambda row: row[0]):
        numbers: list[int | None] = []
        lost: dict[int, FaceAddress] = {}
        told: tuple[Any, ...] = ()
        try:
            for row in same:  # of which there may be a hundred thousand
                told, (place, face) = row[1:4], row[4:6]
                if place is not None:
                    if face is None:
                        lost[len(numbers)] = address_of_row(*row[6:])
                    numbers.append(face)
            said = Said.of_row(*told, faces=len(numbers))
        except DAMAGE as error:
            raise ValueError(f"correction {number!r:.40}: {error or type(error).__name__}") from error
        for place, found in (find_again(db, lost) if lost else {}).items():
            numbers[place] = found
        yield said, [face for face in numbers if face is not None and face != _UNSEEN]


def found_again(db: sqlite3.Connection, said: Correction) -> dict[int, int]:
    """The row numbers of a correction's faces, by their places in it, as far as they are there."""
    found = dict(db.execute(_EXACTLY, (said.id,)).fetchall()) if said.faces else {}
    if said.verb is Verb.ADD:
        found |= dict(db.execute("SELECT 0, id FROM main.face WHERE added_by = ?", (said.uid,)).fetchall())
    elsewhere = {place: face for place, face in enumerate(said.faces) if place not in found}
    return dict(sorted({**found, **find_again(db, elsewhere)}.items()))


def find_again(db: sqlite3.Connection, faces: Mapping[int, FaceAddress]) -> dict[int, int]:
    """The row numbers of faces, by their keys: each the face of its frame that overlaps most, by half or more."""
    frames: dict[tuple[str, str | None, int], list[int]] = {}
    for key, face in faces.items():
        frames.setdefault((face.frame.source, face.sha256, face.frame.index), []).append(key)
    found: dict[int, int] = {}
    for (source, sha256, index), keys in frames.items():
        source_id = _source_of(db, source, sha256)
        rows = db.execute(_FACES_OF_FRAME, (source_id, index)).fetchall()
        boxes = np.array([row[1:] for row in rows], np.float32).reshape(-1, 4)
        for key in keys if rows else ():
            overlaps = iou(np.array([faces[key].box], np.float32), boxes)[0]
            best = int(overlaps.argmax())
            if overlaps[best] >= _LEAST_IOU:
                found[key] = int(rows[best][0])
    return found


def number_of(db: sqlite3.Connection, face: FaceAddress) -> int | None:
    """The row number of a face, found again if need be; None: it is not there."""
    row = db.execute(
        "SELECT face.id FROM main.source JOIN main.face ON face.source_id = source.id WHERE name = ?"
        " AND (? IS NULL OR sha256 = ?) AND frame_idx = ? AND face.idx = ? AND (x0, y0, x1, y1) = (?, ?, ?, ?)",
        (face.frame.source, face.sha256, face.sha256, face.frame.index, face.index, *face.box),
    ).fetchone()
    return find_again(db, {0: face}).get(0) if row is None else int(row[0])


def _source_of(db: sqlite3.Connection, name: str, sha256: str | None) -> int | None:
    """The source of a face: that with its content, if several have it that with its name; by name if it is unknown."""
    if sha256 is None:
        row = db.execute("SELECT id FROM main.source WHERE name = ?", (name,)).fetchone()
    else:
        query = "SELECT id FROM main.source WHERE sha256 = ? ORDER BY name != ?, name LIMIT 1"
        row = db.execute(query, (sha256, name)).fetchone()
    return None if row is None else int(row[0])


def _make(db: sqlite3.Connection, now: Replayed, *, smooth: bool) -> None:
    """The view, and the tables that it looks things up in."""
    for text in _SAID:
        db.execute(text)
    for faces, columns, cells in _cells(db, now):
        marks = ", ".join("?" * len(columns))
        update = ", ".join(f"{name} = excluded.{name}" for name in columns)
        query = f"INSERT INTO temp.said (face_id, {', '.join(columns)}) VALUES (?, {marks})"
        rows = ((face, *cells(value)) for face, value in faces.items())
        db.executemany(f"{query} ON CONFLICT (face_id) DO UPDATE SET {update}", rows)
    db.executemany("INSERT INTO temp.called VALUES (?, ?)", now.people.aliases.items())
    masks = ((face, name, json.dumps(told)) for face, some in now.masks.items() for name, told in some.items())
    db.executemany("INSERT INTO temp.said_mask VALUES (?, ?, ?)", masks)
    has_remade = db.execute("SELECT 1 FROM temp.said WHERE is_remade LIMIT 1").fetchone() is not None
    _show(db, {**_COLUMNS, **(_REMADE if has_remade else {}), **(_SAID_OR_STEADY if smooth else {})}, is_raw=False)


def _show(db: sqlite3.Connection, columns: Mapping[str, str], *, is_raw: bool) -> None:
    """The view of faces, with these columns in place of what was found."""
    if is_raw:
        db.execute(_SAID[-1])
    db.execute(_HIDDEN, (is_raw,))
    has_hidden = db.execute("SELECT 1 FROM temp.hidden LIMIT 1").fetchone() is not None
    but = " WHERE found.id NOT IN (SELECT face_id FROM temp.hidden)" if has_hidden else ""
    names = ("id", "source_id", "frame_idx", *OF_FACES.names)
    shown = ", ".join(f"{columns.get(name, f'found.{name}')} AS {name}" for name in names)
    db.execute(f"CREATE TEMP VIEW face AS SELECT {shown} FROM main.face AS found{but}")


_Cells: TypeAlias = tuple[Mapping[int, Any], tuple[str, ...], Callable[[Any], Sequence[Any]]]
"""Something of faces, the columns of it, and what is in them."""


def _cells(db: sqlite3.Connection, now: Replayed) -> Iterator[_Cells]:
    yield now.people.faces, ("has_person", "person"), lambda person: (1, person)
    yield now.rejected, ("has_rejected", "rejected"), lambda reason: (1, reason)
    yield now.boxes, ("x0", "y0", "x1", "y1"), lambda box: box
    framing, remade = framing_of(config_in(db)), remade_faces(db, now)
    laid = {face: _laid(db, face, told, framing) for face, told in now.landmarks.items() if face not in remade}
    yield laid, _LAID, lambda cells: cells
    query = f"SELECT {', '.join(_LAID)}, 1 FROM main.remade WHERE face_id = ?"
    made = {face: db.execute(query, (face,)).fetchone() for face in remade}
    yield made, (*_LAID, "is_remade"), lambda cells: cells


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
