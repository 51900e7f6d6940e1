"""Pieces of masks: what hangs together, and what is enclosed."""

import numpy as np
from numpy.typing import NDArray

_HALF = 128
"""From this coverage on a pixel counts as covered."""


def largest_piece(mask: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """The largest piece of a mask (S, S) that hangs together by the sides of its pixels, with its soft edge of a pixel.

    Of pieces of one size the upper one counts. A mask without a covered pixel stays as it is.
    """
    import cv2

    count, pieces, stats, _ = cv2.connectedComponentsWithStats((mask >= _HALF).astype(np.uint8), connectivity=4)
    if count <= 2:
        return mask
    largest = pieces == 1 + int(stats[1:, cv2.CC_STAT_AREA].argmax())
    edge = (cv2.dilate(largest.astype(np.uint8), np.ones((3, 3), np.uint8)) > 0) & (mask < _HALF)
    return np.where(largest | edge, mask, 0).astype(np.uint8)


def without_holes(mask: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """A mask (S, S) that covers all it encloses too."""
    import cv2

    free = np.pad((mask < _HALF).astype(np.uint8), 1, constant_values=1)
    _, pieces = cv2.connectedComponents(free, connectivity=4)
    enclosed = (free > 0) & (pieces != pieces[0, 0])
    return np.where(enclosed[1:-1, 1:-1], 255, mask).astype(np.uint8)
