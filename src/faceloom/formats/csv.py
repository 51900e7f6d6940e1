"""CSV: the lines of the JSON export, with nested numbers in columns of their own."""

import csv
import io
import itertools
import math
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
_ASKED = tuple(
    one for one in ATTRIBUTES if one.presence is Presence.ASKED and (one.key in _SHAPES or one.kind is Kind.TEXT)
)
_FORMULA = re.compile(r"'*[=+\-@\t\r\n]")
"""How a text begins that is guarded: apostrophes of its own too, so that reading can tell them apart."""
_ONLY_NAMES = frozenset(one.key for one in ATTRIBUTES if one.kind is Kind.MASKS)


def write_rows(lines: Iterable[dict[str, Any]]) -> Iterator[Piece]:
    """A row for each line: nested numbers become columns of their own, masks only their names."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    widths: dict[str, int] = {}
    for line in lines:
        cells = {key: _cells(key, value) for key, value in line.items()}
        if not widths:
            writer.writerow(name for key, value in line.items() for name in _names(key, value))
            widths = {key: len(some) for key, some in cells.items()}
        if any(len(some) > widths.get(key, 0) for key, some in cells.items()):
            raise ValueError("a face has numbers for which there are no columns")
        writer.writerow(
            itertools.chain.from_iterable(_wide(cells.get(key, []), width) for key, width in widths.items())
        )
        yield "", text.getvalue().encode()
        text.seek(0)
        text.truncate()


def _names(key: str, value: Any) -> Iterator[str]:
    """Of the columns of a value."""
    shape = _SHAPES[key] if key in _SHAPES else (len(value),) if _is_array(key, value) else ()
    yield from ("_".join(map(str, (key, *place))) for place in np.ndindex(shape))


def _cells(key: str, value: Any) -> list[Any]:
    """What stands in the columns of a value."""
    if value is None and key in _SHAPES:
        return [None] * math.prod(_SHAPES[key])
    if _is_array(key, value):
        return [cell for row in value for cell in row] if value and isinstance(value[0], list) else value
    if key in _ONLY_NAMES:
        value = " ".join(sorted(value))
    return [guarded(value) if isinstance(value, str) else value]


def _is_array(key: str, value: Any) -> bool:
    return isinstance(value, list) and key not in _ONLY_NAMES


def _wide(cells: list[Any], width: int) -> list[Any]:
    return cells if len(cells) == width else [*cells, *[""] * (width - len(cells))]


def guarded(text: str) -> str:
    """A text with an apostrophe before it, if a spreadsheet would take it for a formula (OWASP, CSV Injection)."""
    return f"'{text}" if _FORMULA.match(text) else text


def _bare(text: str) -> str:
    """The text that was guarded."""
    return text[1:] if text.startswith("'") and _FORMULA.match(text) else text


def _write(frames: Frames) -> Iterator[Piece]:
    # Every row of a table has the same columns, and a face may lack what others have.
    absent: dict[str, Any] = {one.key: None for one in ATTRIBUTES if one.presence is Presence.KNOWN}
    for attribute in _ASKED:
        if any(getattr(face, attribute.name) is not None for frame in frames for face in frame.faces):
            absent[attribute.key] = None
    for attribute in _OF_ANY_LENGTH:
        values = (getattr(face, attribute.name) for frame in frames for face in frame.faces)
        if (first := next((value for value in values if value is not None), None)) is not None:
            absent[attribute.key] = [None] * len(first)
    return write_rows(
        line | {name: value for name, value in absent.items() if name not in line} for line in jsonl.named_lines(frames)
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
