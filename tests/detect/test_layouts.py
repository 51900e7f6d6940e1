"""Layouts of detectors: faces encoded by each family's own formula are decoded to where they were."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from faceloom.detect.layouts.table import LAYOUTS, recognised
from faceloom.detect.onnx import OnnxDetector

SIZE = (256, 320)
BOXES = np.array([[40.0, 50, 100, 130], [200, 20, 260, 100]], np.float32)
"""Of the first picture and the second."""
POINTS = np.stack([[[x0 + 15, y0 + 20], [x1 - 15, y0 + 22], [x0 + 30, y0 + 45], [x0 + 20, y1 - 18], [x1 - 20, y1 - 16]]
                   for x0, y0, x1, y1 in BOXES]).astype(np.float32)  # fmt: skip
Numbers = dict[str, NDArray[np.float32]]


@dataclass(frozen=True)
class Cell:
    """A place of a stride, and the number of cells before that stride and in it."""

    row: int
    column: int
    stride: int
    before: int
    index: int


def cells_of(stride: int, strides: tuple[int, ...]) -> int:
    return sum((SIZE[0] // other) * (SIZE[1] // other) for other in strides if other < stride)


def cell_at(x: float, y: float, stride: int, strides: tuple[int, ...] = (8, 16, 32)) -> Cell:
    row, column = int(y // stride), int(x // stride)
    return Cell(row, column, stride, cells_of(stride, strides), row * (SIZE[1] // stride) + column)


def scrfd(anchors: int, strides: tuple[int, ...], *, points: bool, flat: bool) -> Numbers:
    """Distances over the stride, from the corner of the cell in which the face's middle lies."""
    outputs: Numbers = {}
    for kind, channels in (("score", 1), ("bbox", 4), *((("kps", 10),) if points else ())):
        for stride in strides:
            count = -(-SIZE[0] // stride) * -(-SIZE[1] // stride) * anchors
            outputs[f"{kind}_{stride}"] = np.zeros((2, count, channels), np.float32)
    for i, ((x0, y0, x1, y1), five) in enumerate(zip(BOXES, POINTS, strict=True)):
        cell = cell_at((x0 + x1) / 2, (y0 + y1) / 2, 16)
        x, y, place = cell.column * 16, cell.row * 16, cell.index * anchors + anchors - 1
        outputs["score_16"][i, place] = 0.9
        outputs["bbox_16"][i, place] = np.array([x - x0, y - y0, x1 - x, y1 - y]) / 16
        if points:
            outputs["kps_16"][i, place] = ((five - [x, y]) / 16).reshape(-1)
    return {name: values[0] if flat else values for name, values in outputs.items()}


def retinaface(*, points: bool) -> Numbers:
    """Offsets of centre and logarithm of size from a square of 64, by the variances 0.1 and 0.2."""
    count = 2 * cells_of(64, (8, 16, 32))
    outputs = {
        "loc": np.zeros((2, count, 4)),
        "conf": np.tile([0.9, 0.1], (2, count, 1)),
        "landms": np.zeros((2, count, 10)),
    }
    for i, ((x0, y0, x1, y1), five) in enumerate(zip(BOXES, POINTS, strict=True)):
        middle = np.array([x0 + x1, y0 + y1]) / 2
        cell = cell_at(middle[0], middle[1], 16)
        prior = np.array([cell.column + 0.5, cell.row + 0.5]) * 16
        place = 2 * (cell.before + cell.index)
        outputs["conf"][i, place] = [0.1, 0.9]
        outputs["loc"][i, place] = [*((middle - prior) / 64 / 0.1), *(np.log(np.array([x1 - x0, y1 - y0]) / 64) / 0.2)]
        outputs["landms"][i, place] = ((five - prior) / 64 / 0.1).reshape(-1)
    if not points:
        del outputs["landms"]
    return {name: values.astype(np.float32) for name, values in outputs.items()}


def ultraface() -> Numbers:
    """Corners in shares of the sides."""
    each = [3, 2, 2, 3]
    count = sum(-(-SIZE[0] // s) * -(-SIZE[1] // s) * n for s, n in zip((8, 16, 32, 64), each, strict=True))
    boxes, scores = np.zeros((2, count, 4), np.float32), np.tile(np.array([0.9, 0.1], np.float32), (2, count, 1))
    for i, box in enumerate(BOXES):
        boxes[i, 1000 + i], scores[i, 1000 + i] = box / [320, 256, 320, 256], [0.1, 0.9]
    return {"scores": scores, "boxes": boxes}


def yolo(row: Callable[[NDArray[Any], NDArray[Any]], list[float]], *, anchors: int, as_columns: bool) -> Numbers:
    """Centre and sides in pixels, somewhere among all rows."""
    count = anchors * cells_of(64, (8, 16, 32))
    rows = np.zeros((2, count, len(row(np.zeros(4), np.zeros((5, 2))))), np.float32)
    for i, ((x0, y0, x1, y1), five) in enumerate(zip(BOXES, POINTS, strict=True)):
        rows[i, 700 + i] = row(np.array([(x0 + x1) / 2, (y0 + y1) / 2, x1 - x0, y1 - y0]), five)
    return {"output0": rows.transpose(0, 2, 1) if as_columns else rows}


def with_scores(five: NDArray[Any]) -> list[float]:
    return list(np.hstack([five, np.full((5, 1), 0.7)]).reshape(-1))


NETWORKS: dict[str, tuple[str, Numbers]] = {
    "scrfd, 9 outputs": ("scrfd", scrfd(2, (8, 16, 32), points=True, flat=False)),
    "scrfd, 6 outputs": ("scrfd", scrfd(2, (8, 16, 32), points=False, flat=False)),
    "scrfd, 15 outputs": ("scrfd", scrfd(1, (8, 16, 32, 64, 128), points=True, flat=False)),
    "scrfd, without a batch": ("scrfd", scrfd(2, (8, 16, 32), points=True, flat=True)),
    "retinaface": ("retinaface", retinaface(points=True)),
    "retinaface without points": ("retinaface", retinaface(points=False)),
    "ultraface": ("ultraface", ultraface()),
    "yolov5-face": (
        "yolov5",
        yolo(lambda box, five: [*box, 0.95, *five.reshape(-1), 0.95], anchors=3, as_columns=False),
    ),
    "yolov7-face": (
        "yolov5",
        yolo(lambda box, five: [*box, 0.95, 0.95, *with_scores(five)], anchors=3, as_columns=False),
    ),
    "yolov5 of one class": ("yolov5", yolo(lambda box, five: [*box, 0.95, 0.95], anchors=3, as_columns=False)),
    "yolov8-face": ("yolov8", yolo(lambda box, five: [*box, 0.9, *with_scores(five)], anchors=1, as_columns=True)),
    "yolov8-pose": ("yolov8", yolo(lambda box, five: [*box, 0.9, *five.reshape(-1)], anchors=1, as_columns=True)),
    "yolov8 of one class": ("yolov8", yolo(lambda box, five: [*box, 0.9], anchors=1, as_columns=True)),
}


@pytest.mark.parametrize(("name", "outputs"), NETWORKS.values(), ids=NETWORKS)
def test_a_layout_is_told_by_what_is_answered_to_one_picture(name: str, outputs: Numbers) -> None:
    shapes = {output: values[:1].shape if values.ndim == 3 else values.shape for output, values in outputs.items()}
    assert recognised(shapes, SIZE).name == name
    others = [layout for layout in LAYOUTS.values() if layout.name not in {name, "boxes"}]
    assert not [layout.name for layout in others if layout.is_of(shapes, SIZE)]


@pytest.mark.parametrize(("name", "outputs"), NETWORKS.values(), ids=NETWORKS)
def test_faces_are_decoded_to_where_they_were(name: str, outputs: Numbers) -> None:
    unit = LAYOUTS[name].usual.get("unit", "px")
    found = OnnxDetector(layout=name, unit=unit).decode(outputs, height=SIZE[0], width=SIZE[1])
    assert len(found) == (1 if next(iter(outputs.values())).ndim == 2 else 2)
    for candidates, box, five in zip(found, BOXES, POINTS, strict=False):
        np.testing.assert_allclose(candidates.boxes, box[None], atol=1e-3)
        np.testing.assert_allclose(candidates.scores, [0.9], atol=0.01)
        if candidates.keypoints is not None:
            np.testing.assert_allclose(candidates.keypoints, five[None], atol=1e-3)


POINTLESS = ("scrfd, 6 outputs", "retinaface without points", "ultraface", "yolov5 of one class", "yolov8 of one class")


@pytest.mark.parametrize("network", NETWORKS)
def test_there_are_keypoints_where_the_network_answers_some(network: str) -> None:
    name, outputs = NETWORKS[network]
    found = OnnxDetector(layout=name).decode(outputs, height=SIZE[0], width=SIZE[1])
    assert [candidates.keypoints is None for candidates in found] == [network in POINTLESS] * len(found)


@pytest.mark.parametrize(("name", "outputs"), NETWORKS.values(), ids=NETWORKS)
def test_what_is_not_believed_is_left_out(name: str, outputs: Numbers) -> None:
    for candidates in OnnxDetector(layout=name, min_score=0.95).decode(outputs, height=SIZE[0], width=SIZE[1]):
        assert candidates.boxes.shape == (0, 4)
        assert candidates.keypoints is None or candidates.keypoints.shape == (0, 5, 2)


@pytest.mark.parametrize(
    "shapes",
    [
        {},
        {"out": (1, 1680, 7)},
        {"out": (1, 20, 1681)},
        {"out": (1, 16, 20, 20)},
        {"boxes": (1, 10, 4)},
        {"a": (1, 3360, 4), "b": (1, 3359, 2)},
        {f"{kind}_{i}": (1, 100, c) for kind, c in (("s", 1), ("b", 4)) for i in range(3)},
    ],
)
def test_what_no_family_answers_is_refused_with_what_it_is(shapes: dict[str, tuple[int, ...]]) -> None:
    with pytest.raises(ValueError, match=r"320 x 256 it answers .*of no known layout"):
        recognised(shapes, SIZE)


def test_an_own_detector_of_boxes_has_the_configuration_that_it_always_had() -> None:
    told = OnnxDetector().configuration.keys()
    assert not {"layout", "canvas", "side_multiple", "max_batch"} & told
    assert OnnxDetector(layout="scrfd").configuration["layout"] == "scrfd"
