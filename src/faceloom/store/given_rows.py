"""Rows of a store that may have come from anybody: every value is held to the type that runs write."""

import math
import sqlite3
from collections.abc import Iterator, Mapping, Sequence
from pathlib import PurePosixPath
from typing import Any, TypeAlias

from faceloom.geometry.drawings import Drawing
from faceloom.store.columns import OF_FACES, OF_REMADE
from faceloom.store.configuration import is_size
from faceloom.store.folder import CHIPS, file_name

FRAME = "idx, ticks, seek_ticks, height, width, status, reason, look, fault"
AGAIN = "frame_idx, stage, reason"
MASK_CONTENT: Mapping[str, str] = {"mask": "png", "drawn_mask": "drawing"}
"""The column that holds a mask, by its table."""
CHIP = OF_FACES.names.index("chip")
"""The place of the path among the cells of a face."""
_OWN = tuple(OF_FACES.names.index(name) for name in ("person", "track"))
REMADE: Mapping[str, str] = {"remade": f"made_of, {OF_REMADE}", "remade_mask": "name, size, png, drawing"}
"""The columns of what networks made of faces that were added or moved, by the table."""
_ADDED_BY, _MARK = (OF_FACES.names.index(name) for name in ("added_by", "mark"))
_FACE_TYPES = tuple(OF_FACES.types[name] for name in OF_FACES.names)
_WHOLE, _MAYBE_WHOLE, _TEXT, _MAYBE_TEXT = ("INTEGER", True), ("INTEGER", False), ("TEXT", True), ("TEXT", False)
_FRAME_TYPES = (_WHOLE, *[_MAYBE_WHOLE] * 4, _TEXT, _MAYBE_TEXT, _WHOLE, _MAYBE_TEXT)
_REMADE_TYPES = (_TEXT, *(OF_REMADE.types[name] for name in OF_REMADE.names))
_AGAIN_TYPES = (_WHOLE, _TEXT, _MAYBE_TEXT)
_PYTHON_TYPES: Mapping[str, tuple[type, ...]] = {
    "INTEGER": (int,),
    "REAL": (float, int),
    "TEXT": (str,),
    "BLOB": (bytes,),
}

Row: TypeAlias = tuple[str, tuple[Any, ...]]
"""A table, and the cells of a row but for the numbers of its source and face."""


def rows_of(db: sqlite3.Connection, source_id: int) -> Iterator[Row]:
    """All that a store holds of a source, in a fixed order: frames, what is to be done again, faces with their masks.

    Persons are left out, since each store numbers its own, and so are tracks, which follow from all else.

    Raises:
        ValueError, TypeError: a row is none that a run could have written.
    """
    for row in db.execute(f"SELECT {FRAME} FROM frame WHERE source_id = ? ORDER BY idx", (source_id,)):
        yield "frame", typed(row, _FRAME_TYPES)
    query = f"SELECT {AGAIN} FROM again WHERE source_id = ? ORDER BY frame_idx, stage"
    for row in db.execute(query, (source_id,)):
        yield "again", typed(row, _AGAIN_TYPES)
    query = f"SELECT id, frame_idx, {OF_FACES} FROM face WHERE source_id = ? ORDER BY frame_idx, idx"
    for face_id, frame, *cells in db.execute(query, (source_id,)):
        for place in _OWN:
            cells[place] = None
        OF_FACES.values(typed(cells, _FACE_TYPES))
        yield "face", (*typed((frame,), (_WHOLE,)), *cells)
        for table, content in MASK_CONTENT.items():
            query = f"SELECT name, size, {content} FROM {table} WHERE face_id = ? ORDER BY name"
            for mask in db.execute(query, (face_id,)):
                yield table, _mask(table, *mask)
        yield from _remade(db, face_id)


def found_rows_of(db: sqlite3.Connection, source_id: int) -> Iterator[Row]:
    """The same without what came of corrections, and of tracks.

    Raises:
        ValueError, TypeError: a row is none that a run could have written.
    """
    is_found = True
    for table, row in rows_of(db, source_id):
        if table == "face":
            is_found = row[1 + _ADDED_BY] is None and row[1 + _MARK] is None
        if table in {"frame", "again"} or (is_found and table not in REMADE):
            yield table, row


def _remade(db: sqlite3.Connection, face_id: int) -> Iterator[Row]:
    """What networks made of a face that was added or moved."""
    for row in db.execute(f"SELECT {REMADE['remade']} FROM remade WHERE face_id = ?", (face_id,)):
        OF_REMADE.values(typed(row, _REMADE_TYPES)[1:])
        yield "remade", tuple(row)
    query = f"SELECT {REMADE['remade_mask']} FROM remade_mask WHERE face_id = ? ORDER BY name"
    for row in db.execute(query, (face_id,)):
        yield "remade_mask", typed(row, (_TEXT, _WHOLE, ("BLOB", False), _MAYBE_TEXT))
        _, size, png, drawing = row
        if not is_size(size) or (png is None) == (drawing is None):
            raise ValueError(f"a mask has a size of {size!r:.40}, or is none")
        if drawing is not None:
            Drawing.parse(drawing)


def _mask(table: str, name: Any, size: Any, content: Any) -> tuple[Any, ...]:
    if not is_size(size):
        raise ValueError(f"a mask has a size of {size!r:.40}")
    if table == "drawn_mask":
        Drawing.parse(content)
    return typed((name, size, content), (_TEXT, _WHOLE, ("BLOB", True) if table == "mask" else _TEXT))


def passed_over_of(db: sqlite3.Connection) -> Iterator[tuple[Any, ...]]:
    """Path, name and reason of what a store has noted to be no source.

    Raises:
        ValueError: a row is none that a run could have written.
    """
    for row in db.execute("SELECT path, name, why FROM passed_over"):
        yield typed(row, (("BLOB", True), _TEXT, _TEXT))


def typed(cells: Sequence[Any], types: Sequence[tuple[str, bool]]) -> tuple[Any, ...]:
    """The cells of a row, if each has the type of its column, and numbers are some.

    Raises:
        ValueError: one has another.
    """
    for cell, (type_, is_required) in zip(cells, types, strict=True):
        if cell is None and not is_required:
            continue
        if not isinstance(cell, _PYTHON_TYPES[type_]) or (isinstance(cell, float) and not math.isfinite(cell)):
            raise ValueError(f"{cell!r:.60} stands where there is a {type_} in stores of ours")
    return tuple(cells)


def check_chip(chip: str | None, name: str) -> None:
    """Holds the place of a chip of a source to where runs lay it.

    Raises:
        ValueError: it is another.
    """
    above = f"{CHIPS}/{file_name(name)}/"
    if chip is not None and not (chip.startswith(above) and _is_plain(chip.removeprefix(above))):
        raise ValueError(f"{chip!r:.80} is no place of a chip of {name!r:.80}")


def _is_plain(name: str) -> bool:
    return bool(name) and PurePosixPath(name).name == name and "\0" not in name and name != ".."
