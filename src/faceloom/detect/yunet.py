"""YuNet: a detector of a quarter of a megabyte that runs on anything.

Source: Wu, Peng and Yu 2023, "YuNet: A Tiny Millisecond-level Face Detector", Machine Intelligence Research 20.
"""

from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from faceloom.detect import Detector
from faceloom.faces import Candidates, Images
from faceloom.models.catalog import CATALOG
from faceloom.stage import Tensors
from faceloom.tensors import rows

_STRIDES = (8, 16, 32)


@dataclass(frozen=True, kw_only=True)
class YuNet(Detector):
    """Boxes and five keypoints, without anchors, on three strides."""

    weights = CATALOG["yunet"]

    def prepare(self, images: Images) -> Tensors:
        return {"pixels": rows(images)}

    def decode(self, outputs: Tensors, *, height: int, width: int) -> tuple[Candidates, ...]:
        heads = {name: _all_strides(outputs, name) for name in ("cls", "obj", "bbox", "kps")}
        scores = np.sqrt(np.clip(heads["cls"], 0, 1) * np.clip(heads["obj"], 0, 1))[..., 0]  # (B, n)
        cells, strides = _cells(height, width)
        return tuple(
            _candidates(
                scores[i, kept],
                heads["bbox"][i, kept],
                heads["kps"][i, kept],
                cells=cells[kept],
                strides=strides[kept],
            )
            for i, kept in enumerate(scores >= self.min_score)
        )


def _all_strides(outputs: Tensors, name: str) -> NDArray[np.float32]:
    return np.concatenate([outputs[f"{name}_{stride}"] for stride in _STRIDES], axis=1)  # (B, n, channels)


@lru_cache(maxsize=4)
def _cells(height: int, width: int) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Column and row (n, 2) and stride (n, 1) of every output, in the order of `_all_strides`."""
    grids = [np.mgrid[: height // stride, : width // stride][::-1].reshape(2, -1).T for stride in _STRIDES]
    strides = np.repeat(_STRIDES, [len(grid) for grid in grids])
    return np.concatenate(grids).astype(np.float32), strides.astype(np.float32)[:, None]


def _candidates(
    scores: NDArray[np.float32],
    offsets: NDArray[np.float32],
    points: NDArray[np.float32],
    *,
    cells: NDArray[np.float32],
    strides: NDArray[np.float32],
) -> Candidates:
    centres = (cells + offsets[:, :2]) * strides
    halves = np.exp(offsets[:, 2:]) * strides / 2
    keypoints = (cells[:, None] + points.reshape(-1, 5, 2)) * strides[:, None]
    return Candidates(boxes=np.hstack([centres - halves, centres + halves]), scores=scores, keypoints=keypoints)
