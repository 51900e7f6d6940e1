"""Painting: what is laid over faces, plane by plane, in the values that a picture or a video stores.

Nothing is converted on the way: what lies beside the faces keeps its values, and ranges, depths and colours are those
of the plane. Planes are changed in place.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, TypeAlias

import cv2
import numpy as np
from numpy.typing import NDArray

from faceloom.choices import Fill
from faceloom.redacting.shapes import Region, Scale2D, Shape2D, region_of

Values: TypeAlias = NDArray[Any]
"""(H, W) uint8 or uint16 values of one plane, upright; perhaps a view."""
_BLUR_CELLS = 2
"""How many averages of a face's width a blur is made of: what is finer is gone, and not only hidden."""
_PIXELATE_CELLS = 5
_LEAST_CELL = 2


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Plane:
    """A plane to be painted on."""

    values: Values
    scale: Scale2D
    solid: int
    """The value of what is laid over it as one colour."""
    stamp: Values | None = None
    """The picture that is laid over faces, in values of this plane."""
    stamp_alpha: NDArray[np.uint8] | None = None
    """Of the picture: how opaque it is."""


def paint(planes: Sequence[Plane], shape: Shape2D, fill: Fill) -> None:
    """Covers a shape in all planes of a frame."""
    for plane in planes:
        height, width = plane.values.shape
        region = region_of(shape, plane.scale, height=height, width=width)
        if region is not None:
            _paint(plane, region, shape, fill)


def paint_all(planes: Sequence[Plane]) -> None:
    """Covers a whole frame, of which nobody knows what it shows, with one colour."""
    for plane in planes:
        plane.values[...] = plane.solid


def _paint(plane: Plane, region: Region, shape: Shape2D, fill: Fill) -> None:
    rows, columns = region.alpha.shape
    place = np.s_[region.top : region.top + rows, region.left : region.left + columns]
    before = np.ascontiguousarray(plane.values[place])
    laid = _laid(before, plane, region, shape, fill)
    mixed = before + (laid.astype(np.float32) - before) * region.alpha
    plane.values[place] = np.rint(mixed).astype(before.dtype)


def _laid(before: Values, plane: Plane, region: Region, shape: Shape2D, fill: Fill) -> Values:
    width = float(shape.box[2] - shape.box[0]) * plane.scale.x
    height = float(shape.box[3] - shape.box[1]) * plane.scale.y
    match fill:
        case Fill.BLUR:
            return _blurred(before, (width / _BLUR_CELLS, height / _BLUR_CELLS))
        case Fill.PIXELATE:
            return _pixelated(before, (width / _PIXELATE_CELLS, height / _PIXELATE_CELLS))
        case Fill.PICTURE if plane.stamp is not None:
            return _stamped(before, plane, region)
    return np.full_like(before, plane.solid)


def _cells(before: Values, cell: tuple[float, float]) -> Values:
    """The averages of cells of about this size, width first."""
    rows, columns = before.shape
    across, down = (max(1, round(n / max(c, _LEAST_CELL))) for n, c in ((columns, cell[0]), (rows, cell[1])))
    return cv2.resize(before, (across, down), interpolation=cv2.INTER_AREA).reshape(down, across)


def _pixelated(before: Values, cell: tuple[float, float]) -> Values:
    rows, columns = before.shape
    cells = _cells(before, cell)
    return cv2.resize(cells, (columns, rows), interpolation=cv2.INTER_NEAREST).reshape(before.shape)


def _blurred(before: Values, cell: tuple[float, float]) -> Values:
    """Averages, smoothed: only these are left of what was there."""
    rows, columns = before.shape
    cells = cv2.GaussianBlur(_cells(before, cell), (3, 3), 0, borderType=cv2.BORDER_REPLICATE)
    smooth = cv2.resize(cells, (columns, rows), interpolation=cv2.INTER_LINEAR).reshape(before.shape)
    kernel = tuple(max(1, round(c / 2)) | 1 for c in cell)
    return cv2.blur(smooth, kernel, borderType=cv2.BORDER_REPLICATE).reshape(before.shape)


def _stamped(before: Values, plane: Plane, region: Region) -> Values:
    """The picture, stretched to the shape, over one colour."""
    assert plane.stamp is not None
    x0, y0, x1, y1 = region.shape
    size = (max(1, round(x1 - x0)), max(1, round(y1 - y0)))
    laid = np.full(before.shape, plane.solid, np.float32)
    stamp = cv2.resize(plane.stamp, size, interpolation=cv2.INTER_AREA).astype(np.float32)
    opaque: NDArray[Any] = np.ones(stamp.shape, np.float32)
    if plane.stamp_alpha is not None:
        opaque = cv2.resize(plane.stamp_alpha, size, interpolation=cv2.INTER_AREA).astype(np.float32) / 255
    left, top = round(x0), round(y0)
    rows, columns = before.shape
    here = np.s_[max(0, top) : min(rows, top + size[1]), max(0, left) : min(columns, left + size[0])]
    there = np.s_[max(0, -top) : min(rows, top + size[1]) - top, max(0, -left) : min(columns, left + size[0]) - left]
    laid[here] += (stamp[there] - laid[here]) * opaque[there]
    return laid
