"""Averaging: squares of pixels become one, until interpolation leaves none of them out."""

import numpy as np
from numpy.typing import NDArray


def averaged(image: NDArray[np.uint8], shrink: float) -> tuple[NDArray[np.uint8], int]:
    """Averages an image (H, W) or (H, W, 3) by the whole part of a factor by which it is to be scaled down.

    What is left of the factor is below two. OpenCV takes twice as long where the squares do not come out even
    (docs/detect-size.md), so they do.

    Args:
        image: the picture; it is given back where there is nothing to average.
        shrink: how many of its pixels, along a side, are to become one.

    Returns:
        The small image, and the side of the squares that became its pixels. Rows and columns that are left over at the
        lower and right edge, less than a square, are not seen.
    """
    import cv2

    side = min(int(shrink), *image.shape[:2])
    if side < 2:
        return image, 1
    rows, columns = image.shape[0] // side, image.shape[1] // side
    whole = image[: rows * side, : columns * side]
    return np.asarray(cv2.resize(whole, (columns, rows), interpolation=cv2.INTER_AREA), np.uint8), side
