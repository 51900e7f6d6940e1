"""Letterboxing: a frame scaled down to what a detector looks at, padded to the sides that it allows."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from faceloom.geometry.affine import Affine, scaling


def canvas_shape(height: int, width: int, *, longest_side: int, side_multiple: int) -> tuple[int, int]:
    """Height and width of the canvas for a frame of this size."""
    rows, columns = _scaled_shape(height, width, longest_side)
    return -(-rows // side_multiple) * side_multiple, -(-columns // side_multiple) * side_multiple


def letterbox(image: NDArray[np.uint8], *, longest_side: int, side_multiple: int) -> tuple[NDArray[np.uint8], Affine]:
    """The canvas (H, W, 3) for a frame, and the map from canvas to frame.

    The frame keeps its proportions and stands in the top-left corner; the rest is black. A frame whose
    longer side is at most `longest_side` is not resampled: enlarging small pictures finds no faces of use
    (docs/detect-size.md).
    """
    canvases, maps = letterbox_all([image], longest_side=longest_side, side_multiple=side_multiple)
    return canvases[0], maps[0]


def letterbox_all(
    images: Sequence[NDArray[np.uint8]], *, longest_side: int, side_multiple: int
) -> tuple[NDArray[np.uint8], list[Affine]]:
    """`letterbox` for frames whose canvases have one shape: canvases (N, H, W, 3), and a map for each."""
    height, width = canvas_shape(*images[0].shape[:2], longest_side=longest_side, side_multiple=side_multiple)
    canvases = np.zeros((len(images), height, width, 3), np.uint8)
    return canvases, [_lay(image, longest_side, into=canvas) for image, canvas in zip(images, canvases, strict=True)]


def _lay(image: NDArray[np.uint8], longest_side: int, *, into: NDArray[np.uint8]) -> Affine:
    height, width = image.shape[:2]
    rows, columns = _scaled_shape(height, width, longest_side)
    if (rows, columns) == (height, width):
        into[:rows, :columns] = image
    else:
        _shrink(image, into=into[:rows, :columns])
    return scaling(width / columns, height / rows)


def _shrink(image: NDArray[np.uint8], *, into: NDArray[np.uint8]) -> None:
    """Averages by a whole factor, then interpolates: averaging by any other takes six times as long as both."""
    import cv2

    rows, columns = into.shape[:2]
    factor = min(image.shape[0] // rows, image.shape[1] // columns)
    if factor >= 2:
        size = (image.shape[1] // factor, image.shape[0] // factor)
        image = np.asarray(cv2.resize(image, size, interpolation=cv2.INTER_AREA), np.uint8)
    cv2.resize(image, (columns, rows), dst=into, interpolation=cv2.INTER_LINEAR)


def _scaled_shape(height: int, width: int, longest_side: int) -> tuple[int, int]:
    scale = min(1.0, longest_side / max(height, width))
    return max(1, round(height * scale)), max(1, round(width * scale))
