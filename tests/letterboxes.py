"""A frame on a canvas of its own, as a detector is shown it."""

import numpy as np
from numpy.typing import NDArray

from faceloom.geometry.affine import Affine
from faceloom.geometry.letterbox import canvas_shape, lay


def letterbox(image: NDArray[np.uint8], *, longest_side: int, side_multiple: int) -> tuple[NDArray[np.uint8], Affine]:
    """The canvas (H, W, 3) for a frame, and the map from canvas to frame."""
    height, width = canvas_shape(*image.shape[:2], longest_side=longest_side, side_multiple=side_multiple)
    canvas = np.zeros((height, width, 3), np.uint8)
    return canvas, lay(image, longest_side=longest_side, into=canvas)
