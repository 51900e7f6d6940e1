"""How sharp a face is, and how it is lit, by its pixels."""

import math
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from faceloom.geometry.affine import (
    Affine,
    Points,
    apply,
    compose,
    fit_similarity,
    invert,
    scale_of,
    scaling,
    square_to_image,
)
from faceloom.geometry.chips import in_patch
from faceloom.geometry.hulls import fill_hull
from faceloom.geometry.landmarks import INNER, MEAN_FACE

EYES_PX = 48
"""Between the eyes of the face that is looked at; larger ones are averaged down."""
_SIDE_EYES = 2
"""Side of the square that is looked at, in distances between the eyes: brows, mouth and what lies between them."""
_SIZE = EYES_PX * _SIDE_EYES


@dataclass(frozen=True, slots=True, kw_only=True)
class Appearance:
    """What the pixels between brows and mouth are like."""

    sharpness: float
    light: float
    """Mean of the grey levels, 0 to 255."""
    contrast: float
    """Standard deviation of the grey levels."""


def sharpness(pixels: NDArray[np.uint8], landmarks: Points) -> float:
    """`look_of` a face, its sharpness alone."""
    return look_of(pixels, landmarks).sharpness


def look_of(pixels: NDArray[np.uint8], landmarks: Points) -> Appearance:
    """How sharp a face is, and how it is lit.

    Sharpness is the variance of the Laplacian of its grey levels, 0 or more, over the hull of brows, eyes, nose and
    mouth.

    Every face is looked at upright with its eyes 48 pixels apart, so that how many pixels it had does not count, if it
    had as many; one with less is as soft as its enlargement. Outline, hair and what lies behind do not count either.

    Args:
        pixels: (H, W, 3) RGB in which the face lies.
        landmarks: (68, 2) in pixels of that image.

    Raises:
        DegeneratePointsError: all landmarks coincide.

    Source:
        Pech-Pacheco et al. 2000, ICPR, "Diatom autofocusing in brightfield microscopy: a comparative study".
    """
    import cv2

    inner = landmarks[INNER]
    pixels_to_square = _square(inner)
    inside = fill_hull(apply(pixels_to_square, inner), grow=0, size=_SIZE)
    grey = _grey_square(pixels, pixels_to_square)
    light, contrast = cv2.meanStdDev(grey, mask=inside)
    _, deviation = cv2.meanStdDev(cv2.Laplacian(grey, cv2.CV_16S), mask=inside)
    return Appearance(sharpness=float(deviation[0, 0]) ** 2, light=float(light[0, 0]), contrast=float(contrast[0, 0]))


def _square(inner: Points) -> Affine:
    """Pixels to the square in which the inner landmarks lie on those of the mean face."""
    (cos, _, x), (sin, _, y) = invert(fit_similarity(inner, MEAN_FACE[INNER])).tolist()
    side = _SIDE_EYES * math.hypot(cos, sin)
    return square_to_image((x, y), side, angle=math.atan2(sin, cos), size=_SIZE)


def _grey_square(pixels: NDArray[np.uint8], pixels_to_square: Affine) -> Any:
    """The square in grey levels. Nothing is sampled more coarsely than it is: fine detail would turn into coarse."""
    import cv2

    near, near_to_square = _near(pixels, pixels_to_square)
    grey = cv2.cvtColor(near, cv2.COLOR_RGB2GRAY)
    shrink = math.ceil(1 / (2 * scale_of(near_to_square)))
    if shrink > 1:
        rows, columns = max(1, grey.shape[0] // shrink), max(1, grey.shape[1] // shrink)
        whole = grey[: rows * shrink, : columns * shrink]  # other factors take OpenCV several times as long
        grey = cv2.resize(whole, (columns, rows), interpolation=cv2.INTER_AREA)
        near_to_square = compose(near_to_square, scaling(whole.shape[1] / columns, whole.shape[0] / rows))
    twice = (2 * _SIZE, 2 * _SIZE)
    large = cv2.warpAffine(grey, compose(scaling(2, 2), near_to_square), twice, borderMode=cv2.BORDER_REPLICATE)
    return cv2.resize(large, (_SIZE, _SIZE), interpolation=cv2.INTER_AREA)


def _near(pixels: NDArray[np.uint8], pixels_to_square: Affine) -> tuple[NDArray[np.uint8], Affine]:
    """The part of an image that the square shows, with a little room."""
    (cos, _, x), (sin, _, y) = invert(pixels_to_square).tolist()
    middle = (_SIZE - 1) / 2
    x, y = x + (cos - sin) * middle, y + (sin + cos) * middle
    reach = 1.1 * (abs(cos) + abs(sin)) * middle
    height, width = pixels.shape[:2]
    left, top = (min(max(math.floor(at - reach), 0), size - 1) for at, size in ((x, width), (y, height)))
    right, bottom = math.ceil(x + reach), math.ceil(y + reach)
    near = pixels[top : max(bottom, top) + 1, left : max(right, left) + 1]
    return near, in_patch(pixels_to_square, x=left, y=top)
