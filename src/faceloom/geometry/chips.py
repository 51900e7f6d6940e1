"""Chips and patches: the square a stage reads, and the native pixels it is cut from."""

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from faceloom.choices import Border, Crop
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
    translation,
)
from faceloom.geometry.averaging import averaged
from faceloom.geometry.landmarks import INNER, MEAN_FACE

PATCH_SCALE = 3.0
"""Side of a patch over the longer side of the face's box; wide enough for all that stages read (docs/accuracy.md)."""
COPIED_BYTES = 12 << 20
"""Patches that together take as much, or as much as their frame, are not copied out of it, but look into it."""
WAITING_BYTES = 6 << 20
"""Patches may wait for a call of several faces while more frames are read, up to so much: those of 1080p do."""
_STEPS_A_PX = 8
_STEPS_A_RADIAN = 1024
"""To which a crop's place and size, and its angle, are rounded."""
_PATCH_SCALE_OF_FRAMES = 12.0
"""The same for a frame that is a chip already, of which no face's box is less than a sixth: all of the frame."""
EYE_SHARE = 0.22
"""Distance between the eye centres over the side of a chip: hair, chin and ears are in view."""
_MOST_PADDED = 8
"""Pixels of a chip that an image may have to be copied with a fourth channel: larger copies cost what they gain."""
_INNER = MEAN_FACE[INNER]  # eye distances; their middle is (0, 0)
_EYE_SHARES = {Crop.FACE: 0.35, Crop.HEAD: EYE_SHARE, Crop.WHOLE: 0.12}


@dataclass(frozen=True, slots=True)
class Framing:
    """The square that a chip shows."""

    crop: Crop = Crop.HEAD
    level: bool = True
    """Whether the eyes lie level; if not, the square has the same middle and side, and stands as the frame does."""
    is_frame: bool = False
    """Whether the square is the frame itself, which is a chip already; the crop says what such a chip shows."""

    @property
    def eye_share(self) -> float:
        """Distance between the eye centres over the side of the chip."""
        return _EYE_SHARES[self.crop]

    @property
    def patch_scale(self) -> float:
        """Side of what the chip is cut from over the longer side of the face's box, so that it covers as much."""
        if self.is_frame:
            return _PATCH_SCALE_OF_FRAMES
        return PATCH_SCALE * max(1.0, EYE_SHARE / self.eye_share)


STANDARD = Framing()
"""What networks are given, and chips show unless asked for otherwise."""


def patch_bounds(
    box: NDArray[np.float32], *, height: int, width: int, scale: float = PATCH_SCALE
) -> tuple[int, int, int, int]:
    """x0, y0, x1, y1 of the patch around a box in a frame of this size: whole pixels, inside the frame.

    Its side is `scale` times the longer side of the box.

    A box that lies outside the frame altogether still gets the nearest pixel.
    """
    left, top, right, bottom = box.tolist()
    reach = scale / 2 * max(right - left, bottom - top, 1.0)
    x0, x1 = _reached((left + right) / 2, reach, size=width)
    y0, y1 = _reached((top + bottom) / 2, reach, size=height)
    return x0, y0, x1, y1


def _reached(centre: float, reach: float, *, size: int) -> tuple[int, int]:
    """First pixel within reach and the one after the last, of `size` pixels in a row; at least one."""
    first = min(max(math.floor(centre - reach), 0), size - 1)
    return first, min(max(math.ceil(centre + reach), first), size - 1) + 1


def cut(
    pixels: NDArray[np.uint8],
    pixels_to_chip: Affine,
    *,
    size: int,
    into: NDArray[np.uint8] | None = None,
    border: Border = Border.REPEAT,
) -> NDArray[np.uint8]:
    """The chip (size, size, 3) of an image, written into `into` if given; outside the image its edge is repeated.

    Or the image is mirrored at its edge, if that is the border; `borders` has the others.

    Where the chip is less than half as large as what it shows, the pixels are averaged first: sampling
    alone would alias.
    """
    import cv2

    pixels, pixels_to_chip = _averaged(pixels, pixels_to_chip, size=size)
    if pixels.shape[0] * pixels.shape[1] > _MOST_PADDED * size * size:
        return _warp(pixels, pixels_to_chip, size=size, border=border, into=into)
    # OpenCV warps four channels to the same bits in half the time of three, conversions included.
    layers = np.asarray(cv2.cvtColor(pixels, cv2.COLOR_RGB2RGBA), np.uint8)
    padded = _warp(layers, pixels_to_chip, size=size, border=border)
    return np.asarray(cv2.cvtColor(padded, cv2.COLOR_RGBA2RGB, dst=into), np.uint8)


def _warp(
    pixels: NDArray[np.uint8],
    pixels_to_chip: Affine,
    *,
    size: int,
    border: Border,
    into: NDArray[np.uint8] | None = None,
) -> NDArray[np.uint8]:
    import cv2

    shape, edge = (size, size), cv2.BORDER_REFLECT if border is Border.REFLECT else cv2.BORDER_REPLICATE
    warped = cv2.warpAffine(pixels, pixels_to_chip, shape, dst=into, flags=cv2.INTER_LINEAR, borderMode=edge)
    return np.asarray(warped, np.uint8)


def lay_mask(mask: NDArray[np.uint8], mask_to_chip: Affine, *, size: int) -> NDArray[np.uint8]:
    """The part of a mask (S, S) that lies in a chip, (size, size); what the mask does not reach is 0."""
    import cv2

    mask, mask_to_chip = _averaged(mask, mask_to_chip, size=size)
    return np.asarray(cv2.warpAffine(mask, mask_to_chip, (size, size), flags=cv2.INTER_LINEAR), np.uint8)


def _averaged(pixels: NDArray[np.uint8], pixels_to_chip: Affine, *, size: int) -> tuple[NDArray[np.uint8], Affine]:
    """An image and its map, what the chip shows of it averaged if the chip is less than half as large as that."""
    shrink = 1 / max(scale_of(pixels_to_chip), 1e-6)
    if shrink < 2:
        return pixels, pixels_to_chip
    left, top, right, bottom = _shown(pixels, pixels_to_chip, size=size, step=int(shrink))
    small, side = averaged(pixels[top:bottom, left:right], shrink)
    return small, compose(pixels_to_chip, compose(translation(left, top), scaling(side, side)))


def _shown(pixels: NDArray[np.uint8], pixels_to_chip: Affine, *, size: int, step: int) -> tuple[int, int, int, int]:
    """Where the part of an image begins and ends that a chip shows, in columns and rows.

    It begins a multiple of `step` from the image's own edge, so that it is averaged as the whole image is.
    """
    height, width = pixels.shape[:2]
    if scale_of(pixels_to_chip) < 1 / max(height, width):
        return 0, 0, width, height
    corners = apply(invert(pixels_to_chip), np.array([[-1, -1], [size, -1], [-1, size], [size, size]], np.float32))
    (left, top), (right, bottom) = corners.min(axis=0).tolist(), corners.max(axis=0).tolist()
    bounds = []
    for first, last, whole in ((left, right, width), (top, bottom, height)):
        begin = min(max(int(first // step) - 1, 0), max(whole // step - 1, 0)) * step
        end = begin + max(int(last - begin) // step + 2, 1) * step
        bounds.append((begin, end if end < whole else whole))
    (left, right), (top, bottom) = bounds
    return left, top, right, bottom


def eye_angle(keypoints: Points) -> float:
    """Radians by which the line from the left to the right eye (as seen) is turned, from (5, 2) keypoints."""
    x, y = (keypoints[1] - keypoints[0]).tolist()
    return math.atan2(y, x)


def box_to_chip(box: NDArray[np.float32], *, scale: float, angle: float, size: int) -> Affine:
    """Frame to chip: a square of `scale` times the box's longer side around its centre, turned by `angle`.

    All three are rounded, so that boxes that differ by less than anybody sees have the same chip: engines add in other
    orders, and pixels that are cut a ten-thousandth beside others move landmarks by up to a pixel (measured,
    docs/gpu.md). The map is exact for the square as it is laid, so that nothing is lost on the way back.
    """
    left, top, right, bottom = box.tolist()
    side = _rounded(max(scale * max(right - left, bottom - top), 1.0), steps=_STEPS_A_PX)
    centre = (_rounded((left + right) / 2, steps=_STEPS_A_PX), _rounded((top + bottom) / 2, steps=_STEPS_A_PX))
    return square_to_image(centre, side, angle=_rounded(angle, steps=_STEPS_A_RADIAN), size=size)


def _rounded(value: float, *, steps: int) -> float:
    return round(value * steps) / steps


def in_patch(frame_to_chip: Affine, *, x: int, y: int) -> Affine:
    """The same map for a patch that begins at column x and row y of the frame."""
    return compose(frame_to_chip, translation(x, y))


def frame_to_chip(landmarks: Points, *, size: int, framing: Framing = STANDARD) -> Affine:
    """Frame to chip for the landmarks (68, 2) of one face: the similarity that lays them on the mean face.

    The inner points decide: the jaw's slide along it from one annotator, and one pose, to the next. Their
    mean stands in the middle of the chip, the eyes level and the crop's share of its side apart. Where eyes
    are not to be level, the same square is turned back about its middle.

    Raises:
        DegeneratePointsError: all landmarks coincide.
    """
    target = _INNER * framing.eye_share  # in an image of one pixel, whose centre is (0, 0)
    levelled = compose(scaling(size, size), fit_similarity(landmarks[INNER], target))
    return levelled if framing.level else _turned_back(levelled, size=size)


def square_to_chip(
    landmarks: Points, *, size: int, framing: Framing = STANDARD, frame_shape: tuple[int, int]
) -> Affine:
    """Frame to chip as `frame_to_chip`, or for a frame of this height and width that is a chip already, the frame.

    Raises:
        DegeneratePointsError: all landmarks coincide.
    """
    if not framing.is_frame:
        return frame_to_chip(landmarks, size=size, framing=framing)
    height, width = frame_shape
    return scaling(size / width, size / height)


def box_in_chip(box: NDArray[np.float32], to_chip: Affine) -> NDArray[np.float32]:
    """A box (4,) of the frame in the chip: its middle goes with the map, its sides with the scale alone."""
    (middle,) = apply(to_chip, np.stack([(box[:2] + box[2:]) / 2]))
    half = (box[2:] - box[:2]) / 2 * np.float32(scale_of(to_chip))
    return np.concatenate([middle - half, middle + half])


def _turned_back(frame_to_image: Affine, *, size: int) -> Affine:
    """The same scale and middle, without the turn."""
    scale, middle = scale_of(frame_to_image), (size - 1) / 2
    (a, b, c), (d, e, f) = invert(frame_to_image).tolist()
    x, y = a * middle + b * middle + c, d * middle + e * middle + f
    return np.array([[scale, 0.0, middle - scale * x], [0.0, scale, middle - scale * y]])
