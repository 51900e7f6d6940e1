"""What a layout is: how a family of networks lays out its answers, and what it wants for a pixel."""

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, ClassVar, TypeAlias

import numpy as np
from numpy.typing import NDArray

from faceloom.stage import Tensors

Floats: TypeAlias = NDArray[np.float32]
Shapes: TypeAlias = Mapping[str, tuple[int, ...]]
"""Of a network's answers to one picture, by output."""
Size: TypeAlias = tuple[int, int]
"""Height and width of a picture, or canvas."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Heads:
    """What a network says of each of its K places in each of B canvases, in its own numbers."""

    scores: Floats
    """(B, K) in [0, 1]."""
    boxes: Floats
    """(B, K, 4)"""
    points: Floats | None = None
    """(B, K, 10) x and y of five keypoints."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Places:
    """Some of the K places of a canvas."""

    kept: NDArray[np.intp]
    """(n,) which of them."""
    count: int
    """K"""
    size: Size


class Layout(ABC):
    """A family of networks that answer in the same way."""

    name: ClassVar[str]
    about: ClassVar[str]
    """What it is recognised by, in a few words."""
    usual: ClassVar[Mapping[str, Any]] = {}
    """Options of `detect/onnx` that say what the family's own programs feed it, and in what it answers."""

    @abstractmethod
    def is_of(self, answers: Shapes, size: Size) -> bool:
        """Whether a network that answers these shapes to a picture of that size is of this family."""

    @abstractmethod
    def heads(self, outputs: Tensors) -> Heads:
        """What the outputs say, told apart by their shapes, whatever their names are."""

    @abstractmethod
    def boxes(self, boxes: Floats, places: Places) -> Floats:
        """Corners (n, 4) on the canvas, of the boxes (n, 4) at some places."""

    @abstractmethod
    def points(self, points: Floats, places: Places) -> Floats:
        """Keypoints (n, 5, 2) on the canvas, of the points (n, 5, 2) at some places."""


def cells(size: Size, stride: int) -> Size:
    """Rows and columns of the cells of a stride; what is left over at the edges is one more."""
    height, width = size
    return -(-height // stride), -(-width // stride)


@lru_cache(maxsize=32)
def grid(size: Size, stride: int, repeats: int) -> Floats:
    """(rows * columns * repeats, 2) column and row of each cell, row by row, each so many times."""
    rows, columns = cells(size, stride)
    found = np.mgrid[:rows, :columns][::-1].reshape(2, -1).T
    return np.repeat(found, repeats, axis=0).astype(np.float32)


def with_batch(output: NDArray[Any]) -> Floats:
    """(B, K, C) of an output that may be (K, C), as exports for one picture have it."""
    return np.asarray(output[None] if output.ndim == 2 else output, np.float32)


def last_axes(answers: Shapes) -> dict[int, list[int]]:
    """Lengths K of the answers (1, K, C) or (K, C), longest first, by C; empty where one is of another kind."""
    found: dict[int, list[int]] = {}
    for shape in answers.values():
        if len(shape) not in {2, 3} or (len(shape) == 3 and shape[0] != 1):
            return {}
        found.setdefault(shape[-1], []).append(shape[-2])
    return {axis: sorted(lengths, reverse=True) for axis, lengths in found.items()}


def by_last_axis(outputs: Tensors, axis: int) -> list[Floats]:
    """The outputs (B, K, C) of this C, longest first."""
    found = [with_batch(output) for output in outputs.values() if output.shape[-1] == axis]
    return sorted(found, key=lambda output: -output.shape[1])


def stacked(outputs: Sequence[Floats]) -> Floats:
    """Outputs of several strides, one after the other along K."""
    return np.concatenate(outputs, axis=1)


def corners(boxes: Floats) -> Floats:
    """Corners (n, 4) of boxes (n, 4) that are told by centre and sides."""
    return np.hstack([boxes[:, :2] - boxes[:, 2:] / 2, boxes[:, :2] + boxes[:, 2:] / 2])
