"""Beyond the frame: how much of a chip lies there, and what it shows there. Only chips that users keep ask this."""

from collections.abc import Sequence
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

from faceloom.choices import Border
from faceloom.geometry.affine import Affine, invert, scale_of
from faceloom.geometry.chips import cut

Extent: TypeAlias = tuple[float, float, float, float]
"""Left, top, right and lower edge of a frame, in pixels of an image that is a part of it."""
_Point: TypeAlias = tuple[float, float]
_Ramp: TypeAlias = tuple[float, float, float]
"""p, q, r: at column u and row v of a chip, p u + q v + r is 0 or less beyond an edge, 1 or more inside it."""


def extent(height: int, width: int, *, x: int = 0, y: int = 0) -> Extent:
    """The edges of a frame of this size, for an image that begins at its column x and row y."""
    return -0.5 - x, -0.5 - y, width - 0.5 - x, height - 0.5 - y


def made_up_share(frame_to_chip: Affine, *, size: int, height: int, width: int) -> float:
    """The share of a chip's square, 0 to 1, that lies beyond a frame of this size, exactly.

    Raises:
        DegeneratePointsError: the map flattens the plane.
    """
    corners = _corners(frame_to_chip, size=size)
    edges = extent(height, width)
    if all(room >= 0 for room in _rooms(corners, edges)):
        return 0.0
    return min(max(1.0 - _area(_clipped(corners, edges)) / _area(corners), 0.0), 1.0)


def cut_bordered(
    image: NDArray[np.uint8], image_to_chip: Affine, *, size: int, frame: Extent, border: Border
) -> NDArray[np.uint8]:
    """The chip of an image with what a border shows beyond the frame: (size, size, 3), or 4 if it is transparent.

    Inside the frame it is what `cut` gives, and over the frame's edge the one fades into the other within a pixel of
    the image, as pixels do that are averaged.
    """
    import cv2

    chip = cut(image, image_to_chip, size=size)
    crossed = [] if border is Border.REPEAT else _crossed(image_to_chip, size=size, frame=frame)
    if border is Border.TRANSPARENT:
        return _with_alpha(chip, _coverage(crossed, size=size))
    if not crossed:
        return chip
    coverage = _coverage(crossed, size=size)
    if border is Border.REFLECT:
        mirrored = cut(image, image_to_chip, size=size, border=border)
        return np.asarray(cv2.copyTo(chip, cv2.inRange(coverage, 255, 255), mirrored), np.uint8)
    return _darkened(chip, coverage)


def _with_alpha(chip: NDArray[np.uint8], coverage: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """Colours beyond the edge are kept where anything of them is seen."""
    import cv2

    layers = np.asarray(cv2.cvtColor(cv2.copyTo(chip, coverage), cv2.COLOR_RGB2RGBA), np.uint8)
    layers[..., 3] = coverage
    return layers


def _darkened(chip: NDArray[np.uint8], coverage: NDArray[np.uint8]) -> NDArray[np.uint8]:
    import cv2

    return np.asarray(cv2.multiply(chip, cv2.cvtColor(coverage, cv2.COLOR_GRAY2RGB), dst=chip, scale=1 / 255), np.uint8)


def _coverage(crossed: Sequence[_Ramp], *, size: int) -> NDArray[np.uint8]:
    """(size, size): 255 inside the frame, 0 beyond it, and between them what a bilinear warp makes of such a picture.

    Arithmetic, as OpenCV takes ten times as long where most of what it samples lies beyond the picture.
    """
    places = np.arange(size, dtype=np.float32)
    whole = np.full((size, size), 255, np.float32)
    for p, q, r in crossed:
        side = np.add.outer(places * np.float32(q) + np.float32(r), places * np.float32(p))
        whole *= np.clip(side, 0, 1, out=side)
    return np.rint(whole, out=whole).astype(np.uint8)


def _crossed(image_to_chip: Affine, *, size: int, frame: Extent) -> list[_Ramp]:
    """Of each edge of the frame that a chip reaches beyond, how it fades.

    It takes a pixel of what the chip is sampled from, which is averaged if the chip is much smaller.
    """
    step = max(1, int(1 / max(scale_of(image_to_chip), 1e-6)))
    (a, b, c), (d, e, f) = invert(image_to_chip).tolist()
    left, top, right, bottom = frame
    rows = ((a, b, c - left), (d, e, f - top), (-a, -b, right - c), (-d, -e, bottom - f))
    rooms = _rooms(_corners(image_to_chip, size=size), frame)
    return [(p / step, q / step, r / step + 0.5) for (p, q, r), room in zip(rows, rooms, strict=True) if room < 0]


def _corners(image_to_chip: Affine, *, size: int) -> list[_Point]:
    """Of the chip's square in the image, in turn."""
    (a, b, c), (d, e, f) = invert(image_to_chip).tolist()
    low, high = -0.5, size - 0.5
    return [(a * u + b * v + c, d * u + e * v + f) for u, v in ((low, low), (high, low), (high, high), (low, high))]


def _rooms(corners: Sequence[_Point], edges: Extent) -> tuple[float, float, float, float]:
    """How far the corners stay inside each edge, at least; below 0 where one is beyond it."""
    left, top, right, bottom = edges
    xs, ys = zip(*corners, strict=True)
    return min(xs) - left, min(ys) - top, right - max(xs), bottom - max(ys)


def _clipped(polygon: list[_Point], edges: Extent) -> list[_Point]:
    """The part of a convex polygon inside the edges.

    Source: Sutherland and Hodgman 1974, Communications of the ACM 17(1), "Reentrant polygon clipping".
    """
    left, top, right, bottom = edges
    for axis, edge, sign in ((0, left, 1), (1, top, 1), (0, right, -1), (1, bottom, -1)):
        kept: list[_Point] = []
        for i, there in enumerate(polygon):
            here = polygon[i - 1]
            one, other = (sign * (point[axis] - edge) for point in (here, there))
            if (one < 0) != (other < 0):
                share = one / (one - other)
                kept.append((here[0] + share * (there[0] - here[0]), here[1] + share * (there[1] - here[1])))
            if other >= 0:
                kept.append(there)
        polygon = kept
    return polygon


def _area(polygon: Sequence[_Point]) -> float:
    """Of a polygon, seen from its first corner so that a place far from the origin costs no digits."""
    if not polygon:
        return 0.0
    x0, y0 = polygon[0]
    moved = [(x - x0, y - y0) for x, y in polygon]
    return abs(sum(moved[i - 1][0] * y - x * moved[i - 1][1] for i, (x, y) in enumerate(moved))) / 2
