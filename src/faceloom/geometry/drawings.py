"""Masks that follow from landmarks alone: a store keeps which one and its numbers, and whoever reads it draws it.

A drawing that is changed gets another version, and the one before it stays: a mask is what it was when it was made.
"""

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from types import MappingProxyType

import numpy as np
from numpy.typing import NDArray

from faceloom.geometry.affine import Points, apply
from faceloom.geometry.chips import Framing, frame_to_chip
from faceloom.geometry.edges import with_soft_edge
from faceloom.geometry.hulls import fill_hull
from faceloom.geometry.landmarks import BROWS, outer_eye_distance
from faceloom.geometry.pose import backwards

_CHIN = 8
_LARGEST = 100.0
"""No number of a drawing is larger: they are shares of a face."""


def _components_1(landmarks: Points, size: int, *, grow: float) -> NDArray[np.uint8]:
    """Everything between the brows, the jaw and the chin."""
    return fill_hull(landmarks, grow=grow * float(outer_eye_distance(landmarks)), size=size)


def _extended_1(landmarks: Points, size: int, *, grow: float, lift: float) -> NDArray[np.uint8]:
    """The hull of the landmarks and of the brows lifted over the forehead."""
    brows = landmarks[BROWS]
    forehead = brows + lift * (brows.mean(axis=0) - landmarks[_CHIN])
    grown = grow * float(outer_eye_distance(landmarks))
    return fill_hull(np.concatenate([landmarks, forehead]), grow=grown, size=size)


def _components_2(landmarks: Points, size: int, *, grow: float, soft: float) -> NDArray[np.uint8]:
    """The first, with a soft edge."""
    return with_soft_edge(_components_1(landmarks, size, grow=grow), landmarks, share=soft)


def _extended_2(
    landmarks: Points, size: int, *, grow: float, lift: float, depth: float, narrow: float, soft: float
) -> NDArray[np.uint8]:
    """The first, but that the forehead is narrower than the brows and lies behind them, so that it turns as they do."""
    brows = landmarks[BROWS]
    middle = brows.mean(axis=0)
    forehead = brows + narrow * (middle - brows) + lift * (middle - landmarks[_CHIN]) + depth * backwards(landmarks)
    grown = grow * float(outer_eye_distance(landmarks))
    mask = fill_hull(np.concatenate([landmarks, forehead]), grow=grown, size=size)
    return with_soft_edge(mask, landmarks, share=soft)


_DRAWINGS: Mapping[str, tuple[Callable[..., NDArray[np.uint8]], tuple[str, ...]]] = MappingProxyType(
    {
        "components/1": (_components_1, ("grow",)),
        "components/2": (_components_2, ("grow", "soft")),
        "extended/1": (_extended_1, ("grow", "lift")),
        "extended/2": (_extended_2, ("grow", "lift", "depth", "narrow", "soft")),
    }
)
"""By name and version: what draws, and the names of its numbers."""


@dataclass(frozen=True, slots=True)
class Drawing:
    """One way of drawing a mask."""

    name: str
    """With its version, as in `components/1`."""
    numbers: tuple[float, ...]
    """What it is told, in its order."""

    def __post_init__(self) -> None:
        if self.name not in _DRAWINGS:
            raise ValueError(f"{self.name!r:.40} is no drawing that this version knows")
        if len(self.numbers) != len(_DRAWINGS[self.name][1]) or not all(map(_is_share, self.numbers)):
            raise ValueError(f"the drawing {self.name} has numbers that are none of its own")

    def __str__(self) -> str:
        """As stores keep it."""
        return " ".join([self.name, *map(repr, self.numbers)])

    @classmethod
    def parse(cls, text: str) -> "Drawing":
        """A drawing as `str` tells it.

        Raises:
            ValueError: it is none.
        """
        name, *numbers = text.split(" ")
        return cls(name, tuple(map(float, numbers)))

    def draw(self, landmarks: Points, *, size: int) -> NDArray[np.uint8]:
        """The mask (size, size) of landmarks (68, 2) in the pixels of a chip of that size."""
        function, names = _DRAWINGS[self.name]
        return function(landmarks, size, **dict(zip(names, self.numbers, strict=True)))

    def over_chip(self, landmarks: Points, *, size: int, framing: Framing) -> NDArray[np.uint8]:
        """The mask (size, size) over the square that the chip of a face shows; landmarks (68, 2) in frame pixels."""
        return self.draw(apply(frame_to_chip(landmarks, size=size, framing=framing), landmarks), size=size)


def _is_share(number: float) -> bool:
    return math.isfinite(number) and abs(number) <= _LARGEST
