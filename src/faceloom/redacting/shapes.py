"""Shapes: how much of each pixel of a plane is covered, over a face's box, an ellipse around it, or its mask.

A plane has the upright frame's content at a resolution of its own: that of the frame, or of its colours. All that the
shape and its margin cover is covered wholly; what fades lies beyond.
"""

from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from faceloom.choices import Over
from faceloom.geometry.affine import Affine, compose, invert, scaling

Alpha = NDArray[np.float32]
"""(h, w) how much of a pixel is covered, 0 to 1."""
_LEAST_COVERAGE = 32
"""Of a mask's pixel, of 255: what counts as part of the face."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Mask:
    """What of a face a mask covers, and where it lies."""

    pixels: NDArray[np.uint8]
    """(S, S) coverage."""
    frame_to_mask: Affine


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Shape2D:
    """Something to be covered in an upright frame."""

    box: NDArray[np.float32]
    """(4,) pixels of the frame."""
    over: Over
    margin: float
    """Share of the box's sides by which it reaches farther on each side."""
    feather: float
    """Share of the box's longer side over which the edge fades, outside."""
    mask: Mask | None = None
    """What is covered in place of the ellipse, if it is known."""

    @property
    def outer(self) -> NDArray[np.float64]:
        """(4,) the box with its margin."""
        x0, y0, x1, y1 = self.box.astype(np.float64)
        across, down = (x1 - x0) * self.margin, (y1 - y0) * self.margin
        return np.array([x0 - across, y0 - down, x1 + across, y1 + down])

    @property
    def feather_px(self) -> float:
        """Pixels of the frame over which the edge fades."""
        x0, y0, x1, y1 = self.box.astype(np.float64)
        return float(max(x1 - x0, y1 - y0) * self.feather)


@dataclass(frozen=True, slots=True, kw_only=True)
class Scale2D:
    """How a plane lies over the upright frame: pixels of the plane for one of the frame."""

    x: float
    y: float


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Region:
    """A rectangle of a plane, and how much of each pixel in it is covered."""

    left: int
    top: int
    alpha: Alpha
    shape: tuple[float, float, float, float]
    """The shape with its margin, in pixels of the rectangle: x0, y0, x1, y1."""


def region_of(shape: Shape2D, scale: Scale2D, *, height: int, width: int) -> Region | None:
    """What a shape covers of a plane of this size; None: it lies outside."""
    x0, y0, x1, y1 = _in_plane(shape.outer, scale)
    fade = (shape.feather_px * scale.x, shape.feather_px * scale.y)
    left, top = max(0, int(np.floor(x0 - fade[0]))), max(0, int(np.floor(y0 - fade[1])))
    right, bottom = min(width, int(np.ceil(x1 + fade[0])) + 1), min(height, int(np.ceil(y1 + fade[1])) + 1)
    if left >= right or top >= bottom:
        return None
    box = (x0 - left, y0 - top, x1 - left, y1 - top)
    size = (bottom - top, right - left)
    alpha = _alpha(shape, scale, box, fade, (left, top), size)
    return Region(left=left, top=top, alpha=alpha, shape=box)


def _alpha(
    shape: Shape2D,
    scale: Scale2D,
    box: tuple[float, float, float, float],
    fade: tuple[float, float],
    corner: tuple[int, int],
    size: tuple[int, int],
) -> Alpha:
    if shape.over is Over.MASK and shape.mask is not None:
        alpha = _mask_alpha(shape, shape.mask, scale, corner, size)
        if alpha is not None:
            return alpha
    ys, xs = np.ogrid[: size[0], : size[1]]
    return _box_alpha(xs, ys, box, fade) if shape.over is Over.BOX else _ellipse_alpha(xs, ys, box, fade)


def _in_plane(box: NDArray[np.float64], scale: Scale2D) -> tuple[float, float, float, float]:
    """A box of the frame in a plane's pixels; the corners of both lie half a pixel before their first pixels."""
    x0, y0, x1, y1 = (box + 0.5) * [scale.x, scale.y, scale.x, scale.y] - 0.5
    return float(x0), float(y0), float(x1), float(y1)


def _box_alpha(
    xs: NDArray[np.int64], ys: NDArray[np.int64], box: tuple[float, float, float, float], fade: tuple[float, float]
) -> Alpha:
    x0, y0, x1, y1 = box
    across = np.maximum(np.maximum(x0 - xs, xs - x1), 0) / max(fade[0], 1)
    down = np.maximum(np.maximum(y0 - ys, ys - y1), 0) / max(fade[1], 1)
    return np.asarray(np.clip(1 - np.hypot(across, down), 0, 1), np.float32)


def _ellipse_alpha(
    xs: NDArray[np.int64], ys: NDArray[np.int64], box: tuple[float, float, float, float], fade: tuple[float, float]
) -> Alpha:
    x0, y0, x1, y1 = box
    across, down = max((x1 - x0) / 2, 0.5), max((y1 - y0) / 2, 0.5)
    far = np.hypot((xs - (x0 + x1) / 2) / across, (ys - (y0 + y1) / 2) / down)
    beyond = (far - 1) * min(across, down)
    return np.asarray(np.clip(1 - beyond / max(min(fade), 1), 0, 1), np.float32)


def _mask_alpha(
    shape: Shape2D, mask: Mask, scale: Scale2D, corner: tuple[int, int], size: tuple[int, int]
) -> Alpha | None:
    """Of a mask grown by the margin; None where it covers nothing here."""
    # Pixel p of the rectangle is ((p + corner) + 0.5) / scale - 0.5 in the frame.
    to_frame = np.array(
        [
            [1 / scale.x, 0, (corner[0] + 0.5) / scale.x - 0.5],
            [0, 1 / scale.y, (corner[1] + 0.5) / scale.y - 0.5],
        ]
    )
    to_mask = compose(mask.frame_to_mask, to_frame)
    flags = cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP
    laid = cv2.warpAffine(mask.pixels, to_mask, (size[1], size[0]), flags=flags)
    outside = (laid < _LEAST_COVERAGE).astype(np.uint8)
    if outside.all():
        return None
    far = cv2.distanceTransform(outside, cv2.DIST_L2, cv2.DIST_MASK_5)
    longest = float(max(shape.box[2:] - shape.box[:2]))
    reach = shape.margin * longest * max(scale.x, scale.y)
    fade = max(shape.feather_px * min(scale.x, scale.y), 1)
    return np.asarray(np.clip(1 - (far - reach) / fade, 0, 1), np.float32)


def mask_box(mask: Mask) -> NDArray[np.float32] | None:
    """(4,) the box around what a mask covers, in pixels of the frame; None: it covers nothing."""
    rows, columns = (np.flatnonzero((mask.pixels >= _LEAST_COVERAGE).any(axis=axis)) for axis in (1, 0))
    if not len(rows):
        return None
    corners = np.array([[x, y] for x in columns[[0, -1]] for y in rows[[0, -1]]], np.float64)
    to_frame = invert(mask.frame_to_mask)
    laid = corners @ to_frame[:, :2].T + to_frame[:, 2]
    return np.concatenate([laid.min(axis=0), laid.max(axis=0)]).astype(np.float32)


def scaled(mask: Mask, factor: float) -> Mask:
    """The same mask over a frame that is scaled."""
    return Mask(pixels=mask.pixels, frame_to_mask=compose(mask.frame_to_mask, scaling(1 / factor, 1 / factor)))
