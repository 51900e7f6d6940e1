"""Filled convex hulls with smooth edges."""

import numpy as np
from numpy.typing import NDArray

from faceloom.geometry.affine import Points

_SUBPIXEL_BITS = 4


def fill_hull(points: Points, *, grow: float, size: int) -> NDArray[np.uint8]:
    """Coverage (size, size) of the convex hull of points (K, 2), grown outwards by `grow` pixels."""
    import cv2

    mask = np.zeros((size, size), np.uint8)
    # OpenCV keeps 16 bits for fixed-point coordinates: points far outside the image would wrap around.
    inside = np.clip(points, -size, 2 * size)
    hull = cv2.convexHull(np.round(inside * (1 << _SUBPIXEL_BITS)).astype(np.int32))
    cv2.fillConvexPoly(mask, hull, 255, cv2.LINE_AA, _SUBPIXEL_BITS)
    thickness = round(2 * grow)
    if thickness:
        cv2.polylines(mask, [hull], True, 255, thickness, cv2.LINE_AA, _SUBPIXEL_BITS)
    return mask
