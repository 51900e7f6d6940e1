"""Saying: adding corrections to a store, undoing them, and saying them again, each in a transaction of its own.

No lock of the folder is held: a run that writes to it meanwhile commits between, and nothing of either is lost.
"""

import json
import sqlite3
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from faceloom.errors import DamagedStoreError, RequestError
from faceloom.faces import FrameId
from faceloom.geometry.affine import compose, scaling
from faceloom.store.adding import address_to_add, lay_row
from faceloom.store.again import CHIP_FILES
from faceloom.store.configuration import config_in, framing_of
from faceloom.store.corrections import (
    Correction,
    FaceAddress,
    Verb,
    insert_correction,
    redo_corrections,
    said_names,
    undo_corrections,
)
from faceloom.store.database import connect, transaction
from faceloom.store.remade import SHOWN
from faceloom.store.replay import Replayed
from faceloom.store.soundness import DAMAGE
from faceloom.store.view import chip_size_of, found_again, looking_through, replayed

_OF_CHIPS = frozenset({Verb.LANDMARKS, Verb.BOX, Verb.RESTORE, Verb.ADD})
"""After which chips are others, or have to be cut for the first time."""
_FACE = (
    "SELECT face.id, name, sha256, rejected, landmarks, x0, y0, x1, y1 FROM face"
    f" JOIN source ON source.id = source_id WHERE name = ? AND frame_idx = ? AND face.idx = ? AND {SHOWN}"
)
FacePlace = tuple[FrameId, int]
"""A frame, and the index of a face in it."""


@contextmanager
def saying(folder: Path) -> Iterator[sqlite3.Connection]:
    """A store in which corrections are changed, within one transaction that outlasts a loss of power.

    Raises:
        StoreError: there is none, it cannot be written, or what it holds makes no sense.
    """
    with connect(folder, read_only=True):  # one of an older version is brought up to date
        pass
    with connect(folder, read_only=False) as db:
        db.execute("PRAGMA synchronous = FULL")
        try:
            with transaction(db):
                yield db
        except RequestError:
            raise
        except DAMAGE as error:
            raise DamagedStoreError(f"the store of {folder} is damaged: {error}", path=folder) from error


def say(db: sqlite3.Connection, verb: Verb, places: Sequence[FacePlace], **told: Any) -> Correction:
    """Adds a correction of the faces at these places. Call it within `saying`.

    Raises:
        RequestError: there is no such face, or this cannot be said.
    """
    now = replayed(db)
    said = Correction.said(verb, faces=tuple(addressed(db, now, verb, *place) for place in places), **told)
    made = insert_correction(db, said)
    queue_chips(db, made)
    return made


def add_face(db: sqlite3.Connection, frame: FrameId, box: NDArray[np.float32]) -> Correction:
    """Adds a correction that there is a face, and its row. Call it within `saying`.

    Raises:
        RequestError: there is no such frame, a face is there already, or the box makes no sense.
    """
    said = Correction.said(Verb.ADD, faces=(address_to_add(db, replayed(db), frame, box),))
    made = insert_correction(db, said)
    lay_row(db, made)
    queue_chips(db, made)
    return made


def addressed(db: sqlite3.Connection, now: Replayed, verb: Verb, frame: FrameId, index: int) -> FaceAddress:
    """A face as a correction names it, with what holds of it until then.

    Raises:
        RequestError: there is no such face.
    """
    row = db.execute(_FACE, (frame.source, frame.index, index)).fetchone()
    if row is None:
        raise RequestError(f"there is no face {index} in frame {frame}; faceloom export --to jsonl lists faces")
    number, name, sha256, rejected, landmarks, *box = row
    match verb:
        case Verb.REJECT | Verb.RESTORE:
            before: Any = now.rejected.get(number, rejected)
        case Verb.BOX:
            before = list(now.boxes.get(number, box))
        case Verb.LANDMARKS:
            found = None if landmarks is None else np.frombuffer(landmarks, "<f4").reshape(68, 2).tolist()
            before = now.landmarks.get(number, found)
        case Verb.MASK | Verb.NOTE:
            before = None
        case _:
            before = now.people.of(number)
    x0, y0, x1, y1 = box
    return FaceAddress(
        frame=FrameId(name, frame.index), sha256=sha256, index=index, box=(x0, y0, x1, y1), before=before
    )


def queue_chips(db: sqlite3.Connection, said: Correction) -> None:
    """Has the next run cut the chips again that a correction, its end or its return changes."""
    if said.verb not in _OF_CHIPS or not config_in(db).get("chips"):
        return
    for number in found_again(db, said).values():
        query = "INSERT OR IGNORE INTO again (source_id, frame_idx, stage) SELECT source_id, frame_idx, ? FROM face"
        db.execute(f"{query} WHERE id = ?", (CHIP_FILES, number))


def mask_square(db: sqlite3.Connection, place: FacePlace, *, size: int) -> list[list[float]]:
    """Maps (x, y, 1) of the frame to a mask of this side over the square that the chip of a face shows.

    Raises:
        RequestError: there is no such face, or it has no landmarks, which chips are laid by.
    """
    frame, index = place
    with looking_through(db):
        query = (
            "SELECT landmarks, affine FROM face JOIN source ON source.id = source_id"
            " WHERE name = ? AND frame_idx = ? AND face.idx = ?"
        )
        landmarks, affine = db.execute(query, (frame.source, frame.index, index)).fetchone() or (None, None)
    if landmarks is None or affine is None:
        raise RequestError(f"face {index} of {frame} has no landmarks that tell where a mask lies")
    points, to_chip = np.frombuffer(landmarks, "<f4").reshape(68, 2), np.frombuffer(affine, "<f8").reshape(2, 3)
    factor = size / chip_size_of(points, to_chip, framing_of(config_in(db)))
    to_mask: list[list[float]] = compose(scaling(factor, factor), to_chip).tolist()
    return to_mask


def mark(db: sqlite3.Connection, some: Iterable[Correction], *, undone: bool) -> list[Correction]:
    """Undoes corrections, or says them again. Call it within `saying`."""
    changed = list(some)
    (undo_corrections if undone else redo_corrections)(db, [one.id for one in changed])
    for one in changed:
        if one.verb is Verb.ADD and not undone:
            lay_row(db, one)
        queue_chips(db, one)
    return [replace(one, is_undone=undone) for one in changed]


def is_somebody(db: sqlite3.Connection, now: Replayed, person: str) -> bool:
    """Whether any face is this person's."""
    faces, aliases = now.people.faces, now.people.aliases
    if person in faces.values():
        return True
    names = [found for found, one in aliases.items() if one == person]
    names += [] if person in aliases else [person]
    spoken_of = json.dumps(list(faces))
    query = (
        f"SELECT 1 FROM face WHERE person IN ({', '.join('?' * len(names))})"
        " AND id NOT IN (SELECT value FROM json_each(?)) LIMIT 1"
    )
    return db.execute(query, (*names, spoken_of)).fetchone() is not None


def all_names(db: sqlite3.Connection) -> set[str]:
    """Every name that a person has, or that anybody has ever given or taken."""
    found = {str(name) for (name,) in db.execute("SELECT DISTINCT person FROM face WHERE person IS NOT NULL")}
    return found | said_names(db)


def fresh_name(names: set[str]) -> str:
    """The name of a person whom nobody has named yet."""
    number = len(names) + 1
    return next(name for i in range(1, number + 1) if (name := f"person {i}") not in names)
