"""What is written from a store: JSON lines and CSV, always in the same order, whatever order it was found in."""

import base64
import csv
import json
import sqlite3
from collections.abc import Callable, Iterator, Mapping
from fractions import Fraction
from pathlib import Path
from typing import Any, TextIO

import numpy as np

from faceloom.errors import RequestError
from faceloom.faces import FrameId
from faceloom.store.database import connect
from faceloom.store.rows import FaceRow, MaskRow, Status, rounded

# CROSS JOIN holds SQLite to this order of the tables, in which rows come sorted: otherwise it writes all to a temporary
# file first.
_FACES = (
    "SELECT face.id, name, frame_idx, face.idx, x0, y0, x1, y1, score, confidence,"
    " keypoints, landmarks, affine, embedding, chip, ticks, time_base"
    " FROM source CROSS JOIN face ON face.source_id = source.id"
    " JOIN frame ON frame.source_id = source.id AND frame.idx = frame_idx ORDER BY name, frame_idx, face.idx"
)
_SHAPES = {"keypoints": (5, 2), "landmarks": (68, 2), "affine": (2, 3)}
"""Of what may be missing, so that every row of a table has the same columns."""
_FRAMES = (
    "SELECT name, frame.idx, ticks, time_base, frame.width, frame.height, status, reason,"
    " (SELECT count(*) FROM face WHERE face.source_id = source.id AND frame_idx = frame.idx)"
    " FROM source JOIN frame ON frame.source_id = source.id WHERE status != ? ORDER BY name, frame.idx"
)


def read_faces(folder: Path) -> Iterator[tuple[FaceRow, Fraction | None]]:
    """Every face of a result folder and its frame's time, sorted by source, frame and index.

    Raises:
        StoreError: the folder holds no store that can be read.
    """
    with connect(folder, read_only=True) as db:
        for row in db.execute(_FACES):
            face_id, name, frame, index, x0, y0, x1, y1, score, confidence, *blobs, chip, ticks, time_base = row
            keypoints, landmarks, affine, embedding = blobs
            masks = db.execute("SELECT name, size, png FROM mask WHERE face_id = ? ORDER BY name", (face_id,))
            face = FaceRow(
                frame=FrameId(name, frame),
                index=index,
                box=np.array([x0, y0, x1, y1], np.float32),
                score=score,
                confidence=confidence,
                keypoints=_array(keypoints, "<f4", (-1, 2)),
                landmarks=_array(landmarks, "<f4", (-1, 2)),
                frame_to_chip=_array(affine, "<f8", (2, 3)),
                masks={mask: MaskRow(size=size, png=png) for mask, size, png in masks},
                embedding=_array(embedding, "<f4", (-1,)),
                chip=chip,
            )
            yield face, _time(ticks, time_base)


def read_frames(folder: Path) -> Iterator[dict[str, Any]]:
    """Every frame of a result folder that is done or has failed, sorted by source and index."""
    with connect(folder, read_only=True) as db:
        for name, index, ticks, time_base, width, height, status, reason, faces in db.execute(
            _FRAMES, (Status.PENDING,)
        ):
            time = _time(ticks, time_base)
            yield {
                "source": name,
                "frame": index,
                "time_s": None if time is None else float(time),
                "width": width,
                "height": height,
                "faces": faces,
                "status": status,
                "reason": reason,
            }


def face_to_json(face: FaceRow, time: Fraction | None) -> dict[str, Any]:
    """A face as a line of the JSON export."""
    masks = {
        name: {"size": mask.size, "png_base64": base64.b64encode(mask.png).decode()}
        for name, mask in face.masks.items()
    }
    embedding = {} if face.embedding is None else {"embedding": rounded(face.embedding, digits=6)}
    return {**face.to_json(time), "masks": masks, **embedding, "chip": face.chip}


def write_jsonl(lines: Iterator[dict[str, Any]], out: TextIO) -> None:
    """A line a face or frame."""
    for line in lines:
        out.write(json.dumps(line, separators=(",", ":")) + "\n")


def write_csv(lines: Iterator[dict[str, Any]], out: TextIO) -> None:
    """A row a face or frame: nested numbers become columns of their own, masks only their names."""
    writer = None
    for line in lines:
        flat = dict(_flatten(line))
        if writer is None:
            writer = csv.DictWriter(out, fieldnames=list(flat), restval="", lineterminator="\n")
            writer.writeheader()
        writer.writerow(flat)


FORMATS: Mapping[str, Callable[[Iterator[dict[str, Any]], TextIO], None]] = {
    "jsonl": write_jsonl,
    "csv": write_csv,
}


def export(folder: Path, out: TextIO, *, to: str, frames: bool) -> None:
    """Writes the faces of a result folder, or its frames, in one of FORMATS.

    Raises:
        RequestError: an unknown format.
        StoreError: the folder holds no store that can be read.
    """
    if to not in FORMATS:
        raise RequestError(f"there is no export to {to!r}; there are: {', '.join(FORMATS)}")
    lines = read_frames(folder) if frames else (face_to_json(*face) for face in read_faces(folder))
    FORMATS[to](lines, out)


def read_summary(folder: Path, *, problems: int = 20) -> dict[str, Any]:
    """What a result folder holds: counts, configuration, runs, and the first of the frames that have a problem."""
    with connect(folder, read_only=True) as db:
        statuses = dict(db.execute("SELECT status, count(*) FROM frame GROUP BY status").fetchall())
        kinds = dict(db.execute("SELECT kind, count(*) FROM source GROUP BY kind").fetchall())
        (faces,) = db.execute("SELECT count(*) FROM face").fetchone()
        (frames_with_faces,) = db.execute(
            "SELECT count(*) FROM (SELECT DISTINCT source_id, frame_idx FROM face)"
        ).fetchone()
        masks = dict(db.execute("SELECT name, count(*) FROM mask GROUP BY name ORDER BY name").fetchall())
        config = db.execute("SELECT value FROM meta WHERE key = 'config'").fetchone()
        return {
            "sources": kinds,
            "frames": {status.value: statuses.get(status, 0) for status in Status},
            "faces": faces,
            "frames_with_faces": frames_with_faces,
            "masks": masks,
            "config": json.loads(config[0]) if config else None,
            "problems": _problems(db, problems),
            "runs": _runs(db),
        }


def _problems(db: sqlite3.Connection, limit: int) -> list[dict[str, Any]]:
    rows = db.execute(
        "SELECT name, idx, status, reason FROM frame JOIN source ON source.id = source_id"
        " WHERE reason IS NOT NULL ORDER BY name, idx LIMIT ?",
        (limit,),
    )
    return [
        {"source": name, "frame": index, "status": status, "reason": reason} for name, index, status, reason in rows
    ]


def _runs(db: sqlite3.Connection) -> list[dict[str, Any]]:
    rows = db.execute("SELECT started_at, finished_at, outcome, versions, plan, summary FROM run ORDER BY id")
    return [
        {
            "started_at": started,
            "finished_at": finished,
            "outcome": outcome,
            "versions": json.loads(versions),
            "plan": json.loads(plan) if plan else None,
            "summary": json.loads(summary) if summary else None,
        }
        for started, finished, outcome, versions, plan, summary in rows
    ]


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


def _array(content: bytes | None, dtype: str, shape: tuple[int, ...]) -> Any:
    return None if content is None else np.frombuffer(content, dtype).reshape(shape)


def _time(ticks: int | None, time_base: str | None) -> Fraction | None:
    return None if ticks is None or time_base is None else ticks * Fraction(time_base)
