"""The whole face: what the face U-Net sees of it, and what lies between the landmarks, in one piece without holes."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from faceloom.geometry.affine import Points
from faceloom.geometry.drawings import Drawing
from faceloom.geometry.pieces import largest_piece, without_holes
from faceloom.mask.unet import UNet

_BETWEEN_LANDMARKS = Drawing("components/1", (0.0,))


@dataclass(frozen=True, kw_only=True)
class WholeFace(UNet):
    """The U-Net's mask, which ends at the hair, united with the hull of the landmarks, which is never lost.

    What covers the face counts as the face where it is between the landmarks.
    """

    def complete(self, mask: NDArray[np.uint8], landmarks: Points) -> NDArray[np.uint8]:
        hull = _BETWEEN_LANDMARKS.draw(landmarks, size=len(mask))
        return without_holes(largest_piece(np.maximum(mask, hull)))
