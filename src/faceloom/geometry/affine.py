"""Affine maps of the plane: (2, 3) arrays that take (x, y, 1) from one space to another.

A name says both ends: `frame_to_chip`. Pixels are points at their centres, so the centre of the
top-left pixel is (0, 0) and an image of width w spans -0.5 to w - 0.5.
"""

from typing import TypeAlias

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


def square_to_image(centre: Points, side: float, *, angle: float, size: int) -> Affine:
    """Maps a turned square of the plane onto a size x size image.

    Args:
        centre: (2,) the middle of the square.
        side: pixels, > 0.
        angle: radians; the direction of the square's upper edge, clockwise on the screen (y is down).
        size: side of the image in pixels.
    """
    scale = size / side
    cos, sin = scale * np.cos(angle), scale * np.sin(angle)
    turn = np.array([[cos, sin], [-sin, cos]])
    middle = (size - 1) / 2
    return np.column_stack([turn, middle - turn @ np.asarray(centre, np.float64)])


def compose(second: Affine, first: Affine) -> Affine:
    """The map that applies `first`, then `second`."""
    linear = second[:, :2] @ first[:, :2]
    return np.column_stack([linear, second[:, :2] @ first[:, 2] + second[:, 2]])


def invert(source_to_target: Affine) -> Affine:
    """The map back.

    Raises:
        DegeneratePointsError: the map flattens the plane.
    """
    if abs(np.linalg.det(source_to_target[:, :2])) < 1e-12:
        raise DegeneratePointsError("the affine map has no inverse: it flattens the plane")
    linear = np.linalg.inv(source_to_target[:, :2])
    return np.column_stack([linear, -linear @ source_to_target[:, 2]])


def apply(source_to_target: Affine, points: Points) -> Points:
    """The points (..., 2), mapped; float32."""
    mapped = points.astype(np.float64) @ source_to_target[:, :2].T + source_to_target[:, 2]
    return np.asarray(mapped, np.float32)


def scale_of(source_to_target: Affine) -> float:
    """How many target pixels one source pixel becomes, along a side."""
    return float(np.sqrt(abs(np.linalg.det(source_to_target[:, :2]))))


def fit_similarity(source: Points, target: Points) -> Affine:
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
    start, end = source.astype(np.float64), target.astype(np.float64)
    start_middle, end_middle = start.mean(axis=0), end.mean(axis=0)
    x, y = (start - start_middle).T
    u, v = (end - end_middle).T
    spread = float(np.sum(x * x + y * y))
    if not spread > 1e-12:
        raise DegeneratePointsError("a similarity needs at least two different points")
    cos, sin = np.sum(x * u + y * v) / spread, np.sum(x * v - y * u) / spread
    turn = np.array([[cos, -sin], [sin, cos]])
    return np.column_stack([turn, end_middle - turn @ start_middle])
