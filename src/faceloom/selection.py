"""Which of the faces that are found are kept: by size, the best so many of a frame, and whose they are."""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

from faceloom.errors import RequestError
from faceloom.geometry.boxes import Boxes

_SIZE = re.compile(r"(\d+(?:\.\d+)?)\s*(%|px)?")
LengthLike: TypeAlias = int | float | str
"""Pixels, or a text such as `5%`."""
_DIGITS = 4
"""Cosines are rounded before they are compared: engines differ in the sixth decimal."""


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


def length_of(value: LengthLike) -> Length:
    """A length as pixels or text.

    Raises:
        RequestError: it is none, not finite, or below 0.
    """
    return parse_length(str(value))


@dataclass(frozen=True, slots=True, kw_only=True)
class Reference:
    """One face that others are compared with."""

    name: str
    """Of its file."""
    embedding: NDArray[np.float32]
    """(D,) of unit length."""


@dataclass(frozen=True, slots=True, kw_only=True)
class People:
    """The references, and from which cosine on two faces are one person's."""

    like: Sequence[Reference]
    """A face has to be like one of them, if there are any."""
    unlike: Sequence[Reference]
    """A face may be like none of them."""
    threshold: float

    def objection(self, embedding: NDArray[np.float32]) -> str | None:
        """Why a face is not kept, None if it is."""
        if self.unlike:
            cosine, name = _nearest(embedding, self.unlike)
            if cosine >= self.threshold:
                return f"like {name}: cosine {cosine:.4f}, threshold {self.threshold:g}"
        if self.like:
            cosine, name = _nearest(embedding, self.like)
            if cosine < self.threshold:
                return f"not like {name}: cosine {cosine:.4f}, threshold {self.threshold:g}"
        return None


def _nearest(embedding: NDArray[np.float32], references: Sequence[Reference]) -> tuple[float, str]:
    cosines = [round(float(np.dot(embedding.astype(np.float64), one.embedding)), _DIGITS) for one in references]
    best = int(np.argmax(cosines))
    return cosines[best], references[best].name
