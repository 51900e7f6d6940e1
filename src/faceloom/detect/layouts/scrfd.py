"""SCRFD: distances from the cells' corners to the four sides, in strides.

Source: Guo, Deng, Lattas and Zafeiriou 2022, ICLR, arXiv 2105.04714, after the distances of FCOS (Tian et al. 2019,
ICCV, arXiv 1904.01355, eq. 1). Anchors and preprocessing as in insightface's `detection/scrfd/tools/scrfd.py`.
"""

from functools import lru_cache

import numpy as np

from faceloom.detect.layouts.layout import (
    Floats,
    Heads,
    Layout,
    Places,
    Shapes,
    Size,
    by_last_axis,
    cells,
    grid,
    last_axes,
    stacked,
)
from faceloom.stage import Tensors

_STRIDES = ((8, 16, 32), (8, 16, 32, 64, 128))


class ScrfdLayout(Layout):
    """Three or five strides, with one or more anchors in each cell, all of them at its corner."""

    name = "scrfd"
    about = "for each of 3 or 5 strides from 8 on scores (B, K, 1), distances (B, K, 4), and points (B, K, 10) if any"
    usual = {  # noqa: RUF012  # only read
        "mean": (127.5, 127.5, 127.5),
        "deviation": (128.0, 128.0, 128.0),
    }

    def is_of(self, answers: Shapes, size: Size) -> bool:
        lengths = last_axes(answers)
        scores = lengths.get(1, [])
        if not lengths.keys() <= {1, 4, 10} or lengths.get(4) != scores or lengths.get(10, scores) != scores:
            return False
        return any(_lengths(strides, size, sum(scores)) == scores for strides in _STRIDES)

    def heads(self, outputs: Tensors) -> Heads:
        scores, boxes, points = (by_last_axis(outputs, axis) for axis in (1, 4, 10))
        return Heads(scores=stacked(scores)[..., 0], boxes=stacked(boxes), points=stacked(points) if points else None)

    def boxes(self, boxes: Floats, places: Places) -> Floats:
        anchors, strides = (values[places.kept] for values in _anchors(places.size, places.count))
        return np.hstack([anchors - boxes[:, :2] * strides, anchors + boxes[:, 2:] * strides])

    def points(self, points: Floats, places: Places) -> Floats:
        anchors, strides = (values[places.kept] for values in _anchors(places.size, places.count))
        return anchors[:, None] + points * strides[:, None]


def _lengths(strides: tuple[int, ...], size: Size, count: int) -> list[int]:
    """How many anchors there are at each stride, if there are so many in all."""
    each = [rows * columns for rows, columns in (cells(size, stride) for stride in strides)]
    return [length * (count // sum(each)) for length in each]


@lru_cache(maxsize=4)
def _anchors(size: Size, count: int) -> tuple[Floats, Floats]:
    """Anchors (K, 2) in pixels, and their strides (K, 1)."""
    strides = next(some for some in _STRIDES if sum(_lengths(some, size, count)) == count)
    lengths = _lengths(strides, size, count)
    repeats = lengths[0] // int(np.prod(cells(size, strides[0])))
    points = np.concatenate([grid(size, stride, repeats) * np.float32(stride) for stride in strides])
    return points, np.repeat(strides, lengths).astype(np.float32)[:, None]
