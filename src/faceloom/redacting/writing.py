"""Writing: one source is written anew with its faces covered, to a file that has its name only when it is whole."""

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from faceloom.choices import Fill, Over
from faceloom.errors import BudgetError
from faceloom.faces import Image
from faceloom.media.numbered import is_pattern, state_of
from faceloom.media.sources import Source, SourceKind
from faceloom.redacting.covering import Covers, SeenFaces, cover
from faceloom.redacting.doubts import Run, counted, runs_of, shown_of
from faceloom.redacting.films import FilmWriter
from faceloom.redacting.messages import Box, Doubtful, FoundBox, Redacted, Redaction, RedactSource
from faceloom.redacting.painting import Plane, paint, paint_all
from faceloom.redacting.sequences import SequenceWriter
from faceloom.redacting.shapes import Mask, Shape2D, mask_box
from faceloom.redacting.source_faces import MaskReader, SourceFaces, none_but_found, read_source
from faceloom.redacting.stamps import read_stamp
from faceloom.redacting.stills import StillWriter
from faceloom.redacting.styles import Style
from faceloom.redacting.tracks import tracks_of
from faceloom.redacting.written import OnFrames, SourceWriter, Written
from faceloom.store.beside import new_file
from faceloom.store.places import place_below
from faceloom.store.privacy import make_folders_below
from faceloom.thumbnails import to_jpeg
from faceloom.units import format_bytes

_VERSION = 1
"""Of what is written for the same faces."""
_GIF = b"GIF8"
_FOUND_MARGIN = 0.1
"""Of a face's sides: how much more is covered of one that was still found."""
_FOUND_GROWTH = 0.3
"""What is covered of such a face grows less where it was not found: every frame has been looked at twice."""
_BOXED_MARGIN = 0.2
"""The same of one that was found although one colour was laid over it: detectors take a dark ellipse on a neck for a
face, and no dark box."""
_AGAIN = 1 << 40
"""Is added to the numbers of tracks of such faces, so that they are no others'."""


def write_source(
    told: Redaction, asked: RedactSource, *, left_bytes: int | None = None, on_frames: OnFrames
) -> Redacted:
    """Writes a source, unless what is there already is just that.

    Raises:
        MediaError: it cannot be read, or written.
        StoreError: a link leads from the folder that is written to somewhere else.
        BudgetError: it takes more than is left of the memory.
        MemoryError: there is too little memory.
    """
    writer = _writer_of(asked.source, told.style)
    if told.folder is None:
        faces, base = none_but_found(writer.times), asked.base or ""
    else:
        faces = read_source(told.folder, asked.source.name, told.whose, writer.times, raw=told.raw)
        base = _key(told, asked, faces)
    asked = asked if base == asked.base else replace(asked, found=())
    plan = _plan(faces, asked, writer.times, told.style)
    key, target = _digest(base, asked.found), asked.source.name + writer.suffix
    result = Redacted(
        base=base,
        key=key,
        target=target,
        frames=len(writer.times),
        faces=len(faces.covered),
        kept=len(faces.kept),
        covered=len(plan.covers) + len(plan.missed),
        seen=_seen(faces.kept, writer.times, told.style),
        doubts=dict(counted(plan.runs)),
    )
    if key == asked.key:
        return replace(result, is_same=True)
    _require(writer.needed_bytes, left_bytes)
    place = place_below(told.out, target)
    make_folders_below(told.out, Path(target).parent, share=told.share)
    place.unlink(missing_ok=True)  # of an earlier round, or of a run that was killed before it could say so
    with new_file(place, share=told.share) as part, _Painter(told, asked, plan) as painter:
        written = writer.write(part, painter, stamp=painter.stamp, on_frames=on_frames)
    return _finished(result, written, plan, writer.times)


def _require(needed_bytes: int, left_bytes: int | None) -> None:
    if left_bytes is not None and needed_bytes > left_bytes:
        takes, left = format_bytes(needed_bytes), format_bytes(max(0, left_bytes))
        more = format_bytes(needed_bytes - left_bytes)
        message = f"decoding and encoding it takes {takes}, and of the budget {left} are left; raise --memory by {more}"
        raise BudgetError(message, needed_bytes=needed_bytes, budget_bytes=max(0, left_bytes))


def _writer_of(source: Source, style: Style) -> SourceWriter:
    if source.kind is SourceKind.PICTURE:
        return StillWriter(source)
    if is_pattern(source.path):
        return SequenceWriter(source, quality=style.quality)
    film = FilmWriter(source, quality=style.quality)
    with source.path.open("rb") as file:
        is_gif = file.read(len(_GIF)) == _GIF
    return StillWriter(source, film.times) if is_gif else film


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class _Plan:
    """What is covered of a source."""

    covers: Covers
    missed: Covers
    """Faces that were still found where nothing was covered."""
    solid: frozenset[int]
    """Tracks of which a face was still found although it was covered: one colour is laid over all of it."""
    boxed: frozenset[int]
    """Those of them of which one was found even so: the colour is laid over a box."""
    unseen: frozenset[int]
    """Frames in which nobody has looked for faces: they are covered wholly."""
    runs: list[Run]
    shown: list[Run]


def _plan(faces: SourceFaces, asked: RedactSource, times: NDArray[np.float64], style: Style) -> _Plan:
    covers = cover(faces.covered, times, gap_s=style.fill_s, hold_s=style.hold_s, cuts=faces.cuts)
    missed, shining = _still_found(asked, covers, times, style)
    unseen = _unseen(faces.looked_at, times, style)
    runs = runs_of(covers, unseen, _doubtful_cuts(faces.cuts, covers))
    return _Plan(
        covers=covers,
        missed=missed,
        solid=frozenset(shining),
        boxed=frozenset(track for track, rounds in shining.items() if len(rounds) > 1),
        unseen=frozenset(unseen.tolist()),
        runs=runs,
        shown=shown_of(runs),
    )


def _doubtful_cuts(cuts: NDArray[np.int64], covers: Covers) -> list[int]:
    """Cuts beside which something is covered."""
    return [int(cut) for cut in cuts.tolist() if covers.rows_of(cut - 1) or covers.rows_of(cut)]


def _unseen(looked_at: NDArray[np.int64], times: NDArray[np.float64], style: Style) -> NDArray[np.int64]:
    """Frames that nobody has looked at, but for those between two that are close enough to fill a gap."""
    left_out = np.setdiff1d(np.arange(len(times)), looked_at)
    if not len(looked_at) or not len(left_out):
        return left_out
    place = np.searchsorted(looked_at, left_out)
    inside = (place > 0) & (place < len(looked_at))
    before, after = looked_at[np.maximum(place - 1, 0)], looked_at[np.minimum(place, len(looked_at) - 1)]
    return left_out[~(inside & (times[after] - times[before] <= style.fill_s))]


def _still_found(
    asked: RedactSource, covers: Covers, times: NDArray[np.float64], style: Style
) -> tuple[Covers, dict[int, set[int]]]:
    """Covers of what was found where nothing was covered; and the tracks of what was found where something was.

    Of these in which rounds.
    """
    missed: list[FoundBox] = []
    shining: list[FoundBox] = []
    for number in sorted({told[3] for told in asked.found}):
        again = _covers_of(missed, times, style)
        for told in (one for one in asked.found if one[3] == number):
            is_covered = _tracks_at(told, covers) or _tracks_at(told, again)
            (shining if is_covered else missed).append(told)
    again = _covers_of(missed, times, style)
    tracks: dict[int, set[int]] = {}
    for told in shining:
        for track in (*_tracks_at(told, covers), *(_AGAIN + one for one in _tracks_at(told, again))):
            tracks.setdefault(track, set()).add(told[3])
    return again, tracks


def _tracks_at(told: FoundBox, covers: Covers) -> list[int]:
    """The tracks whose faces are covered where the middle of a face was found."""
    x, y = (told[1][0] + told[1][2]) / 2, (told[1][1] + told[1][3]) / 2
    boxes = ((row, covers.boxes[row]) for row in covers.rows_of(told[0]))
    return [int(covers.tracks[row]) for row, box in boxes if box[0] <= x <= box[2] and box[1] <= y <= box[3]]


def _covers_of(found: Sequence[FoundBox], times: NDArray[np.float64], style: Style) -> Covers:
    rows = sorted(found)
    frames = np.array([told[0] for told in rows], np.int64)
    boxes = np.array([told[1] for told in rows], np.float32).reshape(-1, 4)
    seen = SeenFaces(
        frames=frames,
        boxes=boxes,
        scores=np.ones(len(rows), np.float32),
        tracks=tracks_of(frames, frames, times[np.minimum(frames, len(times) - 1)], boxes),
        indexes=np.full(len(rows), -1, np.int64),
    )
    return cover(seen, times, gap_s=style.fill_s, hold_s=style.hold_s, growth_a_second=_FOUND_GROWTH)


def _seen(kept: SeenFaces, times: NDArray[np.float64], style: Style) -> tuple[tuple[int, Box], ...]:
    """Where faces are that are to be seen, also between the frames in which they were found."""
    covers = cover(kept, times, gap_s=style.fill_s, hold_s=style.hold_s)
    return tuple(
        (int(frame), (box[0], box[1], box[2], box[3]))
        for frame, box in zip(covers.frames.tolist(), covers.boxes.tolist(), strict=True)
    )


def _key(told: Redaction, asked: RedactSource, faces: SourceFaces) -> str:
    """Tells what is written for other faces from what is there, or of another file."""
    state = state_of(asked.source.path)
    return _digest(_VERSION, told.style, told.whose, faces.digest, *state)


def _digest(*parts: object) -> str:
    return hashlib.sha256(repr(parts).encode()).hexdigest()


class _Painter:
    """Covers the frames of a source, in order."""

    def __init__(self, told: Redaction, asked: RedactSource, plan: _Plan) -> None:
        self._style = told.style
        self._plan = plan
        self._shown = {run.middle for run in plan.shown}
        self.stamp: Image | None = None if told.style.picture is None else read_stamp(told.style.picture)
        self._masks: MaskReader | None = None
        if told.folder is not None and told.style.over is Over.MASK:
            self._masks = MaskReader(told.folder, asked.source.name, raw=told.raw)

    def __enter__(self) -> "_Painter":
        return self

    def __exit__(self, *_: object) -> None:
        if self._masks is not None:
            self._masks.close()

    def __call__(self, frame: int, planes: list[Plane]) -> bool:
        if frame in self._plan.unseen:
            paint_all(planes)
            return frame in self._shown
        self._paint_found(frame, planes)
        style, missed = self._style, self._plan.missed
        for row in missed.rows_of(frame):
            shape = replace(_shape(missed.boxes[row], style, None), margin=style.margin + _FOUND_MARGIN)
            self._cover(planes, shape, _AGAIN + int(missed.tracks[row]))
        return frame in self._shown

    def _paint_found(self, frame: int, planes: list[Plane]) -> None:
        covers, masks = self._plan.covers, None
        for row in covers.rows_of(frame):
            index = int(covers.indexes[row])
            if index >= 0 and masks is None and self._masks is not None:
                masks = self._masks.of(frame)
            shape = _shape(covers.boxes[row], self._style, masks.get(index) if masks else None)
            self._cover(planes, shape, int(covers.tracks[row]))

    def _cover(self, planes: list[Plane], shape: Shape2D, track: int) -> None:
        if track in self._plan.boxed:
            shape = replace(shape, over=Over.BOX, margin=shape.margin + _BOXED_MARGIN)
        paint(planes, shape, Fill.SOLID if track in self._plan.solid else self._style.fill)


def _shape(box: NDArray[np.float32], style: Style, mask: Mask | None) -> Shape2D:
    around = None if mask is None else mask_box(mask)
    if around is not None:
        box = np.concatenate([np.minimum(box[:2], around[:2]), np.maximum(box[2:], around[2:])])
    return Shape2D(box=box, over=style.over, margin=style.margin, feather=style.feather, mask=mask)


def _finished(result: Redacted, written: Written, plan: _Plan, times: NDArray[np.float64]) -> Redacted:
    doubtful = [
        Doubtful(
            doubt=run.doubt,
            first=run.first,
            last=run.last,
            time_s=float(times[run.middle]) if len(times) > 1 else None,
            thumbnail=to_jpeg(written.thumbnails[run.middle]) if run.middle in written.thumbnails else None,
        )
        for run in plan.shown
    ]
    return replace(
        result,
        frames=written.frames,
        codec=written.codec,
        notes=written.notes,
        lost=written.lost,
        doubtful=tuple(doubtful),
    )
