"""Persons: reading what faces are told apart by, and writing whose they are."""

import json
import sqlite3
from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from faceloom.errors import RequestError, StoreError
from faceloom.faces import FrameId
from faceloom.store.configuration import config_in
from faceloom.store.corrections import said_names
from faceloom.store.database import connect, transaction
from faceloom.store.view import connect_corrected, replayed

_IN_ORDER = "rejected IS NULL AND embedding IS NOT NULL ORDER BY name, frame_idx, idx"


@dataclass(frozen=True, slots=True, kw_only=True)
class FaceTraits:
    """A face as persons are shown by it: where it is, and what faces can be sorted by."""

    frame: FrameId
    index: int
    chip: str | None
    score: float
    size_px: float
    """Longer side of its box."""
    quality: float | None
    sharpness: float | None
    yaw: float | None
    """Degrees, as the next."""
    pitch: float | None


def count_embeddings(folder: Path) -> tuple[int, int]:
    """How many faces `read_embeddings` gives, and how many numbers the longest embedding has.

    Raises:
        StoreError: the folder holds no store that can be read.
    """
    with connect_corrected(folder) as db:
        query = (
            f"SELECT count(*), max(length(embedding)) FROM face JOIN source ON source.id = source_id WHERE {_IN_ORDER}"
        )
        count, length = db.execute(query).fetchone()
    return count, (length or 0) // 4


def count_nobody(folder: Path) -> int:
    """How many faces with an embedding are nobody's, as persons are corrected.

    Raises:
        StoreError: the folder holds no store that can be read.
    """
    query = "SELECT count(*) FROM face WHERE rejected IS NULL AND embedding IS NOT NULL AND person IS NULL"
    with connect_corrected(folder) as db:
        return int(db.execute(query).fetchone()[0])


def placed_by_hand(folder: Path) -> dict[str, str | None]:
    """Whose faces are of which somebody said whose they are, by `SOURCE#FRAME/INDEX`; None: nobody's.

    Raises:
        StoreError: the folder holds no store that can be read, or what corrections say makes no sense.
    """
    query = "SELECT name, frame_idx, idx FROM face JOIN source ON source.id = source_id WHERE face.id = ?"
    with connect_corrected(folder, raw=True) as db:
        now = replayed(db).people
        rows = {face: db.execute(query, (face,)).fetchone() for face in now.faces.keys() - now.parted}
        return {f"{FrameId(*row[:2])}/{row[2]}": now.faces[face] for face, row in rows.items() if row is not None}


def is_corrected(folder: Path) -> bool:
    """Whether anything was ever corrected.

    Raises:
        StoreError: the folder holds no store that can be read.
    """
    with connect_corrected(folder, raw=True) as db:
        return db.execute("SELECT 1 FROM correction LIMIT 1").fetchone() is not None


def read_embeddings(folder: Path) -> tuple[list[int], NDArray[np.float32]]:
    """Row numbers (N) and embeddings (N, D) of all faces that have one and no filter rejected, by source and frame.

    Raises:
        RequestError: there is none.
        StoreError: the folder holds no store that can be read, or embeddings of several lengths.
    """
    with connect_corrected(folder) as db:
        query = f"FROM face JOIN source ON source.id = source_id WHERE {_IN_ORDER}"
        lengths = db.execute("SELECT DISTINCT length(embedding) FROM face WHERE embedding IS NOT NULL").fetchall()
        (count,) = db.execute(f"SELECT count(*) {query}").fetchone()
        if not count:
            raise without_embeddings(folder)
        if len(lengths) != 1:
            raise StoreError(
                f"{folder} holds embeddings of {len(lengths)} lengths, of several identifiers", path=folder
            )
        ids = []
        embeddings = np.empty((count, lengths[0][0] // 4), np.float32)
        for row, (face_id, content) in enumerate(db.execute(f"SELECT face.id, embedding {query}")):
            ids.append(face_id)
            embeddings[row] = np.frombuffer(content, "<f4")
        if not np.isfinite(embeddings).all():
            raise StoreError(f"{folder} is damaged: an embedding holds what is no number", path=folder)
        return ids, embeddings


def read_identifier(folder: Path) -> str:
    """The identifier that a folder was made with, as in `identify/dlib`.

    Raises:
        RequestError: it was made without.
        StoreError: the folder holds no store that can be read.
    """
    with connect(folder, read_only=True) as db:
        stages = config_in(db).get("stages", {})
    found = next((stage for stage in stages if stage.startswith("identify/")), None)
    if found is None:
        raise without_embeddings(folder)
    return str(found)


def without_embeddings(folder: Path) -> RequestError:
    """What is said where faces are to be told apart, and nothing tells them apart."""
    return RequestError(
        f"{folder} holds no embeddings, which tell faces apart; make them with an identifier,"
        f" as in faceloom extend {folder} --identify dlib"
    )


def write_persons(
    folder: Path, ids: Sequence[int], persons: Sequence[str], *, told: "Attributions | None" = None
) -> bool:
    """Says whose these faces are; all others are nobody's from now on. Call it with the folder locked.

    Those of which somebody said whose they are keep what they have.

    Returns:
        Whether it was written: not if anything has been corrected since that was told.
    """
    with connect(folder, read_only=False) as db, transaction(db):
        if told is not None and _state_of(db) != told.state:
            return False
        kept = json.dumps([] if told is None else sorted(told.kept))
        db.execute(
            "UPDATE face SET person = NULL WHERE person IS NOT NULL AND id NOT IN (SELECT value FROM json_each(?))",
            (kept,),
        )
        db.executemany("UPDATE face SET person = ? WHERE id = ?", zip(persons, ids, strict=True))
        return True


@dataclass(frozen=True, slots=True, kw_only=True)
class Attributions:
    """What somebody said of the persons of faces, as grouping takes it."""

    state: tuple[Any, ...]
    """Of the corrections, by which it is seen whether there are others by now."""
    found: Sequence[str | None]
    """Of each face, what it was called by the last grouping."""
    persons: Sequence[str | None]
    """Of each face of which somebody said whose it is, that person; of the others None."""
    calls: Sequence[str | None]
    """Of each such face, how grouping calls those who are like it."""
    apart: Sequence[tuple[int, int]]
    """Places of two faces that are of two persons."""
    kept: frozenset[int]
    """Row numbers of all faces of which somebody said whose they are."""
    names: frozenset[str]
    """That anybody has ever given or taken."""

    def first(self, count: int) -> "Attributions":
        """What was said of the first so many of the faces."""
        if count == len(self.found):
            return self
        return replace(
            self,
            found=self.found[:count],
            persons=self.persons[:count],
            calls=self.calls[:count],
            apart=[pair for pair in self.apart if max(pair) < count],
        )


def read_told(folder: Path, ids: Sequence[int]) -> Attributions:
    """What somebody said of the persons of these faces, and what they were called before.

    Raises:
        StoreError: the folder holds no store that can be read, or what corrections say makes no sense.
    """
    with connect_corrected(folder, raw=True) as db:
        db.execute("BEGIN")
        state = _state_of(db)
        found = dict(db.execute("SELECT id, person FROM face WHERE person IS NOT NULL"))
        if not state[0]:
            return _untold(state, [found.get(face) for face in ids])
        now = replayed(db).people
        faces, aliases = now.faces, now.aliases
        told = {face: person for face, person in faces.items() if face not in now.parted}
        whole = ((face, aliases.get(name, name)) for face, name in found.items() if face not in faces)
        told |= {face: person for face, person in whole if person in now.names}
        places = {face: place for place, face in enumerate(ids)}
        return Attributions(
            state=state,
            found=[found.get(face) for face in ids],
            persons=[told.get(face) for face in ids],
            calls=[found[face] if face in told and face not in faces else told.get(face) for face in ids],
            apart=[(places[a], places[b]) for a, b in now.apart if a in places and b in places],
            kept=frozenset(told),
            names=frozenset(said_names(db)),
        )


def _untold(state: tuple[Any, ...], found: list[str | None]) -> Attributions:
    """Of faces of which nobody ever said anything."""
    nobody = [None] * len(found)
    return Attributions(
        state=state, found=found, persons=nobody, calls=nobody, apart=(), kept=frozenset(), names=frozenset()
    )


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Circumstances:
    """Where faces are and how good they are, one row each."""

    frames: NDArray[np.intp]
    """(N,) the same number for those of one frame; -1 where the face is there no more."""
    qualities: NDArray[np.float64]
    """(N,) 0 to 1; not a number where it is not known."""
    sizes_px: NDArray[np.float64]
    """(N,) longer sides of their boxes."""
    tracks: NDArray[np.intp]
    """(N,) the same number for those of one track; -1 for none."""


def read_followers(folder: Path) -> list[int]:
    """Row numbers of the faces that have no embedding, and are in a track with others.

    Raises:
        StoreError: the folder holds no store that can be read.
    """
    query = "SELECT id FROM face WHERE track IS NOT NULL AND embedding IS NULL AND rejected IS NULL ORDER BY id"
    with connect_corrected(folder) as db:
        return [face for (face,) in db.execute(query)]


def read_circumstances(folder: Path, ids: Sequence[int]) -> Circumstances:
    """The circumstances of faces that are named by their row numbers.

    Raises:
        StoreError: the folder holds no store that can be read.
    """
    places = {face: place for place, face in enumerate(ids)}
    frames = np.full(len(ids), -1)
    qualities = np.full(len(ids), np.nan)
    sizes_px = np.zeros(len(ids))
    tracks = np.full(len(ids), -1)
    numbers: dict[tuple[int, int], int] = {}
    track_numbers: dict[tuple[int, int], int] = {}
    query = (
        "SELECT id, source_id, frame_idx, quality, max(x1 - x0, y1 - y0), track FROM face"
        " WHERE embedding IS NOT NULL OR track IS NOT NULL"
    )
    with connect_corrected(folder, raw=True) as db:
        for face, source, index, quality, size, track in db.execute(query):
            place = places.get(face)
            if place is not None:
                frames[place] = numbers.setdefault((source, index), len(numbers))
                qualities[place] = np.nan if quality is None else quality
                sizes_px[place] = size
                if track is not None:
                    tracks[place] = track_numbers.setdefault((source, track), len(track_numbers))
    return Circumstances(frames=frames, qualities=qualities, sizes_px=sizes_px, tracks=tracks)


def _state_of(db: sqlite3.Connection) -> tuple[Any, ...]:
    query = "SELECT count(*), max(id), count(*) FILTER (WHERE undone), sum(id) FILTER (WHERE undone) FROM correction"
    return tuple(db.execute(query).fetchone())


def read_persons(folder: Path) -> dict[str, list[FaceTraits]]:
    """The faces of each person, by source, frame and index."""
    found: dict[str, list[FaceTraits]] = defaultdict(list)
    with connect_corrected(folder) as db:
        for person, face in _traits(db):
            found[person].append(face)
    return found


def _traits(db: sqlite3.Connection) -> Iterator[tuple[str, FaceTraits]]:
    query = (
        "SELECT person, name, frame_idx, idx, chip, score, max(x1 - x0, y1 - y0), quality, sharpness, yaw, pitch"
        " FROM face JOIN source ON source.id = source_id WHERE person IS NOT NULL AND rejected IS NULL"
        " ORDER BY name, frame_idx, idx"
    )
    for person, name, frame, index, chip, score, size, quality, sharpness, yaw, pitch in db.execute(query):
        face = FaceTraits(
            frame=FrameId(name, frame),
            index=index,
            chip=chip,
            score=score,
            size_px=size,
            quality=quality,
            sharpness=sharpness,
            yaw=yaw,
            pitch=pitch,
        )
        yield person, face
