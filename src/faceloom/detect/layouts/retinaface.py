"""RetinaFace: offsets from squares of two sides in each cell of three strides, scaled by variances.

Source: Deng et al. 2020, CVPR, arXiv 1905.00641. Priors, variances (those of SSD: Liu et al. 2016, ECCV, arXiv
1512.02325) and preprocessing as in github.com/biubug6/Pytorch_Retinaface: `layers/functions/prior_box.py`,
`utils/box_utils.py`, `data/config.py`, `detect.py`.
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
    corners,
    grid,
    last_axes,
)
from faceloom.stage import Tensors

_SIDES = {8: (16, 32), 16: (64, 128), 32: (256, 512)}
"""Of the squares at each stride, pixels."""
_CENTRE_VARIANCE, _SIZE_VARIANCE = np.float32(0.1), np.float32(0.2)


class RetinaFaceLayout(Layout):
    """Two squares in the middle of each cell; scores of background and face."""

    name = "retinaface"
    about = "offsets (B, K, 4), scores of background and face (B, K, 2), and points (B, K, 10) if any, K = 2 a cell"
    usual = {  # noqa: RUF012  # only read
        "order": "bgr",
        "mean": (104.0, 117.0, 123.0),
    }

    def is_of(self, answers: Shapes, size: Size) -> bool:
        count = sum(2 * rows * columns for rows, columns in (cells(size, stride) for stride in _SIDES))
        lengths = last_axes(answers)
        return lengths.keys() - {10} == {2, 4} and all(found == [count] for found in lengths.values())

    def heads(self, outputs: Tensors) -> Heads:
        (scores,), (boxes,), points = (by_last_axis(outputs, axis) for axis in (2, 4, 10))
        return Heads(scores=scores[..., 1], boxes=boxes, points=points[0] if points else None)

    def boxes(self, boxes: Floats, places: Places) -> Floats:
        squares = _squares(places.size)[places.kept]
        centres = squares[:, :2] + boxes[:, :2] * _CENTRE_VARIANCE * squares[:, 2:]
        return corners(np.hstack([centres, squares[:, 2:] * np.exp(boxes[:, 2:] * _SIZE_VARIANCE)]))

    def points(self, points: Floats, places: Places) -> Floats:
        squares = _squares(places.size)[places.kept, None]
        return squares[..., :2] + points * _CENTRE_VARIANCE * squares[..., 2:]


@lru_cache(maxsize=4)
def _squares(size: Size) -> Floats:
    """(K, 4) centre and sides of every square, in the order of the outputs."""
    return np.concatenate([_of_stride(size, stride, sides) for stride, sides in _SIDES.items()])


def _of_stride(size: Size, stride: int, sides: tuple[int, ...]) -> Floats:
    centres = (grid(size, stride, len(sides)) + np.float32(0.5)) * np.float32(stride)
    side = np.tile(np.array(sides, np.float32), len(centres) // len(sides))
    return np.column_stack([centres, side, side])
