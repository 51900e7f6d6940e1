"""Covering: where the faces of a source are to be covered, in the frames in which they were found and in those between.

A face is covered a little before it is found first and after it is found last, and in every frame that its track
misses. The farther the next frame in which it was found, the larger is what is covered.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from enum import StrEnum

import numpy as np
from numpy.typing import NDArray

from faceloom.geometry.boxes import Boxes

LOW_SCORE = 0.75
"""A detector's score below which a person should look."""
GROWTH_A_SECOND = 1.2
"""Of a box's sides, on either side of it: how fast what may be its place grows where it was not found."""
_MOST_GROWTH = 0.6
_UNSURE = 0.15
"""Of a box's sides: by how much it grows at a score of 0; none at 1."""


_AT_EDGE_PX = 1.0
"""Whoever goes out of a frame is cut off by its edge then: a detector gives boxes that reach it."""
_NO_CUTS = np.zeros(0, np.int64)


class Doubt(StrEnum):
    """Why a person should look at a frame."""

    LOW_SCORE = "low score"
    GAP = "gap filled"
    ENDS = "before or after"
    EDGE = "at the edge"
    UNSEEN = "not looked at"
    CUT = "cut"
    FOUND = "still found"


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class SeenFaces:
    """Faces of one source, in the order of its frames."""

    frames: NDArray[np.int64]
    """(N,) index of each face's frame, ascending."""
    boxes: Boxes
    """(N, 4) upright pixels."""
    scores: NDArray[np.float32]
    tracks: NDArray[np.int64]
    """(N,) faces with the same number are one face."""
    indexes: NDArray[np.int64]
    """(N,) which face of its frame each is."""
    sizes: NDArray[np.int64] | None = None
    """(N, 2) height and width of each face's frame, where they are known."""

    def __len__(self) -> int:
        return len(self.frames)

    @property
    def are_cut(self) -> NDArray[np.bool_]:
        """(N,) whether the edge of its frame cuts a face off."""
        if self.sizes is None:
            return np.zeros(len(self), np.bool_)
        begins = (self.boxes[:, :2] <= _AT_EDGE_PX).any(axis=1)
        return np.asarray(begins | (self.boxes[:, 2:] >= self.sizes[:, ::-1] - 1 - _AT_EDGE_PX).any(axis=1), np.bool_)

    def part(self, chosen: NDArray[np.bool_]) -> "SeenFaces":
        """Some of them."""
        return SeenFaces(
            frames=self.frames[chosen],
            boxes=self.boxes[chosen],
            scores=self.scores[chosen],
            tracks=self.tracks[chosen],
            indexes=self.indexes[chosen],
            sizes=None if self.sizes is None else self.sizes[chosen],
        )


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Covers:
    """Where a source is to be covered, in the order of its frames."""

    frames: NDArray[np.int64]
    """(M,) ascending."""
    boxes: Boxes
    """(M, 4) upright pixels, grown by what is not known; without the margin that was asked for."""
    indexes: NDArray[np.int64]
    """(M,) which face of its frame it is for; -1: of none that was found there."""
    tracks: NDArray[np.int64]
    """(M,) which track it is of."""
    doubts: tuple[Doubt | None, ...]

    def __len__(self) -> int:
        return len(self.frames)

    def rows_of(self, frame: int) -> range:
        """The places of those of a frame."""
        begin, end = np.searchsorted(self.frames, [frame, frame + 1])
        return range(int(begin), int(end))


def cover(
    seen: SeenFaces,
    times: NDArray[np.float64],
    *,
    gap_s: float,
    hold_s: float,
    growth_a_second: float = GROWTH_A_SECOND,
    cuts: NDArray[np.int64] = _NO_CUTS,
) -> Covers:
    """Where faces are to be covered.

    Args:
        seen: the faces.
        times: (F,) seconds of every frame of the source, ascending; one of a picture.
        gap_s: longest time over which a track's missing frames are filled.
        hold_s: how long before its first and after its last face a track is covered.
        cuts: (C,) frames that begin a shot, ascending: no face is held beyond.
        growth_a_second: how fast what is covered grows where a face was not found, as a share of its sides.
    """
    parts = [_found(seen)]
    filling = _Filling(seen, times, gap_s=gap_s, hold_s=hold_s, growth_a_second=growth_a_second, cuts=cuts)
    order = np.lexsort([seen.frames, seen.tracks])
    for rows in np.split(order, np.flatnonzero(np.diff(seen.tracks[order])) + 1) if len(order) else ():
        parts += filling.of_track(rows)
    return _joined(parts)


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class _Part:
    frames: NDArray[np.int64]
    boxes: NDArray[np.float32]
    indexes: NDArray[np.int64]
    tracks: NDArray[np.int64]
    doubts: list[Doubt | None]


def _found(seen: SeenFaces) -> _Part:
    return _Part(
        frames=seen.frames,
        boxes=grown(seen.boxes, _UNSURE * (1 - np.clip(seen.scores, 0, 1))),
        indexes=seen.indexes,
        tracks=seen.tracks,
        doubts=[Doubt.LOW_SCORE if score < LOW_SCORE else None for score in seen.scores.tolist()],
    )


class _Filling:
    """Covers what tracks miss."""

    def __init__(
        self,
        seen: SeenFaces,
        times: NDArray[np.float64],
        *,
        gap_s: float,
        hold_s: float,
        growth_a_second: float,
        cuts: NDArray[np.int64],
    ) -> None:
        self._seen = seen
        self._times = times
        self._gap_s = gap_s
        self._hold_s = hold_s
        self._growth_a_second = growth_a_second
        self._edges = np.concatenate([[0], cuts, [len(times)]])
        self._are_cut = seen.are_cut

    def of_track(self, rows: NDArray[np.int64]) -> Iterator[_Part]:
        """Of the track that these faces are."""
        track = int(self._seen.tracks[rows[0]])
        frames, boxes, times = self._seen.frames[rows], self._seen.boxes[rows], self._times
        for i in np.flatnonzero(np.diff(frames) > 1):
            before, after = int(frames[i]), int(frames[i + 1])
            if times[after] - times[before] <= self._gap_s:
                yield self._between((before, after), boxes[i : i + 2], track)
            else:
                yield self._after(int(rows[i]), track)
                yield self._before(int(rows[i + 1]), track)
        yield self._before(int(rows[0]), track)
        yield self._after(int(rows[-1]), track)

    def _between(self, ends: tuple[int, int], boxes: NDArray[np.float32], track: int) -> _Part:
        """The frames of a gap: boxes on the way from one end to the other."""
        times = self._times
        frames = np.arange(ends[0] + 1, ends[1])
        span = max(times[ends[1]] - times[ends[0]], 1e-9)
        since, until = times[frames] - times[ends[0]], times[ends[1]] - times[frames]
        share = (since / span)[:, None]
        laid = (boxes[:1] * (1 - share) + boxes[1:] * share).astype(np.float32)
        return self._made(frames, laid, np.minimum(since, until), track, Doubt.GAP)

    def _before(self, row: int, track: int) -> _Part:
        """The frames before one in which a face was found, where it may have been there already."""
        frame = int(self._seen.frames[row])
        first = int(np.searchsorted(self._times, self._times[frame] - self._hold_s, side="left"))
        begin = int(self._edges[np.searchsorted(self._edges, frame, side="right") - 1])
        return self._held(np.arange(max(first, begin), frame), row, track)

    def _after(self, row: int, track: int) -> _Part:
        """The frames after one in which a face was found, where it may still be there."""
        frame = int(self._seen.frames[row])
        end = int(np.searchsorted(self._times, self._times[frame] + self._hold_s, side="right"))
        stop = int(self._edges[np.searchsorted(self._edges, frame, side="right")])
        return self._held(np.arange(frame + 1, min(end, stop)), row, track)

    def _held(self, frames: NDArray[np.int64], row: int, track: int) -> _Part:
        far = np.abs(self._times[frames] - self._times[self._seen.frames[row]])
        doubt = Doubt.EDGE if self._are_cut[row] else Doubt.ENDS
        return self._made(frames, np.repeat(self._seen.boxes[row : row + 1], len(frames), 0), far, track, doubt)

    def _made(
        self,
        frames: NDArray[np.int64],
        boxes: NDArray[np.float32],
        seconds: NDArray[np.float64],
        track: int,
        doubt: Doubt,
    ) -> _Part:
        """Boxes that have grown with the seconds to the nearest frame in which the face was found."""
        growth = np.minimum(seconds * self._growth_a_second, _MOST_GROWTH)
        return _Part(
            frames=frames,
            boxes=grown(boxes, growth),
            indexes=np.full(len(frames), -1, np.int64),
            tracks=np.full(len(frames), track, np.int64),
            doubts=[doubt] * len(frames),
        )


def grown(boxes: NDArray[np.float32], shares: NDArray[np.floating] | float) -> NDArray[np.float32]:
    """Boxes (N, 4) that reach farther on every side by these shares of their own sides."""
    sides = boxes[:, 2:] - boxes[:, :2]
    more = sides * np.reshape(shares, (-1, 1))
    return np.concatenate([boxes[:, :2] - more, boxes[:, 2:] + more], axis=1).astype(np.float32)


def _joined(parts: list[_Part]) -> Covers:
    frames = np.concatenate([np.zeros(0, np.int64), *(part.frames for part in parts)])
    order = np.argsort(frames, kind="stable")
    doubts = [doubt for part in parts for doubt in part.doubts]
    return Covers(
        frames=frames[order],
        boxes=np.concatenate([np.zeros((0, 4), np.float32), *(part.boxes for part in parts)])[order],
        indexes=np.concatenate([np.zeros(0, np.int64), *(part.indexes for part in parts)])[order],
        tracks=np.concatenate([np.zeros(0, np.int64), *(part.tracks for part in parts)])[order],
        doubts=tuple(doubts[i] for i in order),
    )
