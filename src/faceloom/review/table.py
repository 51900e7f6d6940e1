"""The faces of a result folder in columns, some dozens of bytes a face: what lists of any order are made of."""

import sqlite3
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from types import MappingProxyType
from typing import Any, Self, TypeAlias

import numpy as np
from numpy.typing import NDArray

from faceloom.geometry.pose import fit_pose
from faceloom.store.remade import remade_faces
from faceloom.store.replay import BY_HAND, Replayed

Rows: TypeAlias = NDArray[np.int64]
"""Places in the columns."""
_AT_ONCE = 4096
_NUMBERS = ("score", "size", "quality", "sharpness", "pitch", "yaw", "roll", "made_up")
_REMADE = ("quality", "sharpness", "pitch", "yaw", "roll", "made_up")
_COLUMNS = ("ids", "sources", "frames", "indexes", "persons", "reasons", "has_chip")
_QUERY = (
    "SELECT id, source_id, frame_idx, idx, score, max(x1 - x0, y1 - y0), quality, sharpness, pitch, yaw, roll, made_up,"
    " person, rejected, chip IS NOT NULL FROM main.face"
)
FACE_BYTES = 160
"""RAM that a face takes in the columns, with two lists of it and while they are read."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class FaceTable:
    """Every face of a result folder, sorted by source, frame and index; all columns are of one length."""

    ids: NDArray[np.int64]
    """Row numbers in the store."""
    sources: NDArray[np.int64]
    """Row numbers of the sources."""
    frames: NDArray[np.int64]
    indexes: NDArray[np.int64]
    numbers: Mapping[str, NDArray[np.float32]]
    """By name; NaN where nobody knows."""
    persons: NDArray[np.int32]
    """Places in `names`; -1: nobody's."""
    names: tuple[str, ...]
    reasons: NDArray[np.int32]
    """Places in `kinds`; -1: not rejected."""
    kinds: tuple[str, ...]
    """What faces were rejected by: the name of a filter, or `hand`."""
    has_chip: NDArray[np.bool_]
    by_id: Rows
    """The places in the order of the ids."""
    remade: frozenset[int] = frozenset()
    """The ids of faces that networks have looked at anew since they were added or moved."""

    def __len__(self) -> int:
        return len(self.ids)

    @property
    def is_shown(self) -> NDArray[np.bool_]:
        """Which faces nobody rejected."""
        return self.reasons < 0

    def rows_of(self, ids: NDArray[np.int64]) -> Rows:
        """The places of faces by their ids; -1 where there is none any more."""
        if not len(self):
            return np.full(len(ids), -1, np.int64)
        found = self.by_id[np.minimum(np.searchsorted(self.ids, ids, sorter=self.by_id), len(self) - 1)]
        return np.where(self.ids[found] == ids, found, -1)

    def without(self, ids: Collection[int]) -> Self:
        """The same without some faces."""
        if not ids:
            return self
        kept = ~np.isin(self.ids, np.fromiter(ids, np.int64, len(ids)))
        columns = {name: getattr(self, name)[kept] for name in _COLUMNS}
        numbers = {name: values[kept] for name, values in self.numbers.items()}
        return replace(self, **columns, numbers=numbers, by_id=np.argsort(columns["ids"]))

    def of_person(self, name: str | None) -> NDArray[np.bool_]:
        """Which faces are a person's, or with None nobody's; also those that are rejected."""
        code = -1 if name is None else self.names.index(name) if name in self.names else -2
        return np.asarray(self.persons == code)


def read_table(db: sqlite3.Connection) -> FaceTable:
    """The faces of an open store, as they were found.

    Raises:
        ValueError, and others: a row holds something else than was once written there.
    """
    (count,) = db.execute("SELECT count(*) FROM main.face").fetchone()
    whole = np.empty((4, count), np.int64)
    numbers = np.empty((len(_NUMBERS), count), np.float32)
    persons, reasons = np.full(count, -1, np.int32), np.full(count, -1, np.int32)
    has_chip = np.zeros(count, np.bool_)
    names: dict[str, int] = {}
    kinds: dict[str, int] = {}
    cursor, first = db.execute(_QUERY), 0
    while first < count and (rows := cursor.fetchmany(min(_AT_ONCE, count - first))):
        part = slice(first, first + len(rows))
        columns = list(zip(*rows, strict=True))
        whole[:, part] = np.array(columns[:4], np.int64)
        numbers[:, part] = np.array(columns[4:12], np.float32)  # None becomes NaN
        persons[part] = [_code(names, name) for name in columns[12]]
        reasons[part] = [_code(kinds, _kind(reason)) for reason in columns[13]]
        has_chip[part] = columns[14]
        first += len(rows)
    order = _in_order(db, whole[:, :first])
    ids = whole[0, order]
    return FaceTable(
        ids=ids,
        sources=whole[1, order],
        frames=whole[2, order],
        indexes=whole[3, order],
        numbers={name: values[order] for name, values in zip(_NUMBERS, numbers, strict=True)},
        persons=persons[order],
        names=tuple(names),
        reasons=reasons[order],
        kinds=tuple(kinds),
        has_chip=has_chip[order],
        by_id=np.argsort(ids),
    )


def _in_order(db: sqlite3.Connection, whole: NDArray[np.int64]) -> Rows:
    """By source, frame and index."""
    sources = np.array(db.execute("SELECT id FROM main.source ORDER BY name").fetchall(), np.int64).reshape(-1)
    by_id = np.argsort(sources)
    ranks = by_id[np.minimum(np.searchsorted(sources, whole[1], sorter=by_id), max(0, len(sources) - 1))]
    return np.lexsort((whole[3], whole[2], ranks))


def _code(codes: dict[str, int], text: str | None) -> int:
    return -1 if text is None else codes.setdefault(str(text), len(codes))


def _kind(reason: str | None) -> str | None:
    """What a reason begins with, which is the filter that it is of."""
    return None if reason is None else str(reason).partition(":")[0][:40]


def as_corrected(db: sqlite3.Connection, table: FaceTable, now: Replayed) -> FaceTable:
    """The faces of an open store as they are corrected, of all that have a row."""
    return corrected(table.without(hidden_faces(db)), now, _remade_numbers(db, now))


def hidden_faces(db: sqlite3.Connection, *, raw: bool = False) -> list[int]:
    """The row numbers of faces that somebody added, and then said not to have; with `raw` of all that were added."""
    query = "SELECT face.id FROM main.face JOIN main.correction ON uid = face.added_by WHERE undone > 0 OR ?"
    return [number for (number,) in db.execute(query, (raw,))]


def _remade_numbers(db: sqlite3.Connection, now: Replayed) -> dict[int, tuple[float | None, ...]]:
    """The numbers of `_REMADE` of faces that networks have looked at anew, by row number."""
    query = f"SELECT {', '.join(_REMADE)} FROM main.remade WHERE face_id = ?"
    return {face: db.execute(query, (face,)).fetchone() for face in remade_faces(db, now)}


def corrected(
    table: FaceTable, now: Replayed, remade: Mapping[int, tuple[float | None, ...]] = MappingProxyType({})
) -> FaceTable:
    """The same faces as they are corrected: whose they are, which are rejected, how large they are and how turned."""
    persons, names = _corrected_persons(table, now)
    reasons, kinds = _corrected_reasons(table, now)
    numbers = {name: values.copy() for name, values in table.numbers.items()}
    for place, box in _there(table, now.boxes):
        numbers["size"][place] = max(box[2] - box[0], box[3] - box[1])
    for place, landmarks in _there(table, now.landmarks):
        for name, angle in zip(("pitch", "yaw", "roll"), fit_pose(np.array(landmarks, np.float32)), strict=True):
            numbers[name][place] = angle
    for place, made in _there(table, remade):
        for name, value in zip(_REMADE, made, strict=True):
            numbers[name][place] = np.nan if value is None else value
    return replace(
        table,
        persons=persons,
        names=names,
        reasons=reasons,
        kinds=kinds,
        numbers=numbers,
        remade=frozenset(remade),
    )


def _corrected_persons(table: FaceTable, now: Replayed) -> tuple[NDArray[np.int32], tuple[str, ...]]:
    codes = {name: code for code, name in enumerate(table.names)}
    aliases = now.people.aliases
    called = [_code(codes, aliases.get(name, name)) for name in table.names]
    persons = np.array([*called, -1], np.int32)[table.persons]
    said = now.people.faces
    places = table.rows_of(np.fromiter(said, np.int64, len(said)))
    whose = np.fromiter((_code(codes, name) for name in said.values()), np.int32, len(said))
    persons[places[places >= 0]] = whose[places >= 0]
    return persons, tuple(codes)


def _corrected_reasons(table: FaceTable, now: Replayed) -> tuple[NDArray[np.int32], tuple[str, ...]]:
    kinds = {kind: code for code, kind in enumerate(table.kinds)}
    by_hand, reasons = _code(kinds, BY_HAND), table.reasons.copy()
    for place, reason in _there(table, now.rejected):
        reasons[place] = -1 if reason is None else by_hand
    return reasons, tuple(kinds)


def _there(table: FaceTable, said: Mapping[int, Any]) -> Sequence[tuple[int, Any]]:
    """What is said of faces, by their places, as far as they are there."""
    places = table.rows_of(np.fromiter(said, np.int64, len(said))).tolist()
    return [(place, told) for place, told in zip(places, said.values(), strict=True) if place >= 0]
