"""S3FD: a detector of 90 MB for faces of any size, small ones above all.

Source: Zhang et al. 2017, ICCV, arXiv 1708.05237, as github.com/1adrianb/face-alignment runs it.
"""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from faceloom.detect import Detector
from faceloom.faces import Candidates, Images
from faceloom.geometry.boxes import Boxes, Scores
from faceloom.models.catalog import CATALOG
from faceloom.stage import Tensors
from faceloom.tensors import BGR, planes

_STRIDES = (4, 8, 16, 32, 64, 128)
_ANCHOR = 4
"""Side of an anchor over its stride (section 3.1)."""
_CENTRE_STEP, _SIDE_STEP = 0.1, 0.2
"""The variances that the offsets were divided by in training (Liu et al. 2016, SSD)."""
_MEAN_BGR = np.array([104, 117, 123], np.float32)[:, None, None]


@dataclass(frozen=True, kw_only=True)
class S3fd(Detector):
    """Boxes on six strides, an anchor a pixel; no keypoints."""

    weights = CATALOG["s3fd"]
    network = "faceloom.networks.s3fd:S3FD"
    min_score: float = 0.5

    def prepare(self, images: Images) -> Tensors:
        return {"image": planes(images, order=BGR) - _MEAN_BGR}

    def decode(self, outputs: Tensors, *, height: int, width: int) -> tuple[Candidates, ...]:
        count = len(outputs[f"score_{_STRIDES[0]}"])
        return tuple(self._candidates(outputs, i) for i in range(count))

    def _candidates(self, outputs: Tensors, i: int) -> Candidates:
        scores, boxes = zip(*self._found(outputs, i), strict=True)
        return Candidates(boxes=np.concatenate(boxes), scores=np.concatenate(scores), keypoints=None)

    def _found(self, outputs: Tensors, i: int) -> Iterator[tuple[Scores, Boxes]]:
        """What each stride has at or above the least score."""
        for stride in _STRIDES:
            scores = outputs[f"score_{stride}"][i]
            rows, columns = np.nonzero(scores >= self.min_score)
            offsets = outputs[f"box_{stride}"][i][:, rows, columns].T  # (K, 4)
            yield np.minimum(scores[rows, columns], 1), _boxes(offsets, rows, columns, stride=stride)


def _boxes(offsets: NDArray[np.float32], rows: NDArray[np.intp], columns: NDArray[np.intp], *, stride: int) -> Boxes:
    side = np.float32(_ANCHOR * stride)
    anchors = np.stack([columns, rows], axis=1).astype(np.float32) * stride + stride / 2
    centres = anchors + offsets[:, :2] * np.float32(_CENTRE_STEP) * side
    halves = np.exp(offsets[:, 2:] * np.float32(_SIDE_STEP)) * side / 2
    return np.asarray(np.hstack([centres - halves, centres + halves]), np.float32)
