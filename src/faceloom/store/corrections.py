"""Corrections: what people said of faces and persons, in two tables beside what networks found.

Nothing of them is ever written over what was found: `replay` makes of the two what readers see. A face is named by
where it was found (source, frame, index, box), so that it is known again after it was found anew.
"""

import base64
import binascii
import json
import secrets
import sqlite3
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from enum import StrEnum
from itertools import chain, groupby
from sys import intern
from typing import Any, Self

import numpy as np

from faceloom.errors import RequestError
from faceloom.faces import FrameId
from faceloom.formats import checks
from faceloom.geometry.landmarks import INNER

_UID_BYTES = 16
_MOST_FACES = 10_000_000
_MOST_DIFFERENT = 100
_MOST_MASK_PX = 1 << 13
_COLUMNS = "id, uid, at, verb, persons, after, undone"
_OF_FACE = "number, source, sha256, frame_idx, idx, x0, y0, x1, y1, before"


class Verb(StrEnum):
    """What can be said."""

    NAME = "name"
    """A person has another name."""
    MERGE = "merge"
    """Persons are one."""
    ASSIGN = "assign"
    """Faces are a person's, or nobody's."""
    SPLIT = "split"
    """Faces are those of another person, who is new."""
    SAME = "same"
    """Faces are of one person, whoever that is."""
    DIFFERENT = "different"
    """Faces are of so many persons."""
    REJECT = "reject"
    """Faces are none, or not wanted."""
    RESTORE = "restore"
    """Faces that were rejected are wanted."""
    BOX = "box"
    """A face is elsewhere."""
    LANDMARKS = "landmarks"
    """A face has other landmarks."""
    MASK = "mask"
    """A face has another mask."""
    ADD = "add"
    """There is a face where no detector found one."""
    NOTE = "note"
    """A text; it changes nothing."""


OF_PERSONS = frozenset({Verb.NAME, Verb.MERGE})
NAMING = OF_PERSONS | {Verb.ASSIGN, Verb.SPLIT}
"""What says a name."""
OF_ONE_FACE = frozenset({Verb.BOX, Verb.LANDMARKS, Verb.MASK, Verb.ADD})
_AT_LEAST_TWO = frozenset({Verb.SAME, Verb.DIFFERENT})


@dataclass(frozen=True, slots=True, kw_only=True)
class FaceAddress:
    """A face, by where it was found."""

    frame: FrameId
    sha256: str | None
    """Of the source's content."""
    index: int
    box: tuple[float, float, float, float]
    """x0, y0, x1, y1 as it was found, in pixels of the frame."""
    before: Any = None
    """What held of it until it was corrected, as `Correction.after`."""

    def __str__(self) -> str:
        return f"{self.frame}/{self.index}"

    def to_json(self) -> dict[str, Any]:
        """Gives it as a line of corrections has it."""
        told = {"source": self.frame.source, "sha256": self.sha256, "frame": self.frame.index, "index": self.index}
        return {**told, "box": list(self.box), "before": self.before}


@dataclass(frozen=True, slots=True, kw_only=True)
class Correction:
    """Something that somebody said, and that can be undone."""

    id: int = 0
    """Its place in the order of its folder; 0: it has none yet."""
    uid: str
    """32 hexadecimal digits: the same in every folder that it is carried to."""
    at: str
    """When it was said, UTC."""
    verb: Verb
    faces: tuple[FaceAddress, ...] = ()
    persons: tuple[str, ...] = ()
    """Of whom it is said, where it is said of persons."""
    after: Any = None
    """What holds from then on, as JSON: a name, a reason, four numbers, 68 points, a mask, a text."""
    is_undone: bool = False

    def to_json(self) -> dict[str, Any]:
        """Gives it as a line of `faceloom corrections --export`."""
        return {
            "id": self.id,
            "uid": self.uid,
            "at": self.at,
            "verb": self.verb.value,
            "undone": self.is_undone,
            "persons": list(self.persons),
            "faces": [face.to_json() for face in self.faces],
            "after": self.after,
        }

    @classmethod
    def said(cls, verb: Verb, **told: Any) -> Self:
        """A new one, said now, and held to what is sound.

        Raises:
            RequestError: it makes no sense.
        """
        now = datetime.now(UTC).isoformat(timespec="milliseconds")
        made = cls(uid=secrets.token_hex(_UID_BYTES), at=now, verb=verb, **told)
        try:
            faces = tuple(address_from_json(face.to_json()) for face in made.faces)
            return _checked(replace(made, faces=()).to_json(), faces)  # type: ignore[return-value]
        except (ArithmeticError, LookupError, TypeError, ValueError) as error:
            raise RequestError(f"this cannot be said: {error}") from error


def from_json(told: Any) -> Correction:
    """A correction out of a line, or out of the rows of a store that anybody may have written.

    Raises:
        ArithmeticError, AttributeError, LookupError, TypeError, ValueError: it is none.
    """
    if not isinstance(told["faces"], list):
        raise ValueError("its faces and persons are no lists")
    return _checked(told, tuple(address_from_json(face) for face in told["faces"]))


def _checked(told: Any, faces: tuple[FaceAddress, ...]) -> Correction:
    """A correction out of what is told of it, and faces that are some: there may be a hundred thousand."""
    verb, persons = Verb(told["verb"]), told["persons"]
    if not isinstance(persons, list) or len(faces) > _MOST_FACES:
        raise ValueError("its faces and persons are no lists")
    require_number(verb, len(faces), len(persons))
    if type(told["undone"]) is not bool:
        raise ValueError(f"{told['undone']!r:.40} does not say whether it is undone")
    uid = checks.name(told["uid"], "a uid")
    if len(uid) != 2 * _UID_BYTES or not set(uid) <= set("0123456789abcdef"):
        raise ValueError(f"{uid!r:.80} is no uid")
    return Correction(
        id=checks.whole(told.get("id", 0), "its number"),
        uid=uid,
        at=datetime.fromisoformat(checks.name(told["at"], "its time")).isoformat(timespec="milliseconds"),
        verb=verb,
        faces=faces,
        persons=tuple(checks.name(person, "a person") for person in persons),
        after=_AFTER[verb](told["after"]),
        is_undone=told["undone"],
    )


@dataclass(frozen=True, slots=True)
class Said:
    """What a correction says, without when it was said and of which faces."""

    verb: Verb
    persons: tuple[str, ...]
    after: Any

    @classmethod
    def of_row(cls, verb: Any, persons: str | None, after: str | None, *, faces: int) -> Self:
        """What a row says that is said of so many faces.

        Raises:
            ArithmeticError, LookupError, RecursionError, TypeError, ValueError: it says nothing.
        """
        said, names = Verb(verb), [] if persons is None else json.loads(persons)
        if not isinstance(names, list):
            raise ValueError("its persons are no list")
        require_number(said, faces, len(names))
        named = tuple(checks.name(name, "a person") for name in names)
        return cls(said, named, _AFTER[said](None if after is None else json.loads(after)))


def require_number(verb: Verb, faces: int, persons: int) -> None:
    """Holds a verb to be said of as many faces and persons as it can be.

    Raises:
        ValueError: it is not.
    """
    if verb in OF_PERSONS:
        fits = faces == 0 and (persons == 1 if verb is Verb.NAME else persons >= 1)
    elif verb is Verb.NOTE:
        fits = (faces > 0) != (persons > 0)
    else:
        if verb is Verb.DIFFERENT and faces > _MOST_DIFFERENT:  # each is held against each other
            raise ValueError(f"{faces} faces are too many to be all of different persons: {_MOST_DIFFERENT} at most")
        least = 2 if verb in _AT_LEAST_TWO else 1
        fits = persons == 0 and (faces == 1 if verb in OF_ONE_FACE else faces >= least)
    if not fits:
        raise ValueError(f"{verb.value} is not said of {faces} faces and {persons} persons")


def address_from_json(told: Any) -> FaceAddress:
    """A face, as a line names it.

    Raises:
        LookupError, TypeError, ValueError: it names none.
    """
    sha256 = checks.optional_name(told["sha256"], "a digest")
    source = checks.name(told["source"], "a source")
    x0, y0, x1, y1 = checks.box(*told["box"]).tolist()
    before = told.get("before")
    if len(json.dumps(before)) > checks.MAX_LINE_BYTES:
        raise ValueError("what held before is too long")
    return FaceAddress(
        frame=FrameId(intern(source), checks.whole(told["frame"], "a frame")),  # which thousands of faces may share
        sha256=None if sha256 is None else intern(sha256),
        index=checks.whole(told["index"], "a face"),
        box=(x0, y0, x1, y1),
        before=before,
    )


def _mask(told: Any) -> dict[str, Any]:
    size = checks.whole(told["size"], "a mask's size", at_least=1)
    if size > _MOST_MASK_PX:
        raise ValueError(f"a mask has more than {_MOST_MASK_PX} pixels a side")
    png_of(told)
    affine = checks.numbers(told["affine"], (2, 3), "the affine map").tolist()
    name = checks.name(told["name"], "a mask")
    return {"name": name, "size": size, "affine": affine, "png_base64": told["png_base64"]}


def address_of_row(
    source: Any, sha256: Any, frame: Any, index: Any, x0: Any, y0: Any, x1: Any, y1: Any, before: Any = None
) -> FaceAddress:
    """A face, as the cells of a row name it.

    Raises:
        LookupError, RecursionError, TypeError, ValueError: they name none.
    """
    told = {"source": source, "sha256": sha256, "frame": frame, "index": index, "box": (x0, y0, x1, y1)}
    return address_from_json({**told, "before": None if before is None else json.loads(before)})


def png_of(mask: Mapping[str, Any]) -> bytes:
    """The picture of a mask that was said; whether it is one is seen where it is decoded.

    Raises:
        ValueError: it is no base64.
    """
    try:
        return base64.b64decode(mask["png_base64"], validate=True)
    except binascii.Error as error:
        raise ValueError(f"a mask is no base64: {error}") from error


def _landmarks(told: Any) -> Any:
    points = checks.pixels(told, (68, 2), "landmarks")
    if not np.ptp(points[INNER], axis=0).any():
        raise ValueError("all landmarks coincide")
    return points.tolist()


def _nothing(told: Any) -> None:
    if told is not None:
        raise ValueError(f"{told!r:.40} is one thing too many")


def _person(told: Any) -> str:
    return checks.name(told, "a person")


_AFTER: Mapping[Verb, Callable[[Any], Any]] = {
    Verb.NAME: _person,
    Verb.MERGE: _person,
    Verb.ASSIGN: lambda told: checks.optional_name(told, "a person"),
    Verb.SPLIT: _person,
    Verb.SAME: _nothing,
    Verb.DIFFERENT: _nothing,
    Verb.REJECT: lambda told: checks.optional_name(told, "a reason"),
    Verb.RESTORE: _nothing,
    Verb.BOX: lambda told: checks.box(*told).tolist(),
    Verb.LANDMARKS: _landmarks,
    Verb.MASK: _mask,
    Verb.ADD: _nothing,
    Verb.NOTE: lambda told: checks.name(told, "a note"),
}
"""What each verb says, checked."""


def select_corrections(
    db: sqlite3.Connection, *, undone: bool = True, number: int | None = None
) -> Iterator[Correction]:
    """The corrections of an open store in the order in which they were said, or the one of a number.

    Raises:
        ValueError: a row is none; its number is named.
    """
    query = f"SELECT {_COLUMNS}, {_OF_FACE} FROM correction LEFT JOIN corrected_face ON correction_id = id"
    where, values = ("NOT undone > 0 OR ?", (undone,)) if number is None else ("id = ?", (number,))
    rows = db.execute(f"{query} WHERE {where} ORDER BY id, number", values)
    for place, same in groupby(rows, key=lambda row: row[0]):
        try:
            yield _from_rows(same)
        except (ArithmeticError, AttributeError, LookupError, RecursionError, TypeError, ValueError) as error:
            raise ValueError(f"correction {place!r:.40}: {error or type(error).__name__}") from error


def _from_rows(rows: Iterator[tuple[Any, ...]]) -> Correction:
    """A correction of its rows, of which there is one for each face, or one without a face."""
    first = next(rows)
    faces = tuple(address_of_row(*row[8:]) for row in chain([first], rows) if row[7] is not None)
    number, uid, at, verb, persons, after, undone = first[:7]
    told = {"id": number, "uid": uid, "at": at, "verb": verb}
    told["undone"] = checks.whole(undone, "its place among those undone") > 0
    told["persons"] = [] if persons is None else json.loads(persons)
    told["after"] = None if after is None else json.loads(after)
    return _checked(told, faces)


def unsound_corrections(db: sqlite3.Connection) -> Iterator[str]:
    """What is wrong with the corrections of an open store that are none."""
    for (number,) in db.execute("SELECT id FROM correction ORDER BY id").fetchall():
        try:
            list(select_corrections(db, number=number))
        except ValueError as error:
            yield str(error)


def insert_correction(db: sqlite3.Connection, said: Correction) -> Correction:
    """Adds one after all others, with its place in the order. Call it within a transaction."""
    persons, after = json.dumps(said.persons) if said.persons else None, _written(said.after)
    cursor = db.execute(
        "INSERT INTO correction (uid, at, verb, persons, after, undone) VALUES (?, ?, ?, ?, ?, ?)",
        (said.uid, said.at, said.verb, persons, after, 0),
    )
    number = int(cursor.lastrowid or 0)
    if said.is_undone:
        undo_corrections(db, [number])
    insert_faces(db, number, said.faces)
    return replace(said, id=number)


def insert_faces(db: sqlite3.Connection, number: int, faces: Iterable[FaceAddress]) -> None:
    """Adds the faces of a correction that has none yet. Call it within a transaction."""
    rows = (
        (number, place, face.frame.source, face.sha256, face.frame.index, face.index, *face.box, _written(face.before))
        for place, face in enumerate(faces)
    )
    db.executemany("INSERT INTO corrected_face VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)", rows)


def _written(value: Any) -> str | None:
    return None if value is None else json.dumps(value, separators=(",", ":"))


def undo_corrections(db: sqlite3.Connection, numbers: Iterable[int]) -> None:
    """Marks corrections as undone, one after the other. Call it within a transaction."""
    last = "(SELECT max(undone) FROM correction)"
    db.executemany(f"UPDATE correction SET undone = {last} + 1 WHERE id = ?", ((number,) for number in numbers))


def redo_corrections(db: sqlite3.Connection, numbers: Iterable[int]) -> None:
    """Marks corrections as said again. Call it within a transaction."""
    db.executemany("UPDATE correction SET undone = 0 WHERE id = ?", ((number,) for number in numbers))


def undone_last(db: sqlite3.Connection) -> int | None:
    """The correction that was undone after all others that are undone; None: none is."""
    row = db.execute("SELECT id FROM correction WHERE undone > 0 ORDER BY undone DESC, id LIMIT 1").fetchone()
    return None if row is None else int(row[0])


def said_names(db: sqlite3.Connection) -> set[str]:
    """Every name that a person was called by in a correction, also in one that is undone.

    Raises:
        ValueError: a correction makes no sense.
    """
    names: set[str] = set()
    for one in select_corrections(db):
        if one.verb in NAMING:
            names.update(name for name in (*one.persons, one.after) if name is not None)
        if one.verb in NAMING | _AT_LEAST_TWO:
            names.update(face.before for face in one.faces if isinstance(face.before, str))
    return names


def known_uids(db: sqlite3.Connection) -> set[str]:
    """Of all corrections of an open store, those that are undone too."""
    return {uid for (uid,) in db.execute("SELECT uid FROM correction")}
