"""The faces of one source of a result folder, as they are corrected: whose are covered, and whose are not."""

import hashlib
import sqlite3
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from faceloom.redacting.covering import SeenFaces
from faceloom.redacting.shapes import Mask
from faceloom.redacting.styles import Whose
from faceloom.redacting.tracks import tracks_of
from faceloom.store.configuration import framing_of
from faceloom.store.reading import read_config, select_faces
from faceloom.store.replay import BY_HAND
from faceloom.store.view import chip_size_of, connect_corrected

_FACES = (
    "SELECT frame_idx, face.idx, x0, y0, x1, y1, score, person, rejected, track, coalesce(height, 0),"
    " coalesce(width, 0) FROM main.source JOIN face ON face.source_id = source.id JOIN main.frame"
    " ON frame.source_id = source.id AND frame.idx = frame_idx WHERE name = ? ORDER BY frame_idx, face.idx"
)
_LOOKED_AT = (
    "SELECT frame.idx FROM source JOIN frame ON frame.source_id = source.id WHERE name = ? AND status = 'done'"
    " ORDER BY frame.idx"
)
_IS_TRACKED = "SELECT 1 FROM tracked JOIN source ON source.id = source_id WHERE name = ?"
_CUTS = (
    "SELECT frame_idx FROM shot JOIN source ON source.id = source_id WHERE name = ? AND frame_idx > 0"
    " ORDER BY frame_idx"
)
_NO_FACES = SeenFaces(
    frames=np.zeros(0, np.int64),
    boxes=np.zeros((0, 4), np.float32),
    scores=np.zeros(0, np.float32),
    tracks=np.zeros(0, np.int64),
    indexes=np.zeros(0, np.int64),
)


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class SourceFaces:
    """What is known of a source."""

    covered: SeenFaces
    kept: SeenFaces
    """Faces that are to be seen: of persons who are left out, and what a person has said is no face."""
    looked_at: NDArray[np.int64]
    """(D,) frames in which faces were looked for, ascending."""
    cuts: NDArray[np.int64]
    """(C,) frames that begin a shot, where the store knows them."""
    digest: str
    """Of all this, and of masks that were redrawn."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class _Told:
    """The faces of a source as the store has them."""

    seen: SeenFaces
    persons: Sequence[str | None]
    by_hand: NDArray[np.bool_]
    """Whether a person has said that it is no face."""
    are_tracked: bool


def read_source(folder: Path, name: str, whose: Whose, times: NDArray[np.float64], *, raw: bool) -> SourceFaces:
    """The faces of a source.

    A face whose track has persons on it that are all left out is left out too, if nobody knows whose it is itself.

    Args:
        folder: a result folder.
        name: of the source.
        whose: faces are covered.
        times: (F,) seconds of each of its frames.
        raw: whether corrections are left out.

    Raises:
        StoreError: the folder holds no store that can be read.
    """
    with connect_corrected(folder, raw=raw) as db:
        looked_at = np.array([row[0] for row in db.execute(_LOOKED_AT, (name,))], np.int64)
        told = _read(db, name)
        is_tracked = db.execute(_IS_TRACKED, (name,)).fetchone() is not None
        cuts = [row[0] for row in db.execute(_CUTS, (name,))] if is_tracked else []
        seen = told.seen if told.are_tracked and is_tracked else _linked(told.seen, looked_at, times)
        digest = hashlib.sha256(looked_at.tobytes())
        for part in (seen.frames, seen.indexes, seen.boxes, seen.scores, seen.tracks, told.by_hand):
            digest.update(part.tobytes())
        digest.update(repr((list(told.persons), cuts)).encode())
        for row in _said_masks(db, name):
            digest.update(repr(row).encode())
    covered = _covered(replace(told, seen=seen), whose)
    return SourceFaces(
        covered=seen.part(covered),
        kept=seen.part(~covered),
        looked_at=looked_at,
        cuts=np.array(cuts, np.int64),
        digest=digest.hexdigest(),
    )


def none_but_found(times: NDArray[np.float64]) -> SourceFaces:
    """What is known of a film whose faces are covered already."""
    looked_at, no_cuts = np.arange(len(times), dtype=np.int64), np.zeros(0, np.int64)
    return SourceFaces(covered=_NO_FACES, kept=_NO_FACES, looked_at=looked_at, cuts=no_cuts, digest="")


def _linked(seen: SeenFaces, looked_at: NDArray[np.int64], times: NDArray[np.float64]) -> SeenFaces:
    """The same faces, with tracks that follow from where they lie."""
    if not len(seen):
        return seen
    seconds = times[np.minimum(seen.frames, len(times) - 1)]
    tracks = tracks_of(seen.frames, np.searchsorted(looked_at, seen.frames), seconds, seen.boxes)
    return replace(seen, tracks=tracks)


def _said_masks(db: sqlite3.Connection, name: str) -> list[tuple[object, ...]]:
    if db.execute("SELECT 1 FROM temp.sqlite_master WHERE name = 'said_mask'").fetchone() is None:
        return []
    query = (
        "SELECT frame_idx, face.idx, said_mask.name, told FROM main.source JOIN main.face ON source_id = source.id"
        " JOIN temp.said_mask ON face_id = face.id WHERE source.name = ? ORDER BY 1, 2, 3"
    )
    return db.execute(query, (name,)).fetchall()


def _read(db: sqlite3.Connection, name: str) -> _Told:
    rows = db.execute(_FACES, (name,)).fetchall()
    if not rows:
        return _Told(seen=_NO_FACES, persons=(), by_hand=np.zeros(0, np.bool_), are_tracked=True)
    frames, indexes, boxes, scores, persons, rejected, tracks, sizes = (
        [row[i] for row in rows] for i in (0, 1, slice(2, 6), 6, 7, 8, 9, slice(10, 12))
    )
    lone = iter(range(-1, -len(rows) - 1, -1))  # a face without a track is one of its own
    seen = SeenFaces(
        frames=np.array(frames, np.int64),
        boxes=np.array(boxes, np.float32),
        scores=np.array(scores, np.float32),
        tracks=np.array([next(lone) if track is None else track for track in tracks], np.int64),
        indexes=np.array(indexes, np.int64),
        sizes=np.array(sizes, np.int64),
    )
    by_hand = [why is not None and str(why).startswith(BY_HAND) for why in rejected]
    return _Told(
        seen=seen,
        persons=tuple(persons),
        by_hand=np.array(by_hand, np.bool_),
        are_tracked=any(track is not None for track in tracks),
    )


def _covered(told: _Told, whose: Whose) -> NDArray[np.bool_]:
    persons = [person or None for person in told.persons]
    of_tracks: dict[int, set[str]] = {}
    for track, person in zip(told.seen.tracks.tolist(), persons, strict=True):
        if person is not None:
            of_tracks.setdefault(track, set()).add(person)
    covered = []
    for track, person in zip(told.seen.tracks.tolist(), persons, strict=True):
        known = {person} if person is not None else of_tracks.get(track, set())
        covered.append(any(map(whose.is_covered, known)) if known else whose.is_covered(None))
    return np.array(covered, np.bool_) & ~told.by_hand


class MaskReader:
    """Reads the masks of faces, frame by frame."""

    def __init__(self, folder: Path, name: str, *, raw: bool) -> None:
        """Of a source of a result folder."""
        self._name = name
        self._framing = framing_of(read_config(folder))
        self._opened = connect_corrected(folder, raw=raw)
        self._db = self._opened.__enter__()

    def close(self) -> None:
        """Closes the store."""
        self._opened.__exit__(None, None, None)

    def of(self, frame: int) -> Mapping[int, Mask]:
        """By the index of each face all that its masks cover."""
        found = {}
        place = (self._name, frame)
        for row, _ in select_faces(self._db, "AND name = ? AND frame_idx = ?", place, rejected=True):
            if row.landmarks is None or row.frame_to_chip is None:
                continue
            laid = row.laid(chip_size=chip_size_of(row.landmarks, row.frame_to_chip, self._framing))
            masks = [mask for mask in laid.masks.values() if mask.frame_to_mask is not None]
            if not masks:
                continue
            largest = max(masks, key=lambda mask: mask.size)
            assert largest.frame_to_mask is not None
            pixels = np.max([_at(mask.pixels(), largest.size) for mask in masks], axis=0)
            found[row.index] = Mask(pixels=pixels, frame_to_mask=largest.frame_to_mask)
        return found


def _at(pixels: NDArray[np.uint8], size: int) -> NDArray[np.uint8]:
    """A mask at the size of the largest of its face."""
    import cv2

    if len(pixels) == size:
        return pixels
    return np.asarray(cv2.resize(pixels, (size, size), interpolation=cv2.INTER_LINEAR), np.uint8)
