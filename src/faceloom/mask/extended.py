"""The face from the forehead to the chin: the hull of the landmarks, grown upwards."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from faceloom.geometry.affine import Points
from faceloom.geometry.hulls import fill_hull
from faceloom.geometry.landmarks import BROWS, outer_eye_distance
from faceloom.mask import LandmarkMask

_CHIN = 8


@dataclass(frozen=True, kw_only=True)
class Extended(LandmarkMask):
    """The hull of the landmarks and of the brows lifted over the forehead."""

    grow: float = 0.04
    """Outwards, over the outer-eye distance."""
    lift: float = 0.3
    """Of the brows, over the distance from chin to brows (docs/accuracy.md)."""

    def draw(self, landmarks: Points, *, size: int) -> NDArray[np.uint8]:
        brows = landmarks[BROWS]
        forehead = brows + self.lift * (brows.mean(axis=0) - landmarks[_CHIN])
        grow = self.grow * float(outer_eye_distance(landmarks))
        return fill_hull(np.concatenate([landmarks, forehead]), grow=grow, size=size)
