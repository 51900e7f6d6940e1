"""Chips and patches: the square a stage reads, and the native pixels it is cut from."""

import cv2
import numpy as np
from numpy.typing import NDArray

from faceloom.geometry.affine import (
    Affine,
    Points,
    compose,
    fit_similarity,
    scale_of,
    scaling,
    square_to_image,
    translation,
)
from faceloom.geometry.landmarks import INNER, MEAN_FACE

PATCH_SCALE = 3.0
"""Side of a patch over the longer side of the face's box; wide enough for every crop (docs/design.md)."""
EYE_SHARE = 0.22
"""Distance between the eye centres over the side of a chip: hair, chin and ears are in view."""


def patch_bounds(box: NDArray[np.float32], *, height: int, width: int) -> tuple[int, int, int, int]:
    """x0, y0, x1, y1 of the patch around a box in a frame of this size: whole pixels, inside the frame.

    A box that lies outside the frame altogether still gets the nearest pixel.
    """
    centre = (box[:2] + box[2:]) / 2
    reach = PATCH_SCALE / 2 * max(float(np.max(box[2:] - box[:2])), 1.0)
    last = np.array([width - 1, height - 1])
    x0, y0 = np.clip(np.floor(centre - reach), 0, last).astype(int)
    x1, y1 = np.clip(np.ceil(centre + reach), (x0, y0), last).astype(int) + 1
    return int(x0), int(y0), int(x1), int(y1)


def cut(pixels: NDArray[np.uint8], pixels_to_chip: Affine, *, size: int) -> NDArray[np.uint8]:
    """The chip (size, size, 3) of an image; what lies outside the image repeats its edge.

    Where the chip is less than half as large as what it shows, the pixels are averaged first: sampling
    alone would alias.
    """
    shrink = int(1 / max(scale_of(pixels_to_chip), 1e-6))
    if shrink >= 2:
        pixels, pixels_to_chip = _shrunk(pixels, pixels_to_chip, factor=shrink)
    return np.asarray(
        cv2.warpAffine(pixels, pixels_to_chip, (size, size), flags=cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE),
        np.uint8,
    )


def _shrunk(pixels: NDArray[np.uint8], pixels_to_chip: Affine, *, factor: int) -> tuple[NDArray[np.uint8], Affine]:
    height, width = pixels.shape[:2]
    rows, columns = max(1, height // factor), max(1, width // factor)
    small = np.asarray(cv2.resize(pixels, (columns, rows), interpolation=cv2.INTER_AREA), np.uint8)
    return small, compose(pixels_to_chip, scaling(width / columns, height / rows))


def eye_angle(keypoints: Points) -> float:
    """Radians by which the line from the left to the right eye (as seen) is turned, from (5, 2) keypoints."""
    x, y = keypoints[1] - keypoints[0]
    return float(np.arctan2(y, x))


def box_to_chip(box: NDArray[np.float32], *, scale: float, angle: float, size: int) -> Affine:
    """Frame to chip: a square of `scale` times the box's longer side around its centre, turned by `angle`."""
    side = max(scale * float(np.max(box[2:] - box[:2])), 1.0)
    return square_to_image(np.asarray((box[:2] + box[2:]) / 2, np.float32), side, angle=angle, size=size)


def in_patch(frame_to_chip: Affine, *, x: int, y: int) -> Affine:
    """The same map for a patch that begins at column x and row y of the frame."""
    return compose(frame_to_chip, translation(x, y))


def frame_to_chip(landmarks: Points, *, size: int) -> Affine:
    """Frame to chip for the landmarks (68, 2) of one face: the similarity that lays them on the mean face.

    The inner points decide: the jaw's slide along it from one annotator, and one pose, to the next. Their
    mean stands in the middle of the chip, the eyes level and `EYE_SHARE` of its side apart.

    Raises:
        DegeneratePointsError: all landmarks coincide.
    """
    target = (MEAN_FACE[INNER] * EYE_SHARE + 0.5) * size - 0.5
    return fit_similarity(landmarks[INNER], target.astype(np.float32))
