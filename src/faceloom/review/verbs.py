"""What the page can say, and what becomes of it."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any, TypeAlias

from faceloom.correcting import Corrections
from faceloom.errors import RequestError
from faceloom.faces import FrameId
from faceloom.review.pictures import painted

Told: TypeAlias = Mapping[str, Any]
"""What the page says, as JSON."""
FacesOf: TypeAlias = Callable[[Told], list[str]]
"""Finds the faces that something is said of, as corrections know them."""


def _text(told: Told, key: str) -> str:
    text = told.get(key)
    if not isinstance(text, str) or not text.strip():
        raise RequestError(f"{key} is missing")
    return text.strip()


def _required(told: Told, key: str) -> Any:
    if told.get(key) is None:
        raise RequestError(f"{key} is missing")
    return told[key]


def _or_none(told: Told, key: str) -> str | None:
    return _text(told, key) if told.get(key) else None


def _numbers(told: Told) -> list[int]:
    return [int(number) for number in told.get("numbers", ())]


def _persons(told: Told) -> Sequence[str]:
    return [str(person) for person in told.get("persons", ())]


def _frame(told: Told) -> FrameId:
    return FrameId(_text(told, "source"), int(_required(told, "frame")))


SAYINGS: Mapping[str, Callable[[Corrections, FacesOf, Told], Any]] = {
    "name": lambda said, faces_of, told: said.name(_text(told, "person"), _text(told, "name")),
    "merge": lambda said, faces_of, told: said.merge(_text(told, "person"), _persons(told)),
    "assign": lambda said, faces_of, told: said.assign(faces_of(told), _or_none(told, "person")),
    "split": lambda said, faces_of, told: said.split(faces_of(told), _or_none(told, "person")),
    "same": lambda said, faces_of, told: said.same(faces_of(told)),
    "different": lambda said, faces_of, told: said.different(faces_of(told)),
    "reject": lambda said, faces_of, told: said.reject(faces_of(told), _or_none(told, "text")),
    "restore": lambda said, faces_of, told: said.restore(faces_of(told)),
    "add": lambda said, faces_of, told: said.add(_frame(told), _required(told, "box")),
    "box": lambda said, faces_of, told: said.move_box(faces_of(told)[0], _required(told, "box")),
    "landmarks": lambda said, faces_of, told: said.move_landmarks(faces_of(told)[0], _required(told, "landmarks")),
    "mask": lambda said, faces_of, told: said.draw_mask(faces_of(told)[0], _text(told, "name"), painted(told)),
    "note": lambda said, faces_of, told: said.note(faces_of(told), _text(told, "text")),
    "undo": lambda said, faces_of, told: said.undo(*_numbers(told)),
    "redo": lambda said, faces_of, told: said.redo(*_numbers(told)),
}
"""By the verb; each gives the correction, or those, that came of it."""
