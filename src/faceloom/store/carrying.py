"""Carrying corrections from one result folder to another, through a file or directly.

Faces are found again by the content of their source, their frame and how much their boxes overlap. A person
whom `faceloom group` named has another number in another folder, so with the corrections goes whose faces these were.
"""

import json
import sqlite3
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from faceloom.faces import FrameId
from faceloom.formats import checks
from faceloom.formats.record import decode_mask
from faceloom.store.adding import lay_row
from faceloom.store.corrections import (
    NAMING,
    Correction,
    FaceAddress,
    Verb,
    address_from_json,
    from_json,
    insert_correction,
    known_uids,
    png_of,
    select_corrections,
)
from faceloom.store.saying import all_names, fresh_name, queue_chips
from faceloom.store.view import connect_corrected, number_of

TITLE = "corrections"
_LOST_TOLD = 100
_ADDRESS = "name, sha256, frame_idx, face.idx, x0, y0, x1, y1 FROM main.face JOIN main.source ON source.id = source_id"


@dataclass(frozen=True, slots=True, kw_only=True)
class Witness:
    """A person as `faceloom group` named them in some folder, and their faces there."""

    person: str
    faces: tuple[FaceAddress, ...]

    def to_json(self) -> dict[str, Any]:
        """Gives it as a line of `faceloom corrections --export`."""
        return {"person": self.person, "faces": [face.to_json() for face in self.faces]}


@dataclass(slots=True, kw_only=True)
class Carried:
    """What has come of corrections that were carried to a folder."""

    added: int = 0
    known: int = 0
    """That were there already, by their uid."""
    lost: list[str] = field(default_factory=list)
    """What is not there to be corrected, in words: faces, and persons."""

    @property
    def told(self) -> list[str]:
        """What is not there, as a run tells it: the first of it one by one."""
        more = len(self.lost) - _LOST_TOLD
        return self.lost[:_LOST_TOLD] + ([f"{more:,} more corrections are not of what is here"] if more > 0 else [])

    def to_json(self) -> dict[str, Any]:
        """Gives it as `corrections --import --json` prints it."""
        return {"added": self.added, "known": self.known, "lost": self.lost}


def select_witnesses(db: sqlite3.Connection) -> Iterator[Witness]:
    """The persons of an open store that corrections speak of by the names that `faceloom group` gave them."""
    names = {name for one in select_corrections(db) if one.verb in NAMING for name in (*one.persons, one.after)}
    for person in sorted(name for name in names if name is not None):
        rows = db.execute(f"SELECT {_ADDRESS} WHERE person = ? ORDER BY name, frame_idx, face.idx", (person,))
        faces = tuple(
            FaceAddress(frame=FrameId(source, frame), sha256=sha256, index=index, box=(x0, y0, x1, y1))
            for source, sha256, frame, index, x0, y0, x1, y1 in rows
        )
        if faces:
            yield Witness(person=person, faces=faces)


def write_lines(folder: Path) -> Iterator[str]:
    """Lines of JSON: whom corrections speak of, and the corrections in their order.

    Raises:
        StoreError: the folder holds no store that can be read.
    """
    yield from (_line(one.to_json()) for one in told_in(folder))


def told_in(folder: Path) -> Iterator[Correction | Witness]:
    """Whom the corrections of a result folder speak of, and the corrections in their order.

    Raises:
        StoreError: the folder holds no store that can be read, or its corrections make no sense.
    """
    with connect_corrected(folder, raw=True) as db:
        db.execute("BEGIN")  # one state of it
        yield from select_witnesses(db)
        yield from select_corrections(db)


def _line(told: Mapping[str, Any]) -> str:
    return json.dumps(told, separators=(",", ":")) + "\n"


def read_lines(path: Path) -> Iterator[Correction | Witness]:
    """What such a file says, whoever wrote it.

    Raises:
        MediaError: it says something else.
    """
    with checks.reading(path, TITLE):
        for number, line in enumerate(checks.read_lines(path), start=1):
            try:
                yield _read(json.loads(line))
            except (ArithmeticError, AttributeError, LookupError, RecursionError, TypeError, ValueError) as error:
                raise ValueError(f"line {number}: {error or type(error).__name__}") from error


def _read(told: Any) -> Correction | Witness:
    if "verb" not in told:
        faces = tuple(address_from_json(face) for face in told["faces"])
        return Witness(person=checks.name(told["person"], "a person"), faces=faces)
    said = from_json(told)
    if said.verb is Verb.MASK:  # once, and not whenever it is read
        decode_mask(png_of(said.after), size=said.after["size"])
    return said


def take_in(db: sqlite3.Connection, told: Iterable[Correction | Witness]) -> Carried:
    """Adds corrections that are not there yet, of faces that are; call it within a transaction.

    What is said of persons who are not there is left out, so that it can come later.
    """
    carried, known, names = Carried(), known_uids(db), dict[str, str | None]()
    for one in told:
        if isinstance(one, Witness):
            names[one.person] = _named_here(db, one)
        elif one.uid in known:
            carried.known += 1
        else:
            _take(db, one, names, carried)
    return carried


def _take(db: sqlite3.Connection, said: Correction, names: Mapping[str, str | None], carried: Carried) -> None:
    missing = [person for person in said.persons if names.get(person, person) is None]
    if missing:
        carried.lost += [f"{said.verb} of {person!r}: none of these faces is here" for person in missing]
        return
    if said.verb is Verb.ADD:
        _add(db, said, carried)
        carried.added += 1
        return
    faces = tuple(_here(db, face, said, carried) for face in said.faces)
    persons = tuple(names.get(person) or person for person in said.persons)
    after = (names.get(said.after) or said.after) if said.verb in NAMING - {Verb.NAME} else said.after
    queue_chips(db, insert_correction(db, replace(said, faces=faces, persons=persons, after=after)))
    carried.added += 1


def _add(db: sqlite3.Connection, said: Correction, carried: Carried) -> None:
    """A face that somebody added is there from now on, or when its frame is."""
    made = insert_correction(db, said)
    if not said.is_undone and not lay_row(db, made):
        carried.lost.append(f"{said.verb} of {said.faces[0]}: no such frame is there, or it is not done yet")
    queue_chips(db, made)


def _here(db: sqlite3.Connection, face: FaceAddress, said: Correction, carried: Carried) -> FaceAddress:
    """Where a face is here; as it was if it is not, since it may come."""
    number = number_of(db, face)
    if number is None:
        carried.lost.append(f"{said.verb} of {face}: no face is there")
        return face
    source, sha256, frame, index, *box = db.execute(f"SELECT {_ADDRESS} WHERE face.id = ?", (number,)).fetchone()
    x0, y0, x1, y1 = box
    return replace(face, frame=FrameId(source, frame), sha256=sha256, index=index, box=(x0, y0, x1, y1))


def _named_here(db: sqlite3.Connection, one: Witness) -> str | None:
    """What a person is called here by `faceloom group`: as most of their faces are; or as there, if it never ran."""
    numbers = [number for face in one.faces if (number := number_of(db, face)) is not None]
    query = "SELECT person FROM main.face WHERE id = ?"
    found = Counter(db.execute(query, (number,)).fetchone()[0] for number in numbers)
    found.pop(None, None)
    if found:
        return str(min(found, key=lambda name: (-found[name], name)))
    if not numbers:
        return None
    names = all_names(db)
    name = fresh_name(names) if one.person in names else one.person
    db.executemany("UPDATE main.face SET person = ? WHERE id = ?", ((name, number) for number in numbers))
    return name
