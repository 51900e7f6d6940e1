"""What faces are spread over when some are picked: identity, pose, light, expression and time, made comparable."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from faceloom.errors import GeometryError
from faceloom.geometry.affine import Points, apply, fit_similarity
from faceloom.geometry.landmarks import INNER, MEAN_FACE

_AT_ONCE = 4096


@dataclass(frozen=True, slots=True, kw_only=True)
class Block:
    """A group of numbers that count together."""

    weight: float
    """Against the others, where all faces are as far apart in each."""
    least: float
    """The root of the mean square distance of two faces, in the block's own unit, from which on it counts in full: what
    lies below is noise.
    """


BLOCKS: Mapping[str, Block] = {
    "identity": Block(weight=1.0, least=0.2),
    "pose": Block(weight=1.0, least=10.0),
    "light": Block(weight=0.5, least=20.0),
    "expression": Block(weight=0.5, least=0.1),
    "time": Block(weight=0.5, least=1.0),
}
"""By name: units of embeddings, degrees, levels of grey, distances of the eyes, and seconds."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Features:
    """Faces as points: the square of a distance is the sum of those of the blocks."""

    points: NDArray[np.float32]
    """(N, D)"""
    blocks: Mapping[str, slice]
    """The columns of each block."""

    def part(self, one: int, other: int) -> str:
        """In which block two faces are farthest apart."""
        apart = (self.points[one] - self.points[other]) ** 2
        return max(self.blocks, key=lambda name: float(apart[self.blocks[name]].sum()), default="")


def features_of(blocks: Mapping[str, NDArray[np.floating]]) -> Features:
    """Faces as points, of the blocks that are known.

    Each block is scaled so that the root of the mean square distance of two faces is its weight, or less where its
    distances are below the least. A face of which a block is not known lies in the middle of the others in it.

    Args:
        blocks: (N, d) numbers by the names of `BLOCKS`; NaN where nobody knows.
    """
    count = len(next(iter(blocks.values()), ()))
    spreads = {name: spread for name, values in blocks.items() if (spread := _spread(values)) is not None}
    points = np.zeros((count, sum(len(middle) for middle, _ in spreads.values())), np.float32)
    places: dict[str, slice] = {}
    first = 0
    for name, (middle, apart) in spreads.items():
        places[name] = slice(first, first + len(middle))
        first += len(middle)
        scale = BLOCKS[name].weight / max(apart, BLOCKS[name].least)
        for part in _parts(count):
            some = blocks[name][part]
            is_known = np.isfinite(some).all(axis=1, keepdims=True)
            points[part, places[name]] = np.where(is_known, (some - middle) * scale, 0)
    return Features(points=points, blocks=places)


def _parts(count: int) -> Iterator[slice]:
    """Some rows at a time: numbers of double precision take twice the room."""
    return (slice(first, first + _AT_ONCE) for first in range(0, count, _AT_ONCE))


def _spread(values: NDArray[np.floating]) -> tuple[NDArray[np.float64], float] | None:
    """The mean (d) of the rows that are known, and the root of the mean square distance of two; None without any."""
    known = [part[np.isfinite(part).all(axis=1)] for part in (values[rows] for rows in _parts(len(values)))]
    count = sum(map(len, known))
    if not count:
        return None
    middle = np.sum([part.sum(axis=0, dtype=np.float64) for part in known], axis=0) / count
    # Two values of a set are apart by the root of twice its variance.
    squares = sum(float(((part - middle) ** 2).sum()) for part in known)
    return middle, float(np.sqrt(2 * squares / count))


def on_mean_face(landmarks: Points) -> Points | None:
    """Landmarks (68, 2) laid on those of the mean face: without place, size and turn; None where they coincide."""
    try:
        return apply(fit_similarity(landmarks[INNER], MEAN_FACE[INNER]), landmarks)
    except GeometryError:
        return None


def expressions(landmarks: Iterator[Points | None] | Sequence[Points | None]) -> NDArray[np.float32]:
    """How faces (N, 5) look: openness of mouth and eyes, width of the mouth, height of its corners and of the brows.

    In distances between the eyes of a face that is laid on the mean face; NaN where there are no landmarks.
    """
    return np.array([_expression(points) for points in landmarks], np.float32).reshape(-1, 5)


def _expression(landmarks: Points | None) -> list[float]:
    laid = None if landmarks is None else on_mean_face(landmarks)
    if laid is None:
        return [np.nan] * 5
    y = laid[:, 1]
    mouth = float(y[65:68].mean() - y[61:64].mean())
    lids = float(y[[40, 41, 46, 47]].mean() - y[[37, 38, 43, 44]].mean())
    width = float(np.linalg.norm(laid[54] - laid[48]))
    corners = float(y[[48, 54]].mean() - y[[51, 57]].mean())
    brows = float(y[36:48].mean() - y[17:27].mean())
    return [mouth, lids, width, corners, brows]
