"""PFLD GhostOne: 98 points in under a million weights.

Source: Guo et al. 2019, arXiv 1902.10859, "PFLD: A Practical Facial Landmark Detector", with the GhostOne
backbone of github.com/AnthonyF333/PFLD_GhostOne.
"""

from dataclasses import dataclass

import numpy as np

from faceloom.align import Aligner, Alignment, Square
from faceloom.faces import Images
from faceloom.geometry.landmarks import extent, from_wflw
from faceloom.models.catalog import CATALOG
from faceloom.stage import Tensors
from faceloom.tensors import BGR, planes


@dataclass(frozen=True, kw_only=True)
class Pfld(Aligner):
    """98 points of the WFLW scheme, of which 68 are the iBUG points."""

    weights = CATALOG["pfld"]
    input_size = 112
    first_square = Square(scale=1.0, turned=False)
    second_square = Square(scale=1.15, turned=True)

    def prepare(self, images: Images) -> Tensors:
        # Trained on RGB by its repository's word; BGR is a little better on pictures (docs/accuracy.md).
        return {"input": planes(images, order=BGR, scale=1 / 255)}

    def decode(self, outputs: Tensors) -> Alignment:
        points = outputs["output"].reshape(-1, 98, 2).astype(np.float32) * self.input_size
        confidence = np.ones(len(points), np.float32)
        return Alignment(landmarks=from_wflw(points), confidence=confidence, extent=extent(points))
