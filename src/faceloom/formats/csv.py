"""CSV: the lines of the JSON export, with nested numbers in columns of their own."""

import csv
import io
import re
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

import numpy as np

from faceloom.attributes import ATTRIBUTES, Attribute, Kind, Part, Presence
from faceloom.formats import checks, jsonl
from faceloom.formats.record import Format, FrameRecord, Frames, Piece

_SHAPES = {one.key: one.shape for one in ATTRIBUTES if one.shape and -1 not in one.shape}
"""Of arrays that are as long in every face: one that a face lacks has its columns nevertheless."""
_OF_ANY_LENGTH = tuple(one for one in ATTRIBUTES if -1 in one.shape)
_FORMULA = re.compile(r"'*[=+\-@\t\r\n]")
"""How a text begins that is guarded: apostrophes of its own too, so that reading can tell them apart."""
_ONLY_NAMES = frozenset(one.key for one in ATTRIBUTES if one.kind is Kind.MASKS)


def write_rows(lines: Iterable[dict[str, Any]]) -> Iterator[Piece]:
    """A row for each line: nested numbers become columns of their own, masks only their names."""
    text = io.StringIO()
    writer = None
    for line in lines:
        flat = dict(_flatten(line))
        if writer is None:
            writer = csv.DictWriter(text, fieldnames=list(flat), restval="", lineterminator="\n")
            writer.writeheader()
        writer.writerow(flat)
        yield "", text.getvalue().encode()
        text.seek(0)
        text.truncate()


def _flatten(value: Any, name: str = "") -> Iterator[tuple[str, Any]]:
    if value is None and name in _SHAPES:
        value = np.full(_SHAPES[name], None).tolist()
    if name in _ONLY_NAMES:
        yield name, _guarded(" ".join(sorted(value)))
    elif isinstance(value, dict):
        for key, inner in value.items():
            yield from _flatten(inner, f"{name}_{key}" if name else key)
    elif isinstance(value, list):
        for i, inner in enumerate(value):
            yield from _flatten(inner, f"{name}_{i}")
    else:
        yield name, _guarded(value) if isinstance(value, str) else value


def _guarded(text: str) -> str:
    """A text with an apostrophe before it, if a spreadsheet would take it for a formula (OWASP, CSV Injection)."""
    return f"'{text}" if _FORMULA.match(text) else text


def _bare(text: str) -> str:
    """The text that was guarded."""
    return text[1:] if text.startswith("'") and _FORMULA.match(text) else text


def _write(frames: Frames) -> Iterator[Piece]:
    # Every row of a table has the same columns, and a face may lack what others have.
    absent: dict[str, Any] = {one.key: None for one in ATTRIBUTES if one.presence is Presence.KNOWN}
    for attribute in _OF_ANY_LENGTH:
        values = (getattr(face, attribute.name) for frame in frames for face in frame.faces)
        if (first := next((value for value in values if value is not None), None)) is not None:
            absent[attribute.key] = [None] * len(first)
    return write_rows(
        line | {name: value for name, value in absent.items() if name not in line} for line in jsonl.face_lines(frames)
    )


def _read(path: Path) -> Iterator[FrameRecord]:
    with checks.reading(path, FORMAT.title):
        try:
            rows = csv.DictReader(checks.read_lines(path), strict=True)
            names = rows.fieldnames or ()
            lengths = {one.key: sum(name.startswith(f"{one.key}_") for name in names) for one in _OF_ANY_LENGTH}
            yield from checks.grouped(jsonl.face_from_json(_unflatten(row, lengths)) for row in rows)
        except csv.Error as error:
            raise ValueError(error) from error


def _unflatten(row: dict[str, str], lengths: dict[str, int]) -> dict[str, Any]:
    """The line of a row, its numbers as numbers."""
    line: dict[str, Any] = {"source": _bare(row["source"]), "frame": int(row["frame"])}
    line["time_s"] = float(row["time_s"]) if row.get("time_s") else None
    for attribute in ATTRIBUTES:
        key = attribute.key
        if attribute.shape:
            line[key] = _array(row, key, _SHAPES.get(key) or (lengths[key],))
        elif key in row and key not in _ONLY_NAMES:
            line[key] = _cell(row[key], attribute)
    return line


def _cell(text: str, attribute: Attribute) -> Any:
    if not text:
        return None
    match attribute.kind:
        case Kind.WHOLE:
            return int(text)
        case Kind.NUMBER:
            return float(text)
        case _:
            return _bare(text)


def _array(row: dict[str, str], key: str, shape: tuple[int, ...]) -> Any:
    cells = [row.get("_".join(map(str, (key, *place)))) for place in np.ndindex(shape)]
    if not any(cells):
        return None
    return np.reshape([float(cell or "nan") for cell in cells], shape).tolist()


FORMAT = Format(
    name="csv",
    title="CSV",
    suffix=".csv",
    keeps=jsonl.KEEPS - {Part.MASKS},
    changes=jsonl.CHANGES + "; of masks there are the names",
    write=_write,
    read=_read,
)
