"""SCRFD for benchmarks: the detector of InsightFace, whose weights are for research only.

Source: Guo, Deng, Lattas and Zafeiriou 2022, ICLR, "Sample and Computation Redistribution for Efficient Face
Detection".
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from faceloom.detect import Detector
from faceloom.faces import Candidates, Images
from faceloom.stage import PinnedFile, Tensors
from faceloom.tensors import planes

_STRIDES = (8, 16, 32)
_ANCHORS = 2  # of one point
_MEAN, _SCALE = 127.5, 1 / 128


@dataclass(frozen=True, kw_only=True)
class Plugin(Detector):
    """Distances from anchor points to the four sides, on three strides; score and NMS limits of InsightFace."""

    weights = PinnedFile(
        name="scrfd",
        file="scrfd_2.5g_kps.onnx",
        sha256="32d20c77b9e2dc1d07e94c2ab9d25bdd5cd05eddbe0b46e7b38e7a1eca22e99a",
        size_bytes=3_291_017,
        licence="non-commercial research only",
        places=(),
        dynamic=("batch", "height", "width"),
    )
    min_score: float = 0.5
    max_iou: float = 0.4

    def prepare(self, images: Images) -> Tensors:
        return {"images": (planes(images) - np.float32(_MEAN)) * np.float32(_SCALE)}

    def decode(self, outputs: Tensors, *, height: int, width: int) -> tuple[Candidates, ...]:
        # For each stride scores, then distances, then points, each (B, n, channels).
        scores, distances, points = (
            np.concatenate([outputs[f"out{first + i}"] for i in range(len(_STRIDES))], axis=1) for first in (0, 3, 6)
        )
        anchors, strides = _anchors(height, width)
        return tuple(
            _candidates(
                scores[i, kept, 0],
                distances[i, kept] * strides[kept],
                points[i, kept] * strides[kept],
                anchors=anchors[kept],
            )
            for i, kept in enumerate(scores[..., 0] >= self.min_score)
        )


def _anchors(height: int, width: int) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Anchor point (n, 2) in pixels and stride (n, 1) of every output."""
    grids = [np.mgrid[: height // stride, : width // stride][::-1].reshape(2, -1).T * stride for stride in _STRIDES]
    strides = np.repeat(_STRIDES, [len(grid) * _ANCHORS for grid in grids])
    points = np.repeat(np.concatenate(grids), _ANCHORS, axis=0)
    return points.astype(np.float32), strides.astype(np.float32)[:, None]


def _candidates(
    scores: NDArray[np.float32],
    distances: NDArray[np.float32],
    points: NDArray[np.float32],
    *,
    anchors: NDArray[np.float32],
) -> Candidates:
    boxes = np.hstack([anchors - distances[:, :2], anchors + distances[:, 2:]])
    return Candidates(boxes=boxes, scores=scores, keypoints=anchors[:, None] + points.reshape(-1, 5, 2))
