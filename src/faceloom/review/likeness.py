"""How far faces are from the others of their person, read some at a time so that embeddings never lie in memory."""

import json
import sqlite3
from collections.abc import Collection, Iterator
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from faceloom.errors import FaceloomError
from faceloom.flow import find_plugin
from faceloom.identify import Identifier
from faceloom.review.table import FaceTable, Rows
from faceloom.store.persons import read_identifier

_AT_ONCE = 1024
_FOUND_EMBEDDINGS = "SELECT id, embedding FROM main.face WHERE embedding IS NOT NULL"
_EMBEDDINGS = (
    f"{_FOUND_EMBEDDINGS} AND id NOT IN (SELECT value FROM json_each(:made)) UNION ALL"
    " SELECT face_id, embedding FROM main.remade"
    " WHERE embedding IS NOT NULL AND face_id IN (SELECT value FROM json_each(:made))"
)
_FAR = 0.5
_PERSONS_AT_ONCE = 256
_SLOPE = 0.25
"""How many of the distances at which faces are just alike it takes to be much less sure."""
_LEAST_LIKELY = 0.2


def distances(db: sqlite3.Connection, table: FaceTable) -> NDArray[np.float32]:
    """Of each face 1 less the cosine between it and the centre of its person; NaN for faces of nobody, or alone.

    Faces that are rejected do not count for the centre.
    """
    found = np.full(len(table), np.nan, np.float32)
    middles, counts = _centres(db, table)
    for rows, embeddings in _embeddings(db, table):
        persons = table.persons[rows]
        cosines = (embeddings * middles[persons]).sum(axis=1)
        found[rows] = np.where(counts[persons] > 1, 1 - cosines, np.nan)
    return found


def likely_pairs(
    db: sqlite3.Connection, table: FaceTable, *, alike: float, apart: Collection[frozenset[int]], most: int
) -> list[tuple[int, int, float]]:
    """Persons (by their places in the table's names) who may be one, with the cosine of their centres.

    Those of whom an answer settles most come first: it is more likely that they are one, and more faces would move.

    Args:
        db: the open store.
        table: its faces.
        alike: the cosine from which on faces are of one person.
        apart: persons of whom somebody said that they are different.
        most: how many are given at most.
    """
    centres, counts = _centres(db, table)
    there = np.flatnonzero(counts)
    found: list[tuple[float, int, int, float]] = []
    for begin in range(0, len(there), _PERSONS_AT_ONCE):
        some = there[begin : begin + _PERSONS_AT_ONCE]
        cosines = centres[some] @ centres[there].T
        likely = 1 / (1 + np.exp(np.clip((alike - cosines) / _SLOPE / max(1 - alike, 1e-3), -50, 50)))
        worth = likely * np.minimum(counts[some][:, None], counts[there][None])
        worth[there[None] <= some[:, None]] = 0  # each pair once
        least = min(most + len(apart), worth.size)
        best = np.argpartition(-worth, least - 1, axis=None)[:least]
        for row, column in zip(*np.unravel_index(best, worth.shape), strict=True):
            one, other = int(some[row]), int(there[column])
            if likely[row, column] > _LEAST_LIKELY and one < other and frozenset((one, other)) not in apart:
                found.append((-float(worth[row, column]), one, other, float(cosines[row, column])))
        found = sorted(found)[:most]
    return [(one, other, cosine) for _, one, other, cosine in found]


def _centres(db: sqlite3.Connection, table: FaceTable) -> tuple[NDArray[np.float32], NDArray[np.int64]]:
    """The mean direction of each person's faces (P, D), of unit length, and how many there are of which it is known."""
    sums = np.zeros((len(table.names), 1), np.float32)
    counts = np.zeros(len(table.names), np.int64)
    for rows, embeddings in _embeddings(db, table):
        if sums.shape[1] != embeddings.shape[1]:
            sums = np.zeros((len(table.names), embeddings.shape[1]), np.float32)
        counted = table.is_shown[rows]
        np.add.at(sums, table.persons[rows][counted], embeddings[counted])
        counts += np.bincount(table.persons[rows][counted], minlength=len(counts))
    norms = np.linalg.norm(sums, axis=1, keepdims=True)
    return np.asarray(sums / np.where(norms > 0, norms, 1), np.float32), counts


def farthest_alike(folder: Path) -> float:
    """The distance from the centre of a person beyond which the folder's identifier takes faces for others'."""
    try:
        plugin = find_plugin(*read_identifier(folder).split("/", 1))
    except FaceloomError:  # none is told, or it is not installed here
        return _FAR
    alike = plugin.same_person if issubclass(plugin, Identifier) else None
    return _FAR if alike is None else 1 - alike


def _embeddings(db: sqlite3.Connection, table: FaceTable) -> Iterator[tuple[Rows, NDArray[np.float32]]]:
    """The places and embeddings of faces that are somebody's, as many at a time as make no difference."""
    made = json.dumps(sorted(table.remade))
    cursor = db.execute(_EMBEDDINGS if table.remade else _FOUND_EMBEDDINGS, {"made": made} if table.remade else {})
    length = 0
    while rows := cursor.fetchmany(_AT_ONCE):
        length = length or len(rows[0][1])
        same = [(face, content) for face, content in rows if len(content) == length]  # of one identifier
        places = table.rows_of(np.array([face for face, _ in same], np.int64))
        vectors = np.frombuffer(b"".join(content for _, content in same), "<f4").reshape(len(same), -1)
        sound = (places >= 0) & np.isfinite(vectors).all(axis=1)
        sound[sound] = table.persons[places[sound]] >= 0
        yield places[sound], vectors[sound]
