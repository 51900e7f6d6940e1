"""Rows of shots and tracks, from one store to another."""

import sqlite3
from collections.abc import Iterator
from typing import Any

from faceloom.store.given_rows import typed
from faceloom.store.steady_columns import STEADY

_WHOLE, _TEXT, _MAYBE_TEXT = ("INTEGER", True), ("TEXT", True), ("TEXT", False)
_STEADY_TYPES = (*[("REAL", True)] * 4, *[("BLOB", False)] * 3, _WHOLE, _WHOLE)


def copy_tracks(other: sqlite3.Connection, there: int, db: sqlite3.Connection, here: int) -> None:
    """Gives a source whose faces were copied the shots and tracks that another store has of it.

    Call within a transaction.

    Raises:
        ValueError: a row is none that faceloom could have written.
    """
    shots = _rows(other, "SELECT frame_idx FROM shot WHERE source_id = ?", there, (_WHOLE,))
    db.executemany("INSERT INTO shot VALUES (?, ?)", ((here, *row) for row in shots))
    tracked = _rows(other, "SELECT shots_of, tracks_of FROM tracked WHERE source_id = ?", there, (_MAYBE_TEXT, _TEXT))
    db.executemany("INSERT INTO tracked VALUES (?, ?, ?)", ((here, *row) for row in tracked))
    query = "SELECT track, frame_idx, idx FROM face WHERE source_id = ? AND track IS NOT NULL"
    faces = _rows(other, query, there, (_WHOLE,) * 3)
    update = "UPDATE face SET track = ? WHERE source_id = ? AND frame_idx = ? AND idx = ?"
    db.executemany(update, ((track, here, frame, index) for track, frame, index in faces))
    columns = ", ".join(STEADY)
    told = ", ".join(f"steady.{name}" for name in STEADY)
    query = f"SELECT {told}, frame_idx, idx FROM steady JOIN face ON face.id = face_id WHERE source_id = ?"
    insert = (
        f"INSERT INTO steady (face_id, {columns}) SELECT id, {', '.join('?' * len(STEADY))} FROM face"
        " WHERE source_id = ? AND frame_idx = ? AND idx = ?"
    )
    for *cells, frame, index in _rows(other, query, there, _STEADY_TYPES):
        db.execute(insert, (*cells, here, frame, index))


def _rows(
    db: sqlite3.Connection, query: str, source_id: int, types: tuple[tuple[str, bool], ...]
) -> Iterator[tuple[Any, ...]]:
    for row in db.execute(query, (source_id,)):
        yield typed(row, types)
