"""CenterFace: a heatmap of face centres at a quarter of the image's size.

Source: Xu et al. 2020, "CenterFace: Joint Face Detection and Alignment Using Face as Point", Neurocomputing 388.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from faceloom.detect import Detector
from faceloom.faces import Candidates, Images
from faceloom.models.catalog import CATALOG
from faceloom.stage import Tensors
from faceloom.tensors import rows

_STRIDE = 4


@dataclass(frozen=True, kw_only=True)
class CenterFace(Detector):
    """Boxes and five keypoints; slower than YuNet, with fewer false faces."""

    weights = CATALOG["centerface"]
    min_score: float = 0.5

    def prepare(self, images: Images) -> Tensors:
        return {"pixels": rows(images)}

    def decode(self, outputs: Tensors, *, height: int, width: int) -> tuple[Candidates, ...]:
        heads = (outputs["537"][:, 0], outputs["538"], outputs["539"], outputs["540"])
        limits = np.array([width, height], np.float32)
        return tuple(self._candidates(*maps, limits=limits) for maps in zip(*heads, strict=True))

    def _candidates(
        self,
        heatmap: NDArray[np.float32],
        scales: NDArray[np.float32],
        offsets: NDArray[np.float32],
        points: NDArray[np.float32],
        *,
        limits: NDArray[np.float32],
    ) -> Candidates:
        rows, columns = np.nonzero(heatmap >= self.min_score)
        sides = np.exp(scales[::-1, rows, columns].T) * _STRIDE  # (K, 2) width, height
        cells = np.stack([columns, rows], axis=1).astype(np.float32)
        centres = (cells + offsets[::-1, rows, columns].T + 0.5) * _STRIDE
        # As its authors do: the corner is held inside the image first, and box and keypoints hang from it.
        corners = np.clip(centres - sides / 2, 0, limits)
        boxes = np.hstack([corners, np.minimum(corners + sides, limits)])
        shares = points[:, rows, columns].T.reshape(-1, 5, 2)[..., ::-1]  # (K, 5, 2) x, y of the box
        keypoints = corners[:, None] + shares * sides[:, None]
        return Candidates(boxes=boxes, scores=heatmap[rows, columns], keypoints=keypoints)
