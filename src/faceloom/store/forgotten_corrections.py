"""Corrections of faces that are forgotten: they go with them, and so do the names that nobody has then."""

import json
import sqlite3
from collections.abc import Collection
from dataclasses import replace

from faceloom.store.corrections import (
    NAMING,
    OF_PERSONS,
    Correction,
    FaceAddress,
    Verb,
    insert_faces,
    select_corrections,
)
from faceloom.store.lost import LostFaces
from faceloom.store.view import found_again, looking_through

_PERSONS = "SELECT DISTINCT person FROM face WHERE person IS NOT NULL AND"


def forget_corrections(db: sqlite3.Connection, lost: LostFaces) -> int:
    """Removes what was said of faces that are to be forgotten, which are still there; how many corrections went.

    What was said of others too stays for these. Call it within a transaction.

    Raises:
        ValueError, and others: a correction makes no sense.
    """
    corrections = list(select_corrections(db))
    names = _lost_names(db, lost, corrections)
    faces = {number for (number,) in db.execute(f"SELECT id FROM face WHERE {lost.condition}", lost.values)}
    digest = _digest_of(db, lost)
    return sum(_forget(db, one, faces, names, lost.name, digest) for one in corrections)


def _lost_names(db: sqlite3.Connection, lost: LostFaces, corrections: Collection[Correction]) -> frozenset[str]:
    """The names of persons who have no other faces, all that they ever were."""
    with looking_through(db):
        gone = {name for (name,) in db.execute(f"{_PERSONS} ({lost.condition})", lost.values)}
        alive = {name for (name,) in db.execute(f"{_PERSONS} NOT ({lost.condition})", lost.values)}
    gone -= alive
    for one in reversed(list(corrections)):
        if one.verb in OF_PERSONS and one.after in gone:
            gone |= {name for name in one.persons if name not in alive}
    return frozenset(gone)


def _digest_of(db: sqlite3.Connection, lost: LostFaces) -> str | None:
    """Of the content of a source that is to be forgotten, if no other has it."""
    if lost.source_id is None:
        return None
    query = (
        "SELECT sha256 FROM source WHERE id = ?"
        " AND (SELECT count(*) FROM source AS other WHERE other.sha256 = source.sha256) = 1"
    )
    row = db.execute(query, (lost.source_id,)).fetchone()
    return None if row is None else row[0]


def _forget(
    db: sqlite3.Connection,
    said: Correction,
    faces: Collection[int],
    names: Collection[str],
    source: str,
    digest: str | None,
) -> int:
    """Takes out of a correction what is forgotten; whether it went as a whole."""
    found = found_again(db, said)
    left = [
        replace(face, before=None if face.before in names else face.before) if isinstance(face.before, str) else face
        for place, face in enumerate(said.faces)
        if found.get(place) not in faces
        and (not source or face.frame.source != source)
        and (digest is None or face.sha256 != digest)
    ]
    persons = [name for name in said.persons if name not in names]
    least = 2 if said.verb in {Verb.SAME, Verb.DIFFERENT} else 1
    is_gone = len(left) < least if said.faces else not persons
    if is_gone or (said.verb in NAMING and said.after in names):
        db.execute("DELETE FROM correction WHERE id = ?", (said.id,))
        return 1
    if len(left) < len(said.faces) or any(a is not b for a, b in zip(left, said.faces, strict=True)):
        _rewrite(db, said.id, left)
    if len(persons) < len(said.persons):
        db.execute("UPDATE correction SET persons = ? WHERE id = ?", (json.dumps(persons), said.id))
    return 0


def _rewrite(db: sqlite3.Connection, number: int, faces: Collection[FaceAddress]) -> None:
    db.execute("DELETE FROM corrected_face WHERE correction_id = ?", (number,))
    insert_faces(db, number, faces)
