"""What tracks are made of: the faces that a frame shows, as numbers."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from faceloom.geometry.affine import Points
from faceloom.geometry.boxes import Boxes


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class SeenFrame:
    """The N faces of one frame of a video."""

    position: int
    """Counted among the frames that were looked at: one that follows another has the next number."""
    time_s: float
    faces: tuple[int, ...]
    """Numbers by which the answer names them."""
    boxes: Boxes
    points: tuple[Points | None, ...]
    """Of each the landmarks, or the keypoints; None where there are none."""
    embeddings: tuple[NDArray[np.float32] | None, ...]
    """Of unit length; None where there are none."""
    persons: tuple[str | None, ...]
    """Whose each is, where somebody has said it."""
