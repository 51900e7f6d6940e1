"""Boxes: (N, 4) float32 x0, y0, x1, y1 in pixels; width is x1 - x0, never + 1."""

from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

Boxes: TypeAlias = NDArray[np.float32]
"""(N, 4) x0, y0, x1, y1, pixels."""
Scores: TypeAlias = NDArray[np.float32]
"""(N,) in [0, 1]."""


def area(boxes: Boxes) -> NDArray[np.float32]:
    """(N,) pixels squared; 0 for an empty or inverted box."""
    sides = np.maximum(boxes[..., 2:] - boxes[..., :2], 0)
    return np.asarray(sides[..., 0] * sides[..., 1], np.float32)


def iou(first: Boxes, second: Boxes) -> NDArray[np.float32]:
    """(N, M) intersection over union of every pair; 0 where both are empty."""
    top_left = np.maximum(first[:, None, :2], second[None, :, :2])
    bottom_right = np.minimum(first[:, None, 2:], second[None, :, 2:])
    overlap = np.prod(np.maximum(bottom_right - top_left, 0), axis=2)
    union = area(first)[:, None] + area(second)[None, :] - overlap
    return np.asarray(np.divide(overlap, union, out=np.zeros_like(overlap), where=union > 0), np.float32)


def covered(boxes: Boxes, others: Boxes) -> NDArray[np.float32]:
    """(N,) share of each of the boxes (N, 4) that lies in one of the others (M, 4): that in which most of it lies."""
    top_left = np.maximum(boxes[:, None, :2], others[None, :, :2])
    bottom_right = np.minimum(boxes[:, None, 2:], others[None, :, 2:])
    most = np.prod(np.maximum(bottom_right - top_left, 0), axis=2).max(axis=1, initial=0)
    return np.asarray(np.divide(most, area(boxes), out=np.zeros_like(most), where=area(boxes) > 0), np.float32)


def nms(boxes: Boxes, scores: Scores, *, max_iou: float) -> NDArray[np.intp]:
    """Indexes of the boxes that greedy non-maximum suppression keeps, best score first.

    Equal scores keep their order, so the answer never depends on the sort.
    """
    order = np.argsort(-scores, kind="stable")
    kept: list[int] = []
    while order.size:
        best, order = order[0], order[1:]
        kept.append(int(best))
        order = order[iou(boxes[best : best + 1], boxes[order])[0] <= max_iou]
    return np.asarray(kept, np.intp)
