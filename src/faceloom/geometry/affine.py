"""Affine maps of the plane: (2, 3) arrays that take (x, y, 1) from one space to another.

A name says both ends: `frame_to_chip`. Pixels are points at their centres, so the centre of the
top-left pixel is (0, 0) and an image of width w spans -0.5 to w - 0.5.
"""

import math
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

from faceloom.errors import DegeneratePointsError

Affine: TypeAlias = NDArray[np.float64]
"""(2, 3), maps (x, y, 1)."""
Points: TypeAlias = NDArray[np.float32]
"""(..., 2) x, y in pixels."""


def translation(x: float, y: float) -> Affine:
    """The map that moves every point by (x, y)."""
    return np.array([[1, 0, x], [0, 1, y]], np.float64)


def scaling(factor_x: float, factor_y: float) -> Affine:
    """The map of an image resized by these factors: pixel edges scale, so centres shift by half a pixel."""
    return np.array([[factor_x, 0, factor_x / 2 - 0.5], [0, factor_y, factor_y / 2 - 0.5]], np.float64)


def square_to_image(centre: tuple[float, float], side: float, *, angle: float, size: int) -> Affine:
    """Maps a turned square of the plane onto a size x size image.

    Args:
        centre: x and y of the middle of the square.
        side: pixels, > 0.
        angle: radians; the direction of the square's upper edge, clockwise on the screen (y is down).
        size: side of the image in pixels.
    """
    x, y = centre
    scale, middle = size / side, (size - 1) / 2
    cos, sin = scale * math.cos(angle), scale * math.sin(angle)
    return np.array([[cos, sin, middle - cos * x - sin * y], [-sin, cos, middle + sin * x - cos * y]])


# Six numbers a map: arithmetic on Python's own floats takes a tenth of the time of calls into NumPy.


def compose(second: Affine, first: Affine) -> Affine:
    """The map that applies `first`, then `second`."""
    (a, b, c), (d, e, f) = second.tolist()
    (p, q, r), (s, t, u) = first.tolist()
    return np.array(
        [[a * p + b * s, a * q + b * t, a * r + b * u + c], [d * p + e * s, d * q + e * t, d * r + e * u + f]]
    )


def invert(source_to_target: Affine) -> Affine:
    """The map back.

    Raises:
        DegeneratePointsError: the map flattens the plane.
    """
    (a, b, c), (d, e, f) = source_to_target.tolist()
    area = a * e - b * d
    if abs(area) < 1e-12:
        raise DegeneratePointsError("the affine map has no inverse: it flattens the plane")
    return np.array([[e / area, -b / area, (b * f - e * c) / area], [-d / area, a / area, (d * c - a * f) / area]])


def apply(source_to_target: Affine, points: Points) -> Points:
    """The points (..., 2), mapped; float32."""
    (a, b, c), (d, e, f) = source_to_target.tolist()
    x, y = points[..., 0].astype(np.float64), points[..., 1].astype(np.float64)
    mapped = np.empty(points.shape, np.float32)
    mapped[..., 0] = a * x + b * y + c
    mapped[..., 1] = d * x + e * y + f
    return mapped


def apply_each(maps: NDArray[np.float64], points: Points) -> Points:
    """The points (N, K, 2), each set mapped by its own of the maps (N, 2, 3); float32, the bits of `apply`."""
    x, y = points[..., 0].astype(np.float64), points[..., 1].astype(np.float64)
    a, b, c, d, e, f = maps.reshape(-1, 6, 1).transpose(1, 0, 2)
    mapped = np.empty(points.shape, np.float32)
    mapped[..., 0] = a * x + b * y + c
    mapped[..., 1] = d * x + e * y + f
    return mapped


def scale_of(source_to_target: Affine) -> float:
    """How many target pixels one source pixel becomes, along a side."""
    (a, b, _), (d, e, _) = source_to_target.tolist()
    return math.sqrt(abs(a * e - b * d))


def fit_similarity(source: Points, target: NDArray[np.floating[Any]]) -> Affine:
    """Least-squares similarity that maps `source` onto `target`.

    Rotation, uniform scale and translation; never a reflection.

    Args:
        source: (K, 2) pixels, K >= 2.
        target: (K, 2) pixels.

    Raises:
        DegeneratePointsError: every source point coincides, so no scale exists.

    Source:
        Umeyama 1991, IEEE TPAMI 13(4), eqs. 38-43, written for the plane, where the rotation is one
        complex number and no singular value decomposition is needed.
    """
    (x, x_middle), (y, y_middle), (u, u_middle), (v, v_middle) = (
        _centred(values) for points in (source, target) for values in (points[:, 0], points[:, 1])
    )
    spread = float(np.dot(x, x) + np.dot(y, y))
    if not spread > 1e-12:
        raise DegeneratePointsError("a similarity needs at least two different points")
    cos = float(np.dot(x, u) + np.dot(y, v)) / spread
    sin = float(np.dot(x, v) - np.dot(y, u)) / spread
    return np.array(
        [
            [cos, -sin, u_middle - cos * x_middle + sin * y_middle],
            [sin, cos, v_middle - sin * x_middle - cos * y_middle],
        ]
    )


def _centred(values: NDArray[np.floating[Any]]) -> tuple[NDArray[np.float64], float]:
    """(K,) less their mean, and the mean."""
    wide = values.astype(np.float64)
    middle = float(wide.sum()) / len(wide)
    return wide - middle, middle
