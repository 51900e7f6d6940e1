"""The face from the brows to the chin: the hull of the landmarks."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from faceloom.geometry.affine import Points
from faceloom.geometry.hulls import fill_hull
from faceloom.geometry.landmarks import outer_eye_distance
from faceloom.mask import LandmarkMask


@dataclass(frozen=True, kw_only=True)
class Components(LandmarkMask):
    """Everything between the brows, the jaw and the chin."""

    grow: float = 0.04
    """Outwards, over the outer-eye distance: landmarks lie on the contour, a mask contains it (docs/accuracy.md)."""

    def draw(self, landmarks: Points, *, size: int) -> NDArray[np.uint8]:
        return fill_hull(landmarks, grow=self.grow * float(outer_eye_distance(landmarks)), size=size)
