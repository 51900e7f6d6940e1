"""Letterboxing: a frame scaled down to what a detector looks at, padded to the sides that it allows."""

import numpy as np
from numpy.typing import NDArray

from faceloom.geometry.affine import Affine, scaling
from faceloom.geometry.averaging import averaged


def canvas_shape(
    height: int, width: int, *, longest_side: int, side_multiple: int, enlarge: float = 1.0
) -> tuple[int, int]:
    """Height and width of the canvas for a frame of this size."""
    rows, columns = scaled_shape(height, width, longest_side, enlarge=enlarge)
    return -(-rows // side_multiple) * side_multiple, -(-columns // side_multiple) * side_multiple


def lay(image: NDArray[np.uint8], *, longest_side: int, into: NDArray[np.uint8], enlarge: float = 1.0) -> Affine:
    """Lays a frame into the top-left corner of a black canvas (H, W, 3); returns the map from canvas to frame.

    The frame keeps its proportions. One whose longer side is at most `longest_side` is not resampled unless it is to
    be enlarged.
    """
    height, width = image.shape[:2]
    rows, columns = scaled_shape(height, width, longest_side, enlarge=enlarge)
    if (rows, columns) == (height, width):
        into[:rows, :columns] = image
        return scaling(1.0, 1.0)
    return resize(image, into=into[:rows, :columns])


def resize(image: NDArray[np.uint8], *, into: NDArray[np.uint8]) -> Affine:
    """Scales an image to another's size: averages squares of its pixels, then interpolates.

    Returns the map from there to the image.
    """
    import cv2

    rows, columns = into.shape[:2]
    small, pixels = averaged(image, min(image.shape[0] / rows, image.shape[1] / columns))
    cv2.resize(small, (columns, rows), dst=into, interpolation=cv2.INTER_LINEAR)
    return scaling(small.shape[1] * pixels / columns, small.shape[0] * pixels / rows)


def scaled_shape(height: int, width: int, longest_side: int, *, enlarge: float = 1.0) -> tuple[int, int]:
    """Height and width of a frame once it is scaled down to this longer side; a smaller one is left as it is.

    Either is enlarged then.
    """
    scale = min(1.0, longest_side / max(height, width)) * enlarge
    return max(1, round(height * scale)), max(1, round(width * scale))
