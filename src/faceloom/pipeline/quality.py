"""The quality of a face, by what is known of it."""

import numpy as np

from faceloom.faces import Face
from faceloom.geometry.landmarks import outer_eye_distance
from faceloom.geometry.quality import Signs
from faceloom.geometry.sharpness import Appearance


def signs_of(face: Face, look: Appearance) -> Signs:
    """What tells how good a face with landmarks, a pose and a patch is."""
    landmarks, pose, patch = face.landmarks, face.pose, face.patch
    assert landmarks is not None
    assert pose is not None
    assert patch is not None
    height, width = patch.frame_shape
    inside = ((landmarks >= 0) & (landmarks <= (width - 1, height - 1))).all(axis=1)
    return Signs(
        eyes_px=float(outer_eye_distance(landmarks)),
        look=look,
        pose=pose,
        confidence=1.0 if face.confidence is None else face.confidence,
        score=face.score,
        outside=float(np.mean(~inside)),
        spread=face.landmark_spread,
    )
