"""What speaks against two faces being one: how far it moved, how it changed, and whom they are like, in one number.

Each part is a square of how many times the usual it is, so that sums are logarithms of likelihoods but for a factor.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Self

import numpy as np
from numpy.typing import NDArray

from faceloom.tracking.sightings import SeenFrame

COSTLIEST = 9.0
"""From here on two faces are not one's: three times the usual."""
NEVER = math.inf
_MOVED, _MOVED_A_SECOND = 0.2, 1.0
"""Usual distance from where a face was foretold, in sides of its box: at once, and more each second."""
_GREW, _GREW_A_SECOND = 0.12, 0.4
"""Usual change of the logarithm of its side."""
_TURNED, _TURNED_A_SECOND = 0.07, 1.0
"""Usual change of its landmarks, laid over each other box by box, in sides of the box."""
_UNLIKE = 0.2
"""Usual distance of a cosine from that of one person, as a share of what is left from there to 1."""
_MOST_ALIKE, _MOST_UNLIKE = 3.0, 12.0
"""What likeness can take from a cost, and add to it."""
_FORESIGHT_S = 0.4
"""How long a motion is taken to last."""
_TICKS = 1_000_000


def whole(cost: float) -> int:
    """A cost as assignment takes it, counted from the least that there can be."""
    return round((cost + _MOST_ALIKE) * _TICKS)


def reach(seconds: float) -> float:
    """How far at most a face is from where it was, or was foretold, in sides of its box."""
    return math.sqrt(COSTLIEST + _MOST_ALIKE) * (_MOVED + _MOVED_A_SECOND * seconds)


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class End:
    """A face at an end of a tracklet."""

    time_s: float
    middle: NDArray[np.float64]
    side: float
    """Geometric mean of the sides of its box, pixels."""
    shape: NDArray[np.float64] | None
    """(K, 2) its landmarks from the middle of the box, in sides."""

    @property
    def bare(self) -> Self:
        """The same without its shape."""
        return self if self.shape is None else replace(self, shape=None)

    @classmethod
    def of(cls, frame: SeenFrame, i: int) -> Self:
        """The i-th face of a frame."""
        x0, y0, x1, y1 = map(float, frame.boxes[i])
        middle = np.array([(x0 + x1) / 2, (y0 + y1) / 2])
        side = math.sqrt(max(x1 - x0, 1.0) * max(y1 - y0, 1.0))
        points = frame.points[i]
        shape = None if points is None else (points.astype(np.float64) - middle) / side
        return cls(time_s=frame.time_s, middle=middle, side=side, shape=shape)


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Likeness:
    """Whom faces are like."""

    total: NDArray[np.float64] | None = None
    """Sum of their embeddings."""
    person: str | None = None
    """Whose somebody has said they are."""

    def with_face(self, embedding: NDArray[np.float32] | None, person: str | None) -> "Likeness":
        """Of one face more."""
        total = self.total
        if embedding is not None:
            total = embedding.astype(np.float64) if total is None else total + embedding
        return replace(self, total=total, person=self.person or person)

    def joined(self, other: "Likeness") -> "Likeness":
        """Of both."""
        total = self.total if other.total is None else other.total if self.total is None else self.total + other.total
        return Likeness(total=total, person=self.person or other.person)

    def cost(self, other: "Likeness", same_person: float | None) -> float:
        """What it adds; `same_person`: the cosine from which on two faces are one person's, if it is known."""
        if self.person is not None and other.person is not None and self.person != other.person:
            return NEVER
        cosine = self.cosine(other)
        if cosine is None or same_person is None:
            return 0.0
        off = (same_person - cosine) / (_UNLIKE * (1 - same_person))
        return min(_MOST_UNLIKE, off * off) if off > 0 else -min(_MOST_ALIKE, -off)

    def cosine(self, other: "Likeness") -> float | None:
        """Of the mean embeddings; None where one has none."""
        if self.total is None or other.total is None or self.total.shape != other.total.shape:
            return None
        lengths = float(np.linalg.norm(self.total)) * float(np.linalg.norm(other.total))
        return float(self.total @ other.total) / max(1e-9, lengths)


def step_cost(tail: Sequence[End], end: End) -> float:
    """From a tracklet's last faces to the one that may be next."""
    last = tail[-1]
    seconds = max(0.0, end.time_s - last.time_s)
    moved = min(math.dist(foretold(tail, seconds), end.middle), math.dist(last.middle, end.middle))
    return _cost(moved, last, end, seconds)


def foretold(ends: Sequence[End], seconds: float) -> NDArray[np.float64]:
    """Where a face will be after so many seconds if it goes on as before, or was, if they are negative."""
    from_ = ends[-1] if seconds >= 0 else ends[0]
    return from_.middle + velocity(ends) * max(-_FORESIGHT_S, min(seconds, _FORESIGHT_S))


def gap_cost(tail: Sequence[End], head: Sequence[End]) -> float:
    """From a tracklet's last faces to the first ones of another that begins later."""
    last, first = tail[-1], head[0]
    seconds = max(0.0, first.time_s - last.time_s)
    forwards = math.dist(foretold(tail, seconds), first.middle)
    backwards = math.dist(foretold(head, -seconds), last.middle)
    moved = min((forwards + backwards) / 2, math.dist(last.middle, first.middle))
    return _cost(moved, last, first, seconds) + seconds


def _cost(moved: float, last: End, end: End, seconds: float) -> float:
    side = math.sqrt(last.side * end.side)
    parts = [
        moved / side / (_MOVED + _MOVED_A_SECOND * seconds),
        math.log(end.side / last.side) / (_GREW + _GREW_A_SECOND * seconds),
    ]
    if last.shape is not None and end.shape is not None and last.shape.shape == end.shape.shape:
        off = float(np.sqrt(((last.shape - end.shape) ** 2).sum(axis=1).mean()))
        parts.append(off / (_TURNED + _TURNED_A_SECOND * seconds))
    return sum(part * part for part in parts)


def velocity(ends: Sequence[End]) -> NDArray[np.float64]:
    """Pixels a second, by the least squares of a straight line through the middles."""
    times = np.array([end.time_s for end in ends])
    times -= times.mean()
    spread = float((times**2).sum())
    if spread == 0:
        return np.zeros(2)
    middles = np.array([end.middle for end in ends])
    return np.asarray(times @ (middles - middles.mean(axis=0)) / spread)
