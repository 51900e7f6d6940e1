"""CSV: the lines of the JSON export, with nested numbers in columns of their own."""

import csv
import io
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

import numpy as np

from faceloom.formats import checks, jsonl
from faceloom.formats.record import Format, FrameRecord, Frames, Part, Piece

_SHAPES = {"keypoints": (5, 2), "landmarks": (68, 2), "affine": (2, 3), "pose": (3,)}
"""Of what may be missing, so that every row of a table has the same columns."""


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
    if name == "masks":
        yield name, " ".join(sorted(value))
    elif isinstance(value, dict):
        for key, inner in value.items():
            yield from _flatten(inner, f"{name}_{key}" if name else key)
    elif isinstance(value, list):
        for i, inner in enumerate(value):
            yield from _flatten(inner, f"{name}_{i}")
    else:
        yield name, value


def _write(frames: Frames) -> Iterator[Piece]:
    # Every row of a table has the same columns, and a face may have no embedding where others have one.
    embeddings = (face.embedding for frame in frames for face in frame.faces if face.embedding is not None)
    absent: dict[str, Any] = {"rejected": None}
    if (first := next(embeddings, None)) is not None:
        absent["embedding"] = [None] * len(first)
    return write_rows(
        line | {name: value for name, value in absent.items() if name not in line} for line in jsonl.face_lines(frames)
    )


def _read(path: Path) -> Iterator[FrameRecord]:
    with checks.reading(path, FORMAT.title):
        try:
            rows = csv.DictReader(checks.read_lines(path), strict=True)
            lengths = sum(name.startswith("embedding_") for name in rows.fieldnames or ())
            yield from checks.grouped(jsonl.face_from_json(_unflatten(row, embedding=lengths)) for row in rows)
        except csv.Error as error:
            raise ValueError(error) from error


def _unflatten(row: dict[str, str], *, embedding: int) -> dict[str, Any]:
    """The line of a row, its numbers as numbers."""
    line: dict[str, Any] = {
        "source": row["source"],
        "chip": row.get("chip") or None,
        "rejected": row.get("rejected") or None,
    }
    line |= {"person": row["person"]} if "person" in row else {}
    line |= {name: int(row[name]) for name in ("frame", "index")}
    line |= {name: float(row[name]) if row.get(name) else None for name in ("time_s", "score", "sharpness")}
    line["box"] = [float(row[f"box_{i}"]) for i in range(4)]
    for name, shape in _SHAPES.items():
        cells = [row.get("_".join(map(str, (name, *place)))) for place in np.ndindex(shape)]
        line[name] = None if not cells[0] else np.reshape([float(cell or "nan") for cell in cells], shape).tolist()
    values = [row[f"embedding_{i}"] for i in range(embedding)]
    return line | ({"embedding": [float(value) for value in values]} if any(values) else {})


FORMAT = Format(
    name="csv",
    title="CSV",
    suffix=".csv",
    keeps=jsonl.KEEPS - {Part.MASKS},
    changes=jsonl.CHANGES + "; of masks there are the names",
    write=_write,
    read=_read,
)
