"""Pictures that are turned, and how far what is found in them is from what was found upright."""

from collections.abc import Sequence
from fractions import Fraction
from pathlib import Path
from typing import Any

import cv2
import numpy as np

from faceloom.detect import Detector
from faceloom.engines.engine import Network
from faceloom.faces import Face, FrameId, Image
from faceloom.frame import Frame
from faceloom.geometry.affine import Affine, Points, apply
from faceloom.geometry.boxes import iou
from faceloom.pipeline.detecting import DetectStep
from faceloom.stage import Tensors


def read(path: Path) -> Image:
    return np.asarray(cv2.imread(str(path), cv2.IMREAD_COLOR_RGB), np.uint8)


def turned(image: Image, degrees: int) -> tuple[Image, Affine]:
    """A picture turned clockwise, whole, and the map from the one to the other; quarter turns mix no pixels."""
    height, width = image.shape[:2]
    around = cv2.getRotationMatrix2D(((width - 1) / 2, (height - 1) / 2), -degrees, 1)  # counts against the clock
    rows, columns = (np.abs(around[:, :2]) @ (width, height))[::-1].round().astype(int).tolist()
    around[:, 2] += [(columns - width) / 2, (rows - height) / 2]
    if degrees % 90 == 0:
        there = np.rot90(image, -(degrees // 90))
    else:
        there = np.asarray(cv2.warpAffine(image, around, (columns, rows), borderMode=cv2.BORDER_REFLECT))
    return np.ascontiguousarray(there, np.uint8), np.asarray(around, np.float64)


def box_around(box: Any, around: Affine) -> Any:
    """What a box is once the picture is turned by quarters."""
    corners = apply(around, np.asarray(box, np.float32).reshape(2, 2))
    return np.concatenate([corners.min(axis=0), corners.max(axis=0)])


def nearest(faces: Sequence[Face], box: Any) -> Face:
    return max(faces, key=lambda face: float(iou(face.box[None], np.asarray(box, np.float32)[None])[0, 0]))


def apart(found: Points | None, truth: Points) -> float:
    """Mean distance in percent of that between the outer eye corners."""
    assert found is not None
    return float(100 * np.linalg.norm(found - truth, axis=1).mean() / np.linalg.norm(truth[36] - truth[45]))


def detected(plugin: Detector, network: Network, images: Sequence[Image], *, batch: int) -> list[list[Face]]:
    """The faces of each image, by a step that takes so many at once."""
    frames = [Frame(id=FrameId("batch", i), time=Fraction(0), image=image) for i, image in enumerate(images)]
    step = DetectStep("detect/yunet", plugin, network, batch)
    items = [item for i in range(0, len(frames), batch) for item in step.run(frames[i : i + batch])]
    faces = [item for item in items if isinstance(item, Face)]
    return [[face for face in faces if face.frame.index == i] for i in range(len(images))]


def values(faces: Sequence[Face]) -> list[tuple[Any, ...]]:
    return [(face.box.tobytes(), face.score, np.asarray(face.keypoints).tobytes(), face.index) for face in faces]


def canvases_of(inputs: Tensors) -> tuple[int, ...]:
    """Shape (N, 3, H, W) of the canvases whose pixels a network is given."""
    count, _, height, columns = inputs["pixels"].shape
    return count, 3, height, columns // 3
