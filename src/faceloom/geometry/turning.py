"""Turned canvases: what a detector looks at when a frame is not upright.

An angle is how far the faces lie turned clockwise on the screen, in degrees: turned back by it, they stand upright.
"""

import math

import numpy as np
from numpy.typing import NDArray

from faceloom.errors import RequestError
from faceloom.geometry.affine import Affine, compose, scaling
from faceloom.geometry.boxes import Boxes
from faceloom.geometry.letterbox import resize, scaled_shape

LEAST_STEP_DEG = 5.0
_ROUNDING = 1e-6
"""Of a pixel: what a side that is a whole number may be beside it in floating point."""


def steps(degrees: float) -> tuple[float, ...]:
    """Every multiple of an angle between 0 and 360, both left out."""
    return tuple(degrees * i for i in range(1, math.ceil(360 / degrees)))


def is_lying(turns: NDArray[np.float64]) -> NDArray[np.bool_]:
    """Whether what is turned by so many radians lies rather than stands, its height and width having changed places."""
    return np.asarray(np.abs(np.sin(turns)) > math.sin(math.pi / 4) + _ROUNDING)


def turned_shape(
    height: int, width: int, *, degrees: float, longest_side: int, enlarge: float = 1.0
) -> tuple[int, int]:
    """Height and width of a frame that is turned back whole, and scaled down until its longer side is `longest_side`.

    A turned frame that is no larger is not scaled. Either is enlarged then.
    """
    scaled = _scaled_for(height, width, degrees=degrees, longest_side=longest_side, enlarge=enlarge)
    return _sides(*scaled, degrees, most=_most(longest_side, enlarge))


def lay_turned(
    image: NDArray[np.uint8], *, degrees: float, longest_side: int, into: NDArray[np.uint8], enlarge: float = 1.0
) -> Affine:
    """Lays a frame, turned back, into the top-left corner of a black canvas; returns the map from canvas to frame.

    Quarter turns move pixels and mix none; other angles interpolate.
    """
    height, width = image.shape[:2]
    rows, columns = _scaled_for(height, width, degrees=degrees, longest_side=longest_side, enlarge=enlarge)
    scaled, scaled_to_frame = image, scaling(1.0, 1.0)
    if (rows, columns) != (height, width):
        scaled = np.empty((rows, columns, 3), np.uint8)
        scaled_to_frame = resize(image, into=scaled)
    turned_rows, turned_columns = _sides(rows, columns, degrees, most=_most(longest_side, enlarge))
    target = into[:turned_rows, :turned_columns]
    turned_to_scaled = _turned_to_scaled(target.shape[:2], (rows, columns), degrees)
    if degrees % 90 == 0:
        target[...] = np.rot90(scaled, round(degrees / 90))
    else:
        _warp(scaled, turned_to_scaled, into=target)
    return compose(scaled_to_frame, turned_to_scaled)


def boxes_turned_back(boxes: Boxes, canvas_to_frame: Affine, *, degrees: float) -> Boxes:
    """Boxes (N, 4) of a turned canvas as boxes of its frame.

    A turned box is none. Its middle and the lengths of its sides are kept, so that a square laid around it is the same
    before and after; the sides change places where the box comes to lie.
    """
    (a, b, c), (d, e, f) = canvas_to_frame
    x, y = (boxes[:, :2] + boxes[:, 2:]).astype(np.float64).T / 2
    middles = np.stack([a * x + b * y + c, d * x + e * y + f], axis=1)
    halves = (boxes[:, 2:] - boxes[:, :2]).astype(np.float64) / 2 * math.sqrt(abs(a * e - b * d))
    if is_lying(np.radians(degrees)):
        halves = halves[:, ::-1]
    return np.asarray(np.hstack([middles - halves, middles + halves]), np.float32)


def _most(longest_side: int, enlarge: float) -> int:
    """The longer side of what is turned, at most."""
    return math.ceil(longest_side * enlarge)


def _scaled_for(height: int, width: int, *, degrees: float, longest_side: int, enlarge: float) -> tuple[int, int]:
    """Height and width to scale a frame to, so that it is within `longest_side` once it is turned."""
    if degrees % 90 == 0:
        return scaled_shape(height, width, longest_side, enlarge=enlarge)
    turned = max(_extents(height, width, degrees))
    # The least scale of a frame whose longer side stays as it is, for one that grows by being turned.
    return scaled_shape(height, width, math.floor(longest_side / turned * max(height, width)), enlarge=enlarge)


def _extents(height: float, width: float, degrees: float) -> tuple[float, float]:
    cos, sin = (abs(value) for value in _cos_sin(degrees))
    return width * sin + height * cos, width * cos + height * sin


def _sides(rows: int, columns: int, degrees: float, *, most: int) -> tuple[int, int]:
    """Of the canvas that holds what is turned back, but for less than a pixel where that would be one too many."""
    height, width = (min(most, math.ceil(extent - _ROUNDING)) for extent in _extents(rows, columns, degrees))
    return height, width


def _turned_to_scaled(turned: tuple[int, int], scaled: tuple[int, int], degrees: float) -> Affine:
    """Middle onto middle; what points right on the turned canvas points along the angle on the scaled frame."""
    cos, sin = _cos_sin(degrees)
    x, y = (turned[1] - 1) / 2, (turned[0] - 1) / 2
    return np.array(
        [
            [cos, -sin, (scaled[1] - 1) / 2 - cos * x + sin * y],
            [sin, cos, (scaled[0] - 1) / 2 - sin * x - cos * y],
        ]
    )


def _cos_sin(degrees: float) -> tuple[float, float]:
    """Exact for quarter turns."""
    if degrees % 90 == 0:
        return ((1.0, 0.0), (0.0, 1.0), (-1.0, 0.0), (0.0, -1.0))[round(degrees / 90) % 4]
    return math.cos(math.radians(degrees)), math.sin(math.radians(degrees))


def _warp(scaled: NDArray[np.uint8], turned_to_scaled: Affine, *, into: NDArray[np.uint8]) -> None:
    import cv2

    rows, columns = into.shape[:2]
    flags = cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP
    into[...] = cv2.warpAffine(scaled, turned_to_scaled, (columns, rows), flags=flags)


def parse_turns(text: str) -> tuple[float, ...]:
    """Degrees in (0, 360) by which frames are turned back: `90` for its multiples, `0,45,315` for these, in this order.

    Raises:
        RequestError: the text is neither.
    """
    try:
        numbers = [float(part) for part in text.split(",")]
    except ValueError:
        numbers = [math.nan]
    if not all(map(math.isfinite, numbers)):
        raise RequestError(f"{text!r} says no angles; write auto, a step like 90, or angles like 0,45,315")
    if len(numbers) > 1:
        return tuple(dict.fromkeys(number % 360 for number in numbers if number % 360))
    (step,) = numbers
    if not LEAST_STEP_DEG <= step < 360:
        raise RequestError(f"frames cannot be turned by steps of {step:g} degrees; ask for {LEAST_STEP_DEG:g} to 359")
    return steps(step)
