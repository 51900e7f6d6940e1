"""JSON lines: a line a face (docs/store.md)."""

import base64
import binascii
import json
from collections.abc import Callable, Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from faceloom.attributes import ATTRIBUTES, Attribute, Kind, Part, Presence
from faceloom.faces import FrameId
from faceloom.formats import checks
from faceloom.formats.record import FaceRecord, Format, FrameRecord, Frames, MaskRecord, Piece
from faceloom.geometry.pose import Pose

KEEPS = frozenset(Part) - {Part.SIZES, Part.EMPTY}


def rounded(values: NDArray[Any] | None, *, digits: int = 3) -> list[Any] | None:
    """Nested lists of numbers of this many decimals."""
    if values is None:
        return None
    exact = values.astype(np.float64)
    with np.errstate(over="ignore"):
        short = np.round(exact, digits)
    listed: list[Any] = np.where(np.isfinite(short), short, exact).tolist()  # so large a number has no decimals
    return listed


def face_lines(frames: Frames) -> Iterator[dict[str, Any]]:
    """Every face as a line."""
    for frame in frames:
        for face in frame.faces:
            yield _line(frame.id, frame.time, face, _IN_LINES)


def named_lines(frames: Frames) -> Iterator[dict[str, Any]]:
    """Every face as a line with the names of its masks alone, which are not drawn for it."""
    for frame in frames:
        for face in frame.faces:
            yield _line(frame.id, frame.time, face, _WITH_NAMES)


def sizes_line(frame: FrameRecord, face: FaceRecord) -> dict[str, Any]:
    """A face as a line with the sizes of its masks alone, for formats that have these in files of their own."""
    sizes = {name: {"size": mask.size} for name, mask in face.masks.items()}
    return _line(frame.id, frame.time, face, _WITH_NAMES) | {"masks": sizes}


def chip_line(frame: FrameId, time: float | None, face: FaceRecord) -> dict[str, Any]:
    """What a chip file says of its face."""
    return _line(frame, time, face, _IN_CHIPS)


_Told = tuple[str, str, bool, Callable[[Any, Any], Any], int | None]


def _told(attribute: Attribute) -> _Told:
    """Name, key, whether the key is always there, how its value is written, and its digits."""
    is_always = attribute.presence is Presence.ALWAYS
    return attribute.name, attribute.key, is_always, _WRITERS[attribute.kind], attribute.digits


def _line(frame: FrameId, time: float | None, face: FaceRecord, attributes: tuple[_Told, ...]) -> dict[str, Any]:
    line: dict[str, Any] = {"source": frame.source, "frame": frame.index, "time_s": time}
    for name, key, is_always, write, digits in attributes:
        value = getattr(face, name)
        if value is not None:
            line[key] = write(value, digits)
        elif is_always:
            line[key] = None
    return line


def _masks_to_json(masks: Mapping[str, MaskRecord], _: None) -> dict[str, Any]:
    return {
        name: {"size": mask.size, "png_base64": base64.b64encode(mask.png).decode()} for name, mask in masks.items()
    }


_WRITERS: Mapping[Kind, Callable[[Any, Any], Any]] = {
    Kind.WHOLE: lambda value, _: value,
    Kind.NUMBER: round,
    Kind.TEXT: lambda value, _: value,
    Kind.NAME: lambda value, _: value or None,
    Kind.POINTS: lambda value, digits: rounded(value, digits=digits),
    Kind.NUMBERS: lambda value, digits: rounded(value, digits=digits),
    Kind.BOX: lambda value, digits: rounded(value, digits=digits),
    Kind.POSE: lambda value, digits: [round(angle, digits) for angle in value],
    Kind.MASKS: _masks_to_json,
}
_IN_LINES = tuple(_told(attribute) for attribute in ATTRIBUTES)
_WITH_NAMES = tuple(
    (name, key, is_always, (lambda masks, _: list(masks)) if name == "masks" else write, digits)
    for name, key, is_always, write, digits in _IN_LINES
)
_IN_CHIPS = tuple(_told(attribute) for attribute in ATTRIBUTES if attribute.in_chips)


def face_from_json(line: Any) -> tuple[FrameId, float | None, FaceRecord]:
    """A line's frame, its time, and the face.

    Raises:
        ValueError, KeyError: the line is not of this form.
    """
    values = {
        attribute.name: value_from_json(attribute, line.get(attribute.key))
        for attribute in ATTRIBUTES
        if attribute.key in line or attribute.is_required
    }
    frame = FrameId(checks.name(line["source"], "a source"), checks.whole(line["frame"], "a frame"))
    return frame, checks.score(line.get("time_s")), FaceRecord(**values)


def value_from_json(attribute: Attribute, told: Any) -> Any:
    """The value of an attribute that a file tells, checked; arrays may come as lists or as arrays.

    Raises:
        ValueError: it is no such value.
    """
    if told is None and not attribute.is_required and attribute.kind not in _EMPTY:
        return None
    return _READERS[attribute.kind](told, attribute)


def _masks_from_json(told: Any, _: Attribute) -> dict[str, MaskRecord]:
    return {checks.name(name, "a mask"): _mask(mask) for name, mask in (told or {}).items()}


def _mask(told: Any) -> MaskRecord:
    try:
        png = base64.b64decode(told["png_base64"], validate=True)
    except binascii.Error as error:
        raise ValueError(f"a mask is no base64: {error}") from error
    return MaskRecord(size=checks.whole(told["size"], "a mask's size", at_least=1), content=png)


_EMPTY = frozenset({Kind.NAME, Kind.MASKS})
"""Kinds with a value of their own for what is null."""
_READERS: Mapping[Kind, Callable[[Any, Attribute], Any]] = {
    Kind.WHOLE: lambda told, of: checks.whole(told, of.key),
    Kind.NUMBER: lambda told, of: checks.score(told),
    Kind.TEXT: lambda told, of: checks.name(told, of.key),
    Kind.NAME: lambda told, of: checks.name(told, of.key) if told else "",
    Kind.POINTS: lambda told, of: checks.pixels(told, of.shape, of.key),
    Kind.NUMBERS: lambda told, of: checks.numbers(told, of.shape, of.key).astype(of.dtype),
    Kind.BOX: lambda told, of: checks.box(*told),
    Kind.POSE: lambda told, of: Pose(*checks.numbers(told, of.shape, of.key).tolist()),
    Kind.MASKS: _masks_from_json,
}


def write_lines(lines: Iterable[dict[str, Any]]) -> Iterator[Piece]:
    """A line for each."""
    for line in lines:
        yield "", json.dumps(line, separators=(",", ":")).encode() + b"\n"


def _write(frames: Frames) -> Iterator[Piece]:
    return write_lines(face_lines(frames))


def _read(path: Path) -> Iterator[FrameRecord]:
    with checks.reading(path, FORMAT.title):
        yield from checks.grouped(face_from_json(json.loads(line)) for line in checks.read_lines(path))


def _roundings() -> str:
    """What is rounded to how many decimals, in words."""
    names: dict[int, list[str]] = {}
    for attribute in ATTRIBUTES:
        if attribute.digits is not None:
            name = "pixels" if attribute.kind in {Kind.BOX, Kind.POINTS} else str(attribute.part)
            of_digits = names.setdefault(attribute.digits, [])
            of_digits += [] if name in of_digits else [name]
    (digits, first), *others = names.items()
    told = [f"{_listed(first)} are rounded to {digits} decimals"]
    return ", ".join(told + [f"{_listed(names)} to {digits}" for digits, names in others])


def _listed(names: list[str]) -> str:
    *others, last = names
    return f"{', '.join(others)} and {last}" if others else last


CHANGES = _roundings()
FORMAT = Format(
    name="jsonl", title="JSON lines", suffix=".jsonl", keeps=KEEPS, changes=CHANGES, write=_write, read=_read
)
