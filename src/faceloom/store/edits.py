"""Edits: what people changed of faces in another program's file, said as corrections of the folder that it came from.

Each face of the file is held against those of its frame as they are now. What is as it was is said nothing of.
"""

import sqlite3
from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import PurePosixPath
from typing import Any

import numpy as np
from numpy.typing import NDArray

from faceloom.errors import RequestError
from faceloom.faces import FrameId
from faceloom.formats.record import FaceRecord, FrameRecord
from faceloom.geometry.affine import Points
from faceloom.geometry.boxes import iou
from faceloom.store.adding import address_to_add, lay_row
from faceloom.store.carrying import Carried
from faceloom.store.corrections import Correction, FaceAddress, Verb, insert_correction
from faceloom.store.replay import Replayed
from faceloom.store.saying import addressed, queue_chips
from faceloom.store.view import looking_through, replayed

_SAME_PX = 0.05
"""Files tell pixels to three or four decimals, or in per cent."""
_MIDDLE = 0.5
"""Our pixels are points at their middles, the first at 0: the edge of a frame is half a pixel before it."""
_LEAST_IOU = 0.3
"""From which on a box of the file may be a face that was moved."""
_LEAST_WHOLE = 0.5
"""Of the faces of a source that a file has to hold for those that it lacks to have been taken out."""
_FACES = (
    "SELECT idx, x0, y0, x1, y1, landmarks, person FROM face WHERE source_id = ? AND frame_idx = ?"
    " AND rejected IS NULL ORDER BY idx"
)


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class _StoredFace:
    """A face of the store, as it is corrected."""

    index: int
    box: NDArray[np.float32]
    landmarks: Points | None
    person: str | None


@dataclass(slots=True, eq=False)
class _Edits:
    """What is to be said, as it comes up."""

    db: sqlite3.Connection
    now: Replayed
    carried: Carried
    persons: dict[str | None, list[FaceAddress]] = field(default_factory=lambda: defaultdict(list))
    rejected: list[FaceAddress] = field(default_factory=list)

    def say(self, verb: Verb, faces: Sequence[FaceAddress], after: Any = None) -> Correction:
        """Says something of faces."""
        made = insert_correction(self.db, Correction.said(verb, faces=tuple(faces), after=after))
        if verb is Verb.ADD:
            lay_row(self.db, made)
        queue_chips(self.db, made)
        self.carried.added += 1
        return made

    def end(self) -> None:
        """Says what is said of many faces at once."""
        for person, faces in self.persons.items():
            self.say(Verb.ASSIGN, faces, person)
        if self.rejected:
            self.say(Verb.REJECT, self.rejected, "taken out of the file")


def take_edits(db: sqlite3.Connection, frames: Iterable[FrameRecord], *, whole_sources: bool) -> Carried:
    """Says what a file tells otherwise than the store; call it within `saying`.

    Args:
        db: the open store.
        frames: of the file; each frame with all its faces.
        whole_sources: a source that the file tells of is told of with all its faces, so that frames which it leaves
            out have none any more; otherwise only of the frames that it has.
    """
    edits = _Edits(db, replayed(db), Carried())
    names = {str(name): int(number) for number, name in db.execute("SELECT id, name FROM source")}
    by_source: dict[str, list[FrameRecord]] = defaultdict(list)
    for frame in frames:
        by_source[frame.id.source].append(frame)
    work: list[tuple[FrameId, FrameRecord, list[_StoredFace]]] = []
    with looking_through(db):
        for told, some in by_source.items():
            name = _name_of(told, names)
            if name is None:
                edits.carried.lost.append(f"{told}: no source of this folder is called so")
                continue
            pages = _frames_of(db, names[name], name, some, whole_sources=whole_sources)
            work += _without_partial(pages, edits.carried, name) if whole_sources else pages
    for place, frame, found in work:
        _take_frame(edits, place, frame, found)
    edits.end()
    return edits.carried


def _name_of(told: str, names: Iterable[str]) -> str | None:
    """The source that a file means: of this name, or the only one of this last part, with its suffix or without."""
    if told in (known := list(names)):
        return told
    last = PurePosixPath(told).name
    by_name = [name for name in known if PurePosixPath(name).name == last]
    by_stem = [name for name in known if PurePosixPath(name).stem == last]
    return next((some[0] for some in (by_name, by_stem) if len(some) == 1), None)


def _frames_of(
    db: sqlite3.Connection, source: int, name: str, told: Sequence[FrameRecord], *, whole_sources: bool
) -> list[tuple[FrameId, FrameRecord, list[_StoredFace]]]:
    """Frames of a source as the file has them, with their faces in the store."""
    by_index = {frame.id.index: frame for frame in told}
    indexes = set(by_index)
    if whole_sources:
        query = "SELECT DISTINCT frame_idx FROM face WHERE source_id = ? AND rejected IS NULL"
        indexes |= {index for (index,) in db.execute(query, (source,))}
    pages = []
    for index in sorted(indexes):
        place = FrameId(name, index)
        faces = [_found(row) for row in db.execute(_FACES, (source, index))]
        pages.append((place, by_index.get(index, FrameRecord(id=place)), faces))
    return pages


def _found(row: tuple[Any, ...]) -> _StoredFace:
    index, x0, y0, x1, y1, landmarks, person = row
    points = None if landmarks is None else np.frombuffer(landmarks, "<f4").reshape(68, 2)
    return _StoredFace(index=index, box=np.array([x0, y0, x1, y1], np.float32), landmarks=points, person=person)


def _without_partial(
    pages: list[tuple[FrameId, FrameRecord, list[_StoredFace]]], carried: Carried, name: str
) -> list[tuple[FrameId, FrameRecord, list[_StoredFace]]]:
    """Where a file has few of a source's faces it is of a part of it, and what it lacks was never in it."""
    there, held = sum(len(found) for *_, found in pages), sum(len(frame.faces) for _, frame, _ in pages)
    if there and held < _LEAST_WHOLE * there:
        carried.lost.append(f"{name}: the file has {held:,} of {there:,} faces, and the others are left as they are")
        return [(place, frame, [*_matched_only(frame, found)]) for place, frame, found in pages if frame.faces]
    return pages


def _matched_only(frame: FrameRecord, found: Sequence[_StoredFace]) -> Iterator[_StoredFace]:
    pairs = dict(_pairs(frame.faces, found))
    yield from (found[place] for place in pairs.values())


def _pairs(told: Sequence[FaceRecord], found: Sequence[_StoredFace]) -> list[tuple[int, int]]:
    """Which face of the file is which of the store: those that overlap most first, each once."""
    if not told or not found:
        return []
    overlaps = iou(np.stack([face.box for face in told]), np.stack([face.box for face in found]))
    pairs: list[tuple[int, int]] = []
    for flat in np.argsort(-overlaps, axis=None, kind="stable").tolist():
        one, other = divmod(flat, len(found))
        if overlaps[one, other] < _LEAST_IOU:
            break
        if all(one != first and other != second for first, second in pairs):
            pairs.append((one, other))
    return pairs


def _take_frame(edits: _Edits, place: FrameId, frame: FrameRecord, found: Sequence[_StoredFace]) -> None:
    """Says what is otherwise in a frame of the file."""
    pairs = _pairs(frame.faces, found)
    for one, other in pairs:
        face, there = frame.faces[one], found[other]
        if not _is_there(face.box, there.box, frame):
            box = addressed(edits.db, edits.now, Verb.BOX, place, there.index)
            edits.say(Verb.BOX, [box], face.box.tolist())
        if _is_elsewhere(face.landmarks, there.landmarks):
            points = addressed(edits.db, edits.now, Verb.LANDMARKS, place, there.index)
            edits.say(Verb.LANDMARKS, [points], np.asarray(face.landmarks).tolist())
        if face.person is not None and (face.person or None) != there.person:
            edits.persons[face.person or None].append(addressed(edits.db, edits.now, Verb.ASSIGN, place, there.index))
    paired, others = {one for one, _ in pairs}, {other for _, other in pairs}
    for number, face in enumerate(frame.faces):
        if number not in paired:
            _add(edits, place, face)
    for number, there in enumerate(found):
        if number not in others:
            edits.rejected.append(addressed(edits.db, edits.now, Verb.REJECT, place, there.index))


def _is_there(told: NDArray[np.float32], found: NDArray[np.float32], frame: FrameRecord) -> bool:
    """Whether a box is where it was; files may have cut it at the edges of the frame."""
    if np.abs(told - found).max() <= _SAME_PX:
        return True
    if frame.width is None or frame.height is None:
        return False
    edges = np.array([frame.width, frame.height] * 2, np.float32) - _MIDDLE
    return bool(np.abs(told - np.clip(found, -_MIDDLE, edges)).max() <= _SAME_PX)


def _is_elsewhere(told: Points | None, found: Points | None) -> bool:
    return told is not None and (found is None or bool(np.abs(told - found).max() > _SAME_PX))


def _add(edits: _Edits, place: FrameId, face: FaceRecord) -> None:
    """Says that there is a face which the store has not."""
    try:
        address = address_to_add(edits.db, edits.now, place, np.asarray(face.box, np.float32))
    except RequestError as error:
        edits.carried.lost.append(f"a face of {place}: {error}")
        return
    edits.say(Verb.ADD, [address])
    if face.landmarks is not None:
        edits.say(Verb.LANDMARKS, [address], np.asarray(face.landmarks).tolist())
    if face.person:
        edits.persons[face.person].append(address)
