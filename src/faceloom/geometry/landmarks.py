"""Landmark schemes: the 68 points of iBUG, and the way there from schemes of more points.

The 68 points (0-based): 0-16 jaw, 17-21 and 22-26 brows, 27-35 nose, 36-41 and 42-47 eyes, 48-67 mouth; left
to right as seen in the image. Source: Sagonas et al. 2013, ICCV Workshops, "300 Faces in-the-Wild Challenge".
"""

import tomllib
from importlib import resources

import numpy as np
from numpy.typing import NDArray

from faceloom.geometry.affine import Points, apply, fit_similarity, invert
from faceloom.geometry.boxes import Boxes

JAW = slice(0, 17)
BROWS = slice(17, 27)
NOSE = slice(27, 36)
EYES = slice(36, 48)
LEFT_EYE = slice(36, 42)
RIGHT_EYE = slice(42, 48)
MOUTH = slice(48, 68)
PARTS = {"jaw": JAW, "brows": BROWS, "nose": NOSE, "eyes": EYES, "mouth": MOUTH}
INNER = slice(17, 68)
"""Everything but the jaw, whose points slide along it from one annotator to the next."""

# Made by tools/fit_landmark_tables.py, which says how.
_TABLES = tomllib.loads(resources.files("faceloom.geometry").joinpath("landmarks.toml").read_text(encoding="utf-8"))
MEAN_FACE = np.array(_TABLES["mean_face"], np.float64)
"""(68, 2) in units of the distance between the eye centres, around the middle of the inner points."""
_DETECTED = np.array([[-1.09, -1.54], [1.09, -1.54], [1.09, 1.37], [-1.09, 1.37]], np.float32)
"""Corners of a detector's box where the mean face lies: the median of YuNet's over the faces of the tables."""
_MESH_VERTICES = np.array(_TABLES["mesh_vertices"])  # (68, 3)
_MESH_WEIGHTS = np.array(_TABLES["mesh_weights"], np.float32)
_MESH_WEIGHTS /= _MESH_WEIGHTS.sum(axis=1, keepdims=True)  # written down rounded

_WFLW_EYES = (60, 61, 63, 64, 65, 67, 68, 69, 71, 72, 73, 75)
_WFLW_TO_IBUG = np.array(
    [*range(0, 33, 2), *range(33, 38), *range(42, 47), *range(51, 60), *_WFLW_EYES, *range(76, 96)]
)


def from_wflw(points: Points) -> Points:
    """(N, 68, 2) of (N, 98, 2) in the WFLW scheme: each of the 68 is one of the 98.

    Source: Wu et al. 2018, CVPR, "Look at Boundary: A Boundary-Aware Face Alignment Algorithm", figure of the scheme.
    """
    return points[:, _WFLW_TO_IBUG]


def from_mesh(points: Points) -> Points:
    """(N, 68, C) of (N, 468, C) in the scheme of MediaPipe's FaceMesh: vertices, or weighted means of three.

    In the plane (C = 2), or in space (C = 3).
    """
    return np.asarray((points[:, _MESH_VERTICES] * _MESH_WEIGHTS[..., None]).sum(axis=2), np.float32)


def outer_eye_distance(landmarks: Points) -> NDArray[np.float32]:
    """(...) pixels between the outer corners of the eyes, the usual unit of landmark error."""
    return np.asarray(np.linalg.norm(landmarks[..., 36, :] - landmarks[..., 45, :], axis=-1), np.float32)


def eye_centres(landmarks: Points) -> Points:
    """(..., 2, 2) centres of the left and the right eye of landmarks (..., 68, 2)."""
    return np.stack([landmarks[..., eye, :].mean(axis=-2) for eye in (LEFT_EYE, RIGHT_EYE)], axis=-2)


def five_keypoints(landmarks: Points) -> Points:
    """(..., 5, 2) eye centres, nose tip and mouth corners of landmarks (..., 68, 2)."""
    return np.concatenate([eye_centres(landmarks), landmarks[..., [30, 48, 54], :]], axis=-2)


def box_like(landmarks: Points) -> NDArray[np.float32]:
    """(4,) the box that a detector would have laid around the face of these landmarks (68, 2).

    Raises:
        DegeneratePointsError: all landmarks coincide.
    """
    corners = apply(invert(fit_similarity(landmarks[INNER], MEAN_FACE[INNER])), _DETECTED)
    return np.asarray(extent(corners[None])[0], np.float32)


def extent(points: Points) -> Boxes:
    """(N, 4) the box around each of N sets of points (N, K, 2)."""
    return np.concatenate([points.min(axis=1), points.max(axis=1)], axis=1)
