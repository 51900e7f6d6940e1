"""Edges of masks: how they fade from what is covered to what is not."""

import numpy as np
from numpy.typing import NDArray

from faceloom.geometry.affine import Points
from faceloom.geometry.landmarks import outer_eye_distance

_DEVIATIONS = 4.0
"""Of a Gaussian, within which an edge fades from 0.98 to 0.02."""
_FINEST_PX = 0.1


def with_soft_edge(mask: NDArray[np.uint8], landmarks: Points, *, share: float) -> NDArray[np.uint8]:
    """A mask (S, S) whose edge fades over a share of the distance of the outer corners of the eyes.

    Half of that lies inside of where the edge was, and half outside. Landmarks (68, 2) are in the mask's pixels.
    """
    import cv2

    deviation = min(share * float(outer_eye_distance(landmarks)), float(len(mask))) / _DEVIATIONS
    if deviation < _FINEST_PX:
        return mask
    blurred = cv2.GaussianBlur(mask, (0, 0), sigmaX=deviation, sigmaY=deviation, borderType=cv2.BORDER_REPLICATE)
    return np.asarray(blurred, np.uint8)
