"""What is written from a store, in any format, always in the same order, whatever order it was found in."""

import itertools
import json
import sqlite3
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import Any, TextIO

import numpy as np

from faceloom.errors import RequestError
from faceloom.faces import FrameId
from faceloom.formats import csv, jsonl
from faceloom.formats.record import Format, FrameRecord, Part, Piece
from faceloom.formats.registry import format_to_write
from faceloom.geometry.pose import Pose
from faceloom.store.database import connect
from faceloom.store.rows import FaceRow, MaskRow, Status

# CROSS JOIN holds SQLite to this order of the tables, in which rows come sorted: otherwise it writes all to a temporary
# file first.
_FACES = (
    "SELECT face.id, name, frame_idx, face.idx, x0, y0, x1, y1, score, confidence,"
    " pitch, yaw, roll, sharpness, rejected, keypoints, landmarks, affine, embedding, person, chip, ticks, time_base"
    " FROM source CROSS JOIN face ON face.source_id = source.id"
    " JOIN frame ON frame.source_id = source.id AND frame.idx = frame_idx"
    " WHERE (rejected IS NULL OR ?)"
)
_IN_ORDER = "ORDER BY name, frame_idx, face.idx"
_FRAMES = (
    "SELECT name, frame.idx, ticks, time_base, frame.width, frame.height, status, reason,"
    " (SELECT count(*) FROM face WHERE face.source_id = source.id AND frame_idx = frame.idx AND rejected IS NULL)"
    " FROM source JOIN frame ON frame.source_id = source.id WHERE status != ? ORDER BY name, frame.idx"
)
_STORED = (
    "SELECT name, frame.idx, ticks, time_base, frame.width, frame.height,"
    " EXISTS (SELECT 1 FROM face WHERE face.source_id = source.id AND frame_idx = frame.idx"
    " AND (rejected IS NULL OR ?)) AS has_faces"
    " FROM source JOIN frame ON frame.source_id = source.id WHERE status = 'done' OR has_faces"
    " ORDER BY name, frame.idx"
)
_FRAME_FORMATS: Mapping[str, Callable[[Iterator[dict[str, Any]]], Iterator[Piece]]] = {
    "jsonl": jsonl.write_lines,
    "csv": csv.write_rows,
}
_QUESTIONS = {
    Part.TIMES: "SELECT 1 FROM frame WHERE ticks IS NOT NULL LIMIT 1",
    Part.SIZES: "SELECT 1 FROM frame WHERE width IS NOT NULL LIMIT 1",
    Part.EMPTY: "SELECT 1 FROM frame WHERE status = 'done'"
    " AND NOT EXISTS (SELECT 1 FROM face WHERE face.source_id = frame.source_id AND frame_idx = frame.idx) LIMIT 1",
    Part.SCORES: "SELECT 1 FROM face LIMIT 1",
    Part.KEYPOINTS: "SELECT 1 FROM face WHERE keypoints IS NOT NULL LIMIT 1",
    Part.LANDMARKS: "SELECT 1 FROM face WHERE landmarks IS NOT NULL LIMIT 1",
    Part.CONFIDENCE: "SELECT 1 FROM face WHERE confidence IS NOT NULL LIMIT 1",
    Part.POSES: "SELECT 1 FROM face WHERE yaw IS NOT NULL LIMIT 1",
    Part.SHARPNESS: "SELECT 1 FROM face WHERE sharpness IS NOT NULL LIMIT 1",
    Part.REJECTED: "SELECT 1 FROM face WHERE rejected IS NOT NULL LIMIT 1",
    Part.AFFINES: "SELECT 1 FROM face WHERE affine IS NOT NULL LIMIT 1",
    Part.MASKS: "SELECT 1 FROM mask LIMIT 1",
    Part.EMBEDDINGS: "SELECT 1 FROM face WHERE embedding IS NOT NULL LIMIT 1",
    Part.CHIPS: "SELECT 1 FROM face WHERE chip IS NOT NULL LIMIT 1",
    Part.PERSONS: "SELECT 1 FROM face WHERE person IS NOT NULL LIMIT 1",
}
"""Whether a store has any of it."""


def read_faces(folder: Path) -> Iterator[tuple[FaceRow, Fraction | None]]:
    """Every face of a result folder that no filter rejected, and its frame's time, sorted by source, frame and index.

    Raises:
        StoreError: the folder holds no store that can be read.
    """
    with connect(folder, read_only=True) as db:
        yield from _faces(db)


def read_faces_of(folder: Path, frame: FrameId) -> list[FaceRow]:
    """The faces of one frame of a result folder.

    Raises:
        StoreError: the folder holds no store that can be read.
    """
    with stored_faces(folder) as found:
        return found(frame)[1]


@contextmanager
def stored_faces(folder: Path) -> Iterator[Callable[[FrameId], tuple[int, list[FaceRow]]]]:
    """Gives the look of any frame of a result folder and its faces, while it is open.

    Raises:
        StoreError: the folder holds no store that can be read.
    """
    with connect(folder, read_only=True) as db:

        def found(frame: FrameId) -> tuple[int, list[FaceRow]]:
            place = (frame.source, frame.index)
            query = "SELECT look FROM frame JOIN source ON source.id = source_id WHERE name = ? AND idx = ?"
            row = db.execute(query, place).fetchone()
            return row[0] if row else 0, [face for face, _ in _faces(db, "AND name = ? AND frame_idx = ?", place)]

        yield found


def select_faces(
    db: sqlite3.Connection, condition: str = "", values: tuple[Any, ...] = (), *, rejected: bool = False
) -> Iterator[tuple[FaceRow, Fraction | None]]:
    """The faces of an open store, each with its frame's time, sorted by source, frame and index.

    Only those that no filter rejected, unless they are asked for too; and only those that meet a condition over the
    tables source, face and frame, as in ` AND score >= ?`.
    """
    return _faces(db, condition, values, rejected=rejected)


def _faces(
    db: sqlite3.Connection, where: str = "", values: tuple[Any, ...] = (), *, rejected: bool = False
) -> Iterator[tuple[FaceRow, Fraction | None]]:
    is_grouped = db.execute(_QUESTIONS[Part.PERSONS]).fetchone() is not None
    for row in db.execute(f"{_FACES} {where} {_IN_ORDER}", (rejected, *values)):
        face_id, name, frame, index, x0, y0, x1, y1, score, confidence, *others, chip, ticks, time_base = row
        pitch, yaw, roll, sharpness, reason, keypoints, landmarks, affine, embedding, person = others
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
            pose=None if yaw is None else Pose(pitch, yaw, roll),
            sharpness=sharpness,
            rejected=reason,
            masks={mask: MaskRow(size=size, png=png) for mask, size, png in masks},
            embedding=_array(embedding, "<f4", (-1,)),
            chip=chip,
            person=(person or "") if is_grouped else None,
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


@dataclass(frozen=True, slots=True)
class StoredFrames:
    """The frames of a store that are done, or have faces, as formats take them; one state of it, whenever looked at."""

    db: sqlite3.Connection
    chip_size: int | None
    rejected: bool
    """Whether faces are among them that a filter rejected."""

    def __iter__(self) -> Iterator[FrameRecord]:
        faces = itertools.groupby(_faces(self.db, rejected=self.rejected), key=lambda told: told[0].frame)
        for name, index, ticks, time_base, width, height, has_faces in self.db.execute(_STORED, (self.rejected,)):
            found = next(faces)[1] if has_faces else ()
            time = _time(ticks, time_base)
            yield FrameRecord(
                id=FrameId(name, index),
                time=None if time is None else float(time),
                width=width,
                height=height,
                faces=tuple(face.to_record(chip_size=self.chip_size) for face, _ in found),
            )


@contextmanager
def stored_frames(folder: Path, *, rejected: bool = False) -> Iterator[StoredFrames]:
    """The frames of a result folder, while it is open, on demand with the faces that filters rejected.

    Raises:
        StoreError: the folder holds no store that can be read.
    """
    with connect(folder, read_only=True) as db:
        db.execute("BEGIN")  # what a run writes meanwhile is not seen
        yield StoredFrames(db, _chip_size(db), rejected)


def read_chip_size(folder: Path) -> int | None:
    """Side of the chips of a result folder, in pixels; None if there are none.

    Raises:
        StoreError: the folder holds no store that can be read.
    """
    with connect(folder, read_only=True) as db:
        return _chip_size(db)


def _chip_size(db: sqlite3.Connection) -> int | None:
    chips = _config(db).get("chips")
    return int(chips["size"]) if chips else None


def _format_of(to: str, *, rejected: bool) -> Format:
    chosen = format_to_write(to)
    if rejected and Part.REJECTED not in chosen.keeps:
        raise RequestError(f"{chosen.title} cannot mark faces as rejected, and there they would pass for others")
    return chosen


def read_config(folder: Path) -> dict[str, Any]:
    """The configuration that a result folder was made with.

    Raises:
        StoreError: the folder holds no store that can be read.
    """
    with connect(folder, read_only=True) as db:
        return _config(db)


def has_landmarks(folder: Path) -> bool:
    """Whether any face of a result folder has landmarks, or there are none.

    Raises:
        StoreError: the folder holds no store that can be read.
    """
    with connect(folder, read_only=True) as db:
        query = "SELECT count(*) = 0 OR max(landmarks IS NOT NULL) FROM face"
        return bool(db.execute(query).fetchone()[0])


def _config(db: sqlite3.Connection) -> dict[str, Any]:
    config = db.execute("SELECT value FROM meta WHERE key = 'config'").fetchone()
    return dict(json.loads(config[0])) if config else {}


def read_lost(folder: Path, to: Format) -> list[Part]:
    """What there is in a result folder that a format does not hold."""
    with connect(folder, read_only=True) as db:
        there = [part for part, question in _QUESTIONS.items() if db.execute(question).fetchone()]
    return [part for part in there if part not in to.keeps]


def export(folder: Path, out: TextIO, *, to: str, frames: bool, rejected: bool = False) -> None:
    """Writes the faces of a result folder in a format of text, or its frames as JSON lines or CSV.

    On demand those that filters rejected are among them, marked as that.

    Raises:
        RequestError: an unknown format, or not one for this.
        StoreError: the folder holds no store that can be read.
    """
    if frames:
        if to not in _FRAME_FORMATS:
            raise RequestError(f"frames can be written as {' or '.join(_FRAME_FORMATS)}, not as {to!r}")
        for _, piece in _FRAME_FORMATS[to](read_frames(folder)):
            out.write(piece.decode())
        return
    chosen = _format_of(to, rejected=rejected)
    if chosen.is_folder or not chosen.is_text:
        raise RequestError(f"{chosen.title} cannot be written as text; name a place to write to with --out")
    with stored_frames(folder, rejected=rejected) as stored:
        for _, piece in chosen.write(stored):
            out.write(piece.decode())


def export_to(folder: Path, target: Path, *, to: str, rejected: bool = False) -> None:
    """Writes the faces of a result folder to a new file, or a new folder where the format is many files.

    On demand those that filters rejected are among them, marked as that.

    Raises:
        RequestError: an unknown format, or one that cannot mark faces.
        StoreError: the folder holds no store that can be read.
        OSError: the target is there already, or cannot be written.
    """
    chosen = _format_of(to, rejected=rejected)
    with stored_frames(folder, rejected=rejected) as stored:
        pieces = chosen.write(stored)
        first = next(pieces, ("", b""))  # whatever forbids this export is known before there is a file
        if chosen.is_folder:
            target.mkdir()
        else:
            target.touch(exist_ok=False)
        for name, same in itertools.groupby(itertools.chain([first], pieces), key=lambda piece: piece[0]):
            path = target / name if chosen.is_folder and name else target
            if path.is_dir():  # a folder of nothing
                continue
            path.parent.mkdir(parents=True, exist_ok=True)
            with path.open("wb") as file:
                file.writelines(piece for _, piece in same)


def read_summary(folder: Path, *, problems: int = 20) -> dict[str, Any]:
    """What a result folder holds: counts, configuration, runs, and the first of the frames that have a problem."""
    with connect(folder, read_only=True) as db:
        statuses = dict(db.execute("SELECT status, count(*) FROM frame GROUP BY status").fetchall())
        kinds = dict(db.execute("SELECT kind, count(*) FROM source GROUP BY kind").fetchall())
        (faces,) = db.execute("SELECT count(*) FROM face WHERE rejected IS NULL").fetchone()
        (persons,) = db.execute("SELECT count(DISTINCT person) FROM face").fetchone()
        (rejected,) = db.execute("SELECT count(*) FROM face WHERE rejected IS NOT NULL").fetchone()
        (frames_with_faces,) = db.execute(
            "SELECT count(*) FROM (SELECT DISTINCT source_id, frame_idx FROM face WHERE rejected IS NULL)"
        ).fetchone()
        masks = dict(db.execute("SELECT name, count(*) FROM mask GROUP BY name ORDER BY name").fetchall())
        config = db.execute("SELECT value FROM meta WHERE key = 'config'").fetchone()
        return {
            "sources": kinds,
            "frames": {status.value: statuses.get(status, 0) for status in Status},
            "faces": faces,
            "rejected": rejected,
            "persons": persons,
            "frames_with_faces": frames_with_faces,
            "rejected_by": _rejected_by(db),
            "masks": masks,
            "again": dict(db.execute("SELECT stage, count(*) FROM again GROUP BY stage ORDER BY stage").fetchall()),
            "config": json.loads(config[0]) if config else None,
            "problems": _problems(db, problems),
            "runs": _runs(db),
        }


def _rejected_by(db: sqlite3.Connection) -> dict[str, int]:
    """How many faces each filter has rejected, by its name; one may be rejected by several."""
    reasons = (reason for (reason,) in db.execute("SELECT rejected FROM face WHERE rejected IS NOT NULL"))
    names = (part.partition(":")[0] for reason in reasons for part in reason.split("; "))
    return dict(sorted(Counter(names).items()))


def _problems(db: sqlite3.Connection, limit: int) -> list[dict[str, Any]]:
    rows = db.execute(
        "SELECT name, idx, status, reason FROM frame JOIN source ON source.id = source_id WHERE reason IS NOT NULL"
        " UNION ALL SELECT name, frame_idx, 'missing', stage || ': ' || reason"
        " FROM again JOIN source ON source.id = source_id WHERE reason IS NOT NULL ORDER BY 1, 2 LIMIT ?",
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


def _array(content: bytes | None, dtype: str, shape: tuple[int, ...]) -> Any:
    return None if content is None else np.frombuffer(content, dtype).reshape(shape)


def _time(ticks: int | None, time_base: str | None) -> Fraction | None:
    return None if ticks is None or time_base is None else ticks * Fraction(time_base)
