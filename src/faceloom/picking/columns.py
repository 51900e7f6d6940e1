"""The faces of a result folder in columns, as they are corrected: what is picked and sorted by."""

import sqlite3
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

from faceloom.results.filters import FaceFilter
from faceloom.store.times import time_of

Rows: TypeAlias = NDArray[np.intp]
"""Places in the columns."""
NUMBERS = ("score", "size", "quality", "sharpness", "pitch", "yaw", "roll", "border", "time")
COLUMN_BYTES = 1200
"""RAM that a face takes in the columns, in what is kept of its look, and in groups and lists (measured, at most)."""
_AT_ONCE = 4096
_CELLS = (
    "face.id, name, frame_idx, face.idx, person, chip IS NOT NULL, track, ticks, time_base, score,"
    " max(x1 - x0, y1 - y0), quality, sharpness, pitch, yaw, roll, made_up"
)
# CROSS JOIN holds SQLite to this order of the tables, in which rows come sorted.
_QUERY = (
    f"SELECT {_CELLS} FROM source CROSS JOIN face ON face.source_id = source.id"
    " JOIN frame ON frame.source_id = source.id AND frame.idx = frame_idx WHERE rejected IS NULL"
)
_FIRST_NUMBER = 9
"""The place of the score among the cells."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class FaceColumns:
    """Faces sorted by source, frame and index; all columns are of one length, N."""

    ids: NDArray[np.int64]
    """Row numbers in the store."""
    sources: NDArray[np.int32]
    """Places in `source_names`."""
    frames: NDArray[np.int64]
    indexes: NDArray[np.int64]
    persons: NDArray[np.int32]
    """Places in `person_names`; -1: nobody's."""
    has_chip: NDArray[np.bool_]
    tracks: NDArray[np.int64]
    """Numbers of tracks, from 1 in each source; -1: in none."""
    numbers: Mapping[str, NDArray[np.float64]]
    """By the names of `NUMBERS`: pixels, degrees, seconds and shares; NaN where nobody knows."""
    source_names: tuple[str, ...]
    person_names: tuple[str, ...]

    def __len__(self) -> int:
        return len(self.ids)

    def person(self, row: int) -> str | None:
        """Whose face it is; None: nobody's."""
        code = int(self.persons[row])
        return None if code < 0 else self.person_names[code]

    def line(self, row: int) -> dict[str, Any]:
        """What a list tells of the face; its place as the metadata of chips has it."""
        told: dict[str, Any] = {
            "source": self.source_names[int(self.sources[row])],
            "frame": int(self.frames[row]),
            "index": int(self.indexes[row]),
            "person": self.person(row),
            "track": int(self.tracks[row]) if self.tracks[row] >= 0 else None,
        }
        return told | {name: number_or_none(values[row]) for name, values in self.numbers.items()}


def number_or_none(value: float | np.floating[Any], digits: int = 4) -> float | None:
    """A number for a list, rounded; None where nobody knows it."""
    return round(float(value), digits) if np.isfinite(value) else None


def read_columns(db: sqlite3.Connection, asked: FaceFilter) -> FaceColumns:
    """The faces of an open store that nobody rejected and that meet the conditions, as it shows them.

    Raises:
        ValueError, and others: a row holds something else than was once written there.
    """
    where, values = asked.condition
    sources: dict[str, int] = {}
    persons: dict[str, int] = {}
    blocks = [
        _block(rows, sources, persons)
        for rows in _batches(db.execute(f"{_QUERY}{where} ORDER BY name, frame_idx, face.idx", values))
    ]
    whole, numbers = (
        np.concatenate(parts, axis=1) if parts else np.zeros((height, 0), dtype)
        for parts, height, dtype in (
            ([one for one, _ in blocks], 7, np.int64),
            ([one for _, one in blocks], len(NUMBERS), np.float64),
        )
    )
    return FaceColumns(
        ids=whole[0],
        sources=whole[1].astype(np.int32),
        frames=whole[2],
        indexes=whole[3],
        persons=whole[4].astype(np.int32),
        has_chip=whole[5].astype(np.bool_),
        tracks=whole[6],
        numbers=dict(zip(NUMBERS, numbers, strict=True)),
        source_names=tuple(sources),
        person_names=tuple(persons),
    )


def _batches(cursor: sqlite3.Cursor) -> Iterator[list[tuple[Any, ...]]]:
    while rows := cursor.fetchmany(_AT_ONCE):
        yield rows


def _block(
    rows: Sequence[tuple[Any, ...]], sources: dict[str, int], persons: dict[str, int]
) -> tuple[NDArray[Any], NDArray[Any]]:
    """Whole numbers (7, n) and measures (9, n) of some faces."""
    whole = [
        (
            number,
            sources.setdefault(str(source), len(sources)),
            frame,
            index,
            persons.setdefault(str(person), len(persons)) if person else -1,
            has_chip,
            -1 if track is None else track,
        )
        for number, source, frame, index, person, has_chip, track, *_ in rows
    ]
    measures = [(*row[_FIRST_NUMBER:], _seconds(row[7], row[8])) for row in rows]
    return np.array(whole, np.int64).T, np.array(measures, np.float64).T  # None becomes NaN


def _seconds(ticks: object, time_base: object) -> float | None:
    time = time_of(ticks, time_base)
    return None if time is None else float(time)


def read_chips(db: sqlite3.Connection, ids: NDArray[np.int64]) -> Iterator[str | None]:
    """The paths of chips below the result folder, one after the other."""
    for number in ids.tolist():
        (chip,) = db.execute("SELECT chip FROM face WHERE id = ?", (number,)).fetchone()
        yield None if chip is None else str(chip)


def read_points(db: sqlite3.Connection, ids: NDArray[np.int64]) -> Iterator[NDArray[np.float32] | None]:
    """Landmarks (68, 2) in frame pixels, one face after the other; None where there are none."""
    for number in ids.tolist():
        (content,) = db.execute("SELECT landmarks FROM face WHERE id = ?", (number,)).fetchone()
        yield None if content is None else np.frombuffer(content, "<f4").reshape(68, 2)


def read_placed_points(db: sqlite3.Connection, ids: NDArray[np.int64]) -> Iterator[NDArray[np.float32] | None]:
    """Landmarks (68, 2) as shares of the longer side of the frame, likewise; None also where its size is not known."""
    query = (
        "SELECT landmarks, max(frame.width, frame.height) FROM face"
        " JOIN frame ON frame.source_id = face.source_id AND frame.idx = frame_idx WHERE face.id = ?"
    )
    for number in ids.tolist():
        content, side = db.execute(query, (number,)).fetchone()
        is_known = content is not None and side
        yield (np.frombuffer(content, "<f4").reshape(68, 2) / side).astype(np.float32) if is_known else None


def embedding_length(db: sqlite3.Connection) -> int:
    """How many numbers the embeddings of an open store have; 0: there are none, or they are of several lengths."""
    query = "SELECT DISTINCT length(embedding) FROM face WHERE embedding IS NOT NULL AND rejected IS NULL LIMIT 2"
    lengths = db.execute(query).fetchall()
    return lengths[0][0] // 4 if len(lengths) == 1 else 0


def read_embeddings_of(db: sqlite3.Connection, ids: NDArray[np.int64], *, length: int) -> NDArray[np.float32]:
    """Embeddings (N, length); NaN where a face has none."""
    found = np.full((len(ids), length), np.nan, np.float32)
    for row, number in enumerate(ids.tolist()):
        (content,) = db.execute("SELECT embedding FROM face WHERE id = ?", (number,)).fetchone()
        if content is not None:
            found[row] = np.frombuffer(content, "<f4")
    return found
