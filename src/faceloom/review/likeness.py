"""How far faces are from the others of their person, read some at a time so that embeddings never lie in memory."""

import sqlite3
from collections.abc import Iterator
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from faceloom.errors import FaceloomError
from faceloom.flow import find_plugin
from faceloom.identify import Identifier
from faceloom.review.table import FaceTable, Rows
from faceloom.store.persons import read_identifier

_AT_ONCE = 1024
_FAR = 0.5


def distances(db: sqlite3.Connection, table: FaceTable) -> NDArray[np.float32]:
    """Of each face 1 less the cosine between it and the centre of its person; NaN for faces of nobody, or alone.

    Faces that are rejected do not count for the centre.
    """
    found = np.full(len(table), np.nan, np.float32)
    sums: NDArray[np.float32] | None = None
    for rows, embeddings in _embeddings(db, table):
        if sums is None:
            sums = np.zeros((len(table.names), embeddings.shape[1]), np.float32)
        counted = table.is_shown[rows]
        np.add.at(sums, table.persons[rows][counted], embeddings[counted])
    if sums is None:
        return found
    counts = np.bincount(table.persons[table.is_shown & (table.persons >= 0)], minlength=len(table.names))
    norms = np.linalg.norm(sums, axis=1)
    for rows, embeddings in _embeddings(db, table):
        persons = table.persons[rows]
        with np.errstate(invalid="ignore", divide="ignore"):
            cosines = (embeddings * sums[persons]).sum(axis=1) / norms[persons]
        found[rows] = np.where(counts[persons] > 1, 1 - cosines, np.nan)
    return found


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
    cursor = db.execute("SELECT id, embedding FROM main.face WHERE embedding IS NOT NULL")
    length = 0
    while rows := cursor.fetchmany(_AT_ONCE):
        length = length or len(rows[0][1])
        same = [(face, content) for face, content in rows if len(content) == length]  # of one identifier
        places = table.rows_of(np.array([face for face, _ in same], np.int64))
        vectors = np.frombuffer(b"".join(content for _, content in same), "<f4").reshape(len(same), -1)
        sound = (places >= 0) & np.isfinite(vectors).all(axis=1)
        sound[sound] = table.persons[places[sound]] >= 0
        yield places[sound], vectors[sound]
