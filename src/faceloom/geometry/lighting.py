"""How a picture is lit, made even: for networks that look at it, never for what is kept."""

import numpy as np
from numpy.typing import NDArray

from faceloom.choices import Lighting

_MEAN, _DEVIATION = 128.0, 64.0
_CLIP, _TILES = 2.0, (8, 8)
"""Of CLAHE: as OpenCV's own examples have them."""


def even(images: NDArray[np.uint8], lighting: Lighting) -> NDArray[np.uint8]:
    """Pictures (N, H, W, 3) RGB with their lighting made even, each by itself; themselves if nothing is to be."""
    return images if lighting is Lighting.NONE else np.stack([_even(image, lighting) for image in images])


def _even(image: NDArray[np.uint8], lighting: Lighting) -> NDArray[np.uint8]:
    import cv2

    if lighting is Lighting.MEAN:
        means, deviations = (values.reshape(3) for values in cv2.meanStdDev(image))
        factors = _DEVIATION / np.maximum(deviations, 1.0)
        return np.asarray(np.clip((image - means) * factors + _MEAN + 0.5, 0, 255), np.uint8)
    parted = cv2.cvtColor(image, cv2.COLOR_RGB2YCrCb)
    brightness = np.ascontiguousarray(parted[..., 0])
    parted[..., 0] = (
        cv2.equalizeHist(brightness) if lighting is Lighting.HIST else cv2.createCLAHE(_CLIP, _TILES).apply(brightness)
    )
    return np.asarray(cv2.cvtColor(parted, cv2.COLOR_YCrCb2RGB), np.uint8)
