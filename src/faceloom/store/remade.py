"""What networks have made of faces that somebody added or moved, and whether that is of where the faces are now.

It stands in tables of its own, by the face, with a digest of what it was made of. So what is undone shows again what
was found, and what is said again shows again what was made of it.
"""

import hashlib
import json
import sqlite3
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from faceloom.store.configuration import config_in
from faceloom.store.replay import Replayed

_DETECTOR = "detect/"
_OF_RECIPE = ("results", "mask_size", "crop", "level", "precision", "raw_colours")
SHOWN = (
    "(face.added_by IS NULL OR NOT EXISTS"
    " (SELECT 1 FROM main.correction AS adding WHERE adding.uid = face.added_by AND adding.undone > 0))"
)
"""The condition that a row of the table `face` was found, or added by a correction that holds."""
_ADDED = (
    "SELECT face.id FROM main.face JOIN main.correction ON uid = face.added_by WHERE NOT undone > 0 ORDER BY face.id"
)


def recipe_of(config: Mapping[str, Any]) -> str:
    """Of a folder's configuration, what is made of a box depends on, as a text."""
    stages = {stage: told for stage, told in config.get("stages", {}).items() if not stage.startswith(_DETECTOR)}
    chips = (config.get("chips") or {}).get("size")
    told = {name: config.get(name) for name in _OF_RECIPE}
    return json.dumps({**told, "stages": stages, "chips": chips}, sort_keys=True)


def made_of(recipe: str, box: Sequence[float], landmarks: Sequence[Sequence[float]] | None) -> str:
    """The digest of a box, of landmarks if somebody said where they are, and of what is made of them."""
    told = json.dumps([recipe, list(box), landmarks])
    return hashlib.sha256(told.encode()).hexdigest()


def changed_faces(db: sqlite3.Connection, now: Replayed) -> Iterator[tuple[int, Sequence[float], Any, str]]:
    """Row number, box, landmarks if they were said, and digest, of every face that is there and was added or moved."""
    added = {face for (face,) in db.execute(_ADDED)}
    faces = sorted(added | now.boxes.keys() | now.landmarks.keys())
    recipe = recipe_of(config_in(db)) if faces else ""
    for face in faces:
        box = now.boxes.get(face)
        if box is None:
            box = db.execute("SELECT x0, y0, x1, y1 FROM main.face WHERE id = ?", (face,)).fetchone()
        landmarks = now.landmarks.get(face)
        yield face, box, landmarks, made_of(recipe, box, landmarks)


def remade_faces(db: sqlite3.Connection, now: Replayed) -> frozenset[int]:
    """The faces of which networks have made what there is to be made of them, where they are now."""
    if db.execute("SELECT 1 FROM main.remade LIMIT 1").fetchone() is None:
        return frozenset()
    digest = "SELECT made_of FROM main.remade WHERE face_id = ?"
    return frozenset(
        face for face, _, _, made in changed_faces(db, now) if db.execute(digest, (face,)).fetchone() == (made,)
    )
