"""Reading the store for results: the only module of them that knows its tables."""

import itertools
import sqlite3
from collections.abc import Iterable, Iterator
from fractions import Fraction
from pathlib import Path
from typing import Any

from faceloom.faces import FrameId
from faceloom.formats.record import FrameRecord
from faceloom.results.faces import ResultFace, ResultFrame, result_face
from faceloom.results.filters import EVERY, FaceFilter
from faceloom.store.reading import read_chip_size, select_faces
from faceloom.store.rows import FaceRow, Status
from faceloom.store.times import time_of
from faceloom.store.view import connect_corrected, of_persons

_TABLES = (
    "FROM face JOIN source ON face.source_id = source.id"
    " JOIN frame ON frame.source_id = source.id AND frame.idx = frame_idx"
)
_HAS_FACES = (
    "EXISTS (SELECT 1 FROM face WHERE face.source_id = source.id AND frame_idx = frame.idx AND (rejected IS NULL OR ?))"
)
_FRAME = "name, frame.idx, ticks, time_base, frame.height, frame.width, status, reason"
_OF_SOURCES = "FROM source CROSS JOIN frame ON frame.source_id = source.id WHERE"


def read_faces(folder: Path, asked: FaceFilter, *, raw: bool = False) -> Iterator[ResultFace]:
    """The faces that are asked for, sorted by source, frame and index."""
    with connect_corrected(folder, raw=raw) as db:
        db.execute("BEGIN")  # what a run writes meanwhile is not seen
        for row, time in _rows(db, asked):
            yield result_face(row, time, folder=folder)


def read_frames(folder: Path, asked: FaceFilter, *, raw: bool = False) -> Iterator[ResultFrame]:
    """The frames of the sources that are asked for, sorted by source and index; those to be done have to have faces."""
    where, values = FaceFilter(sources=asked.sources).condition
    query = f"SELECT {_FRAME}, {_HAS_FACES} AS has_faces {_OF_SOURCES} (status != ? OR has_faces){where}"
    with connect_corrected(folder, raw=raw) as db:
        db.execute("BEGIN")  # what a run writes meanwhile is not seen: frames and faces are of one moment
        groups = itertools.groupby(_rows(db, asked), key=lambda told: told[0].frame)
        frames = db.execute(f"{query} ORDER BY name, frame.idx", (asked.rejected, Status.PENDING, *values))
        for *frame, has_faces in frames:
            found = next(groups)[1] if has_faces else ()
            yield _frame(frame, tuple(result_face(row, time, folder=folder) for row, time in found))


def read_failures(folder: Path) -> Iterator[ResultFrame]:
    """The frames that failed, or of which something was lost, sorted by source and index, without their faces."""
    with connect_corrected(folder, raw=True) as db:
        query = f"SELECT {_FRAME} {_OF_SOURCES} status = ? OR reason IS NOT NULL ORDER BY name, frame.idx"
        for frame in db.execute(query, (Status.FAILED,)):
            yield _frame(frame, ())


def read_records(folder: Path, asked: FaceFilter, *, raw: bool = False) -> Iterator[FrameRecord]:
    """The faces that are asked for with their frames, as formats take them."""
    chip_size = read_chip_size(folder)
    with connect_corrected(folder, raw=raw) as db:
        db.execute("BEGIN")
        size = "SELECT width, height FROM frame JOIN source ON source.id = source_id WHERE name = ? AND idx = ?"
        for frame, rows in itertools.groupby(_rows(db, asked), key=lambda told: told[0].frame):
            found = list(rows)
            width, height = db.execute(size, (frame.source, frame.index)).fetchone()
            time = found[0][1]
            yield FrameRecord(
                id=frame,
                time=None if time is None else float(time),
                width=width,
                height=height,
                faces=tuple(row.laid(chip_size=chip_size) for row, _ in found),
            )


def count_faces(folder: Path, asked: FaceFilter = EVERY, *, raw: bool = False) -> int:
    """How many faces are asked for."""
    where, values = asked.condition
    with connect_corrected(folder, raw=raw) as db:
        tables = _TABLES if where else "FROM face"
        if asked.persons is not None:
            candidates, names = of_persons(db, asked.persons)
            where, values = f"{where} AND face.id IN ({candidates})", (*values, *names)
        rejected = "" if asked.rejected else " AND rejected IS NULL"
        return int(db.execute(f"SELECT count(*) {tables} WHERE 1{rejected}{where}", values).fetchone()[0])


def require_readable(folder: Path, *, raw: bool = False) -> None:
    """Looks whether there is a store that can be read, without reading all of it.

    Raises:
        StoreError: there is none.
    """
    with connect_corrected(folder, raw=raw) as db:
        db.execute("SELECT 1 FROM source, frame, face LIMIT 1").fetchone()


def missing_source(folder: Path, names: Iterable[str]) -> str | None:
    """The first of these that is no source's name; None: all are."""
    with connect_corrected(folder, raw=True) as db:
        query = "SELECT 1 FROM source WHERE name = ?"
        return next((name for name in names if db.execute(query, (name,)).fetchone() is None), None)


def missing_person(folder: Path, names: Iterable[str], *, raw: bool = False) -> str | None:
    """The first of these whom no face is; None: all are there, as "" always is, for faces that are nobody's."""
    with connect_corrected(folder, raw=raw) as db:

        def is_there(name: str) -> bool:
            candidates, values = of_persons(db, [name])
            query = f"SELECT 1 FROM face WHERE id IN ({candidates}) AND person = ? AND rejected IS NULL LIMIT 1"
            return db.execute(query, (*values, name)).fetchone() is not None

        return next((name for name in names if name and not is_there(name)), None)


def read_sources(folder: Path) -> tuple[str, ...]:
    """The names of all sources, sorted."""
    with connect_corrected(folder, raw=True) as db:
        return tuple(name for (name,) in db.execute("SELECT name FROM source ORDER BY name"))


def read_person_names(folder: Path, *, raw: bool = False) -> tuple[str, ...]:
    """The names of all persons, the one with the most faces first."""
    query = (
        "SELECT person FROM face WHERE person IS NOT NULL AND rejected IS NULL"
        " GROUP BY person ORDER BY count(*) DESC, length(person), person"
    )
    with connect_corrected(folder, raw=raw) as db:
        return tuple(name for (name,) in db.execute(query))


def _rows(db: sqlite3.Connection, asked: FaceFilter) -> Iterator[tuple[FaceRow, Fraction | None]]:
    where, values = asked.condition
    return select_faces(db, where, values, rejected=asked.rejected, persons=asked.persons)


def _frame(row: Any, faces: tuple[ResultFace, ...]) -> ResultFrame:
    name, index, ticks, time_base, height, width, status, reason = row
    return ResultFrame(
        id=FrameId(name, index),
        time=time_of(ticks, time_base),
        height=height,
        width=width,
        status=Status(status),
        reason=reason,
        faces=faces,
    )
