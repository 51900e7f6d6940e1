"""Letterboxing: a frame scaled down to what a detector looks at, padded to the sides that it allows."""

import numpy as np
from numpy.typing import NDArray

from faceloom.geometry.affine import Affine, scaling


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
    else:
        resize(image, into=into[:rows, :columns])
    return scaling(width / columns, height / rows)


def resize(image: NDArray[np.uint8], *, into: NDArray[np.uint8]) -> None:
    """Scales an image to another's size: averages by a whole factor where it shrinks by that, then interpolates.

    Averaging by any other factor takes six times as long as both (docs/detect-size.md).
    """
    import cv2

    rows, columns = into.shape[:2]
    factor = min(image.shape[0] // rows, image.shape[1] // columns)
    if factor >= 2:
        size = (image.shape[1] // factor, image.shape[0] // factor)
        image = np.asarray(cv2.resize(image, size, interpolation=cv2.INTER_AREA), np.uint8)
    cv2.resize(image, (columns, rows), dst=into, interpolation=cv2.INTER_LINEAR)


def scaled_shape(height: int, width: int, longest_side: int, *, enlarge: float = 1.0) -> tuple[int, int]:
    """Height and width of a frame once it is scaled down to this longer side; a smaller one is left as it is.

    Either is enlarged then.
    """
    scale = min(1.0, longest_side / max(height, width)) * enlarge
    return max(1, round(height * scale)), max(1, round(width * scale))
