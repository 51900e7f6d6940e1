"""Notes on sources: the column that says what was done to them, and adding to it."""

import json
import sqlite3
from collections import Counter
from collections.abc import Iterable

from faceloom.media.notes import merged


def read_notes(cell: str | None) -> tuple[str, ...]:
    """The notes in a row of a source."""
    return tuple(map(str, json.loads(cell))) if cell else ()


def add_notes(db: sqlite3.Connection, source_id: int, notes: Iterable[str]) -> None:
    """Adds notes to those that a source has; call it within a transaction."""
    if not (new := merged(notes)):
        return
    (cell,) = db.execute("SELECT notes FROM source WHERE id = ?", (source_id,)).fetchone()
    text = json.dumps(merged(read_notes(cell), new))
    if text != cell:
        db.execute("UPDATE source SET notes = ? WHERE id = ?", (text, source_id))


def count_notes(db: sqlite3.Connection) -> dict[str, int]:
    """How many sources have each note."""
    cells = db.execute("SELECT notes FROM source WHERE notes IS NOT NULL")
    return dict(sorted(Counter(note for (cell,) in cells for note in read_notes(cell)).items()))
