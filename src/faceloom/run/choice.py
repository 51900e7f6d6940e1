"""Which of the faces that a detector finds are kept: by size, and the best so many of a frame."""

import re
from dataclasses import dataclass
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

from faceloom.errors import RequestError
from faceloom.geometry.boxes import Boxes

_SIZE = re.compile(r"(\d+(?:\.\d+)?)\s*(%|px)?")


@dataclass(frozen=True, slots=True)
class Length:
    """A length in a frame."""

    value: float
    is_share: bool
    """Of the frame's shorter side, as a percentage; otherwise it is pixels."""

    def __str__(self) -> str:
        return f"{self.value:g}{'%' if self.is_share else ' px'}"

    def in_px(self, height: int, width: int) -> float:
        """In the pixels of a frame of this size."""
        return self.value / 100 * min(height, width) if self.is_share else self.value


def parse_length(text: str) -> Length:
    """A length such as `40`, `40px`, or `5%` of a frame's shorter side.

    Raises:
        RequestError: the text is none.
    """
    found = _SIZE.fullmatch(text.strip())
    if found is None:
        raise RequestError(f"{text!r} is no size of a face; write pixels like 40, or 5% of a frame's shorter side")
    return Length(float(found[1]), is_share=found[2] == "%")


@dataclass(frozen=True, slots=True, kw_only=True)
class Choice:
    """What is asked of a face to be kept; the others are as if they had not been found."""

    min_size: Length | None = None
    """Of the longer side of its box, like the next."""
    max_size: Length | None = None
    max_faces: int | None = None
    """In a frame: those with the best scores."""

    def kept(self, boxes: Boxes, *, height: int, width: int) -> NDArray[np.intp]:
        """Indexes of the boxes (K, 4), best score first, that are kept of a frame of this size."""
        sides = (boxes[:, 2:] - boxes[:, :2]).max(axis=1, initial=0)
        fits = np.ones(len(boxes), np.bool_)
        if self.min_size is not None:
            fits &= sides >= self.min_size.in_px(height, width)
        if self.max_size is not None:
            fits &= sides <= self.max_size.in_px(height, width)
        return np.flatnonzero(fits)[: self.max_faces]


EVERY_FACE = Choice()
LengthLike: TypeAlias = int | float | str
"""Pixels, or a text such as `5%`."""


def length_of(value: LengthLike) -> Length:
    """A length as pixels or text.

    Raises:
        RequestError: it is none, not finite, or below 0.
    """
    return parse_length(str(value))
