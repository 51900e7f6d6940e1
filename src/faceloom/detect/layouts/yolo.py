"""YOLO's layouts of faces: one output of decoded boxes, scores and points, in pixels of the canvas.

Source: of YOLOv5-face (Qi et al. 2021, arXiv 2105.12931) `non_max_suppression_face` in `utils/general.py` of
github.com/deepcam-cn/yolov5-face; of YOLOv7-face and YOLOv8-face the exports of github.com/derronqi/yolov7-face and
yolov8-face, whose points have a third number, their own score.
"""

from typing import ClassVar

import numpy as np

from faceloom.detect.layouts.layout import Floats, Heads, Layout, Places, Shapes, Size, cells, corners
from faceloom.stage import Tensors

_STRIDES = (8, 16, 32)
_USUAL = {"scale": 1 / 255}


def _count(size: Size) -> int:
    """Cells of all strides."""
    return sum(rows * columns for rows, columns in (cells(size, stride) for stride in _STRIDES))


class _YoloLayout(Layout):
    """Boxes by centre and sides, in the first four numbers."""

    usual = _USUAL

    def boxes(self, boxes: Floats, places: Places) -> Floats:
        return corners(boxes)

    def points(self, points: Floats, places: Places) -> Floats:
        return points


class Yolo5Layout(_YoloLayout):
    """Three anchors a cell, a row each: box, whether it is an object, points and class in one order or another."""

    name = "yolov5"
    about = "one output (B, K, 6), (B, K, 16) or, as YOLOv7-face has it, (B, K, 21), K = 3 a cell"
    _CLASS: ClassVar = {6: 5, 16: 15, 21: 5}
    """Where the score of the class stands, by the numbers in a row."""

    def is_of(self, answers: Shapes, size: Size) -> bool:
        return any(
            len(shape) == 3 and shape[0] == 1 and shape[1] == 3 * _count(size) and shape[2] in self._CLASS
            for shape in answers.values()
        )

    def heads(self, outputs: Tensors) -> Heads:
        rows = next(output for output in outputs.values() if output.ndim == 3 and output.shape[2] in self._CLASS)
        numbers = rows.shape[2]
        points = {6: None, 16: rows[..., 5:15], 21: _without_scores(rows[..., 6:])}[numbers]
        return Heads(scores=rows[..., 4] * rows[..., self._CLASS[numbers]], boxes=rows[..., :4], points=points)


class Yolo8Layout(_YoloLayout):
    """No anchors, a column for each cell: box, score and points."""

    name = "yolov8"
    about = "one output (B, 5, K), (B, 15, K) or (B, 20, K), K = 1 a cell"
    _ROWS = (5, 15, 20)

    def is_of(self, answers: Shapes, size: Size) -> bool:
        return any(
            len(shape) == 3 and shape[0] == 1 and shape[1] in self._ROWS and shape[2] == _count(size)
            for shape in answers.values()
        )

    def heads(self, outputs: Tensors) -> Heads:
        columns = next(output for output in outputs.values() if output.ndim == 3 and output.shape[1] in self._ROWS)
        rows = columns.transpose(0, 2, 1)
        points = {5: None, 15: rows[..., 5:], 20: _without_scores(rows[..., 5:])}[rows.shape[2]]
        return Heads(scores=rows[..., 4], boxes=rows[..., :4], points=points)


def _without_scores(points: Floats) -> Floats | None:
    """(B, K, 10) of points (B, K, 15) that have a score each."""
    if points.shape[-1] != 15:
        return None
    return np.asarray(points.reshape(*points.shape[:2], 5, 3)[..., :2].reshape(*points.shape[:2], 10), np.float32)
