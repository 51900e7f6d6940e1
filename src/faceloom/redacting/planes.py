"""Planes of video frames: the values that the encoder will be given, upright, to be painted on in place."""

from typing import Any

import numpy as np
from av.video.frame import VideoFrame
from av.video.plane import VideoPlane
from numpy.typing import NDArray

from faceloom.faces import Image
from faceloom.media.decoding import Decoded
from faceloom.media.video_pixels import look_at, upright_view
from faceloom.redacting.painting import Plane
from faceloom.redacting.shapes import Scale2D

_FULL_RANGE = 2
EIGHT_BITS, EIGHT_BITS_FULL, TEN_BITS = "yuv420p", "yuvj420p", "yuv420p10le"
_NAMES = {1: "ITU709", 4: "FCC", 5: "ITU601", 6: "ITU601", 7: "SMPTE240M"}


def format_for(frame: VideoFrame, *, can_be_deep: bool) -> str:
    """How a frame is encoded: 4:2:0, of 8 bits or of 10, of the range that it has."""
    if frame.format.components[0].bits > 8 and can_be_deep:
        return TEN_BITS
    return EIGHT_BITS_FULL if frame.format.name.startswith("yuvj") else EIGHT_BITS


def to_encode(frame: VideoFrame, name: str, *, height: int, width: int) -> VideoFrame:
    """A frame in this format and size that may be written to; an odd side has its last pixels twice.

    What is not in the format yet is converted; of what has no luma of its own the matrix of BT.709 makes one.
    """
    resized = (frame.height + frame.height % 2, frame.width + frame.width % 2) != (height, width)
    given = {"width": width, "height": height} if resized else {}
    if frame.format.name != name or resized:
        matrix = None if has_luma(frame) else "ITU709"
        frame = frame.reformat(format=name, dst_colorspace=matrix, threads=1, **given)
    if (frame.height, frame.width) == (height, width):
        frame.make_writable()
        return frame
    return _padded(frame, height=height, width=width)


def has_luma(frame: VideoFrame) -> bool:
    """Whether a frame's values are luma and differences of colours, or luma alone."""
    return not frame.format.is_rgb and not frame.format.has_palette


def _padded(frame: VideoFrame, *, height: int, width: int) -> VideoFrame:
    padded = VideoFrame(width, height, frame.format.name)
    for there, here in zip(values_of(padded), values_of(frame), strict=True):
        rows, columns = there.shape
        there[...] = np.pad(here, ((0, rows - here.shape[0]), (0, columns - here.shape[1])), mode="edge")
    return padded


def values_of(frame: VideoFrame) -> list[NDArray[Any]]:
    """The planes of a frame (H, W), uint8 or uint16, as they are stored; to be written to if the frame may be."""
    dtype = np.dtype(np.uint8 if frame.format.components[0].bits <= 8 else "<u2")
    return [_values(plane, dtype) for plane in frame.planes]


def _values(plane: VideoPlane, dtype: np.dtype[Any]) -> NDArray[Any]:
    rows = np.frombuffer(memoryview(plane), dtype).reshape(plane.height, plane.line_size // dtype.itemsize)
    return rows[:, : plane.width]


class PlaneMaker:
    """Makes planes of frames; keeps the picture that is laid over faces in their format."""

    def __init__(self, picture: NDArray[np.uint8] | None) -> None:
        """Of a picture (H, W, 4) RGBA, if one is laid over faces."""
        self._picture = picture
        self._stamps: list[NDArray[Any]] | None = None

    def planes(self, frame: VideoFrame, decoded: Decoded) -> list[Plane]:
        """The planes of a frame that is to be encoded, and was made of what the decoder gave."""
        look = look_at(decoded)
        stamps = self._stamps_for(frame)
        bits = frame.format.components[0].bits
        given = decoded.frame
        is_full = frame.format.name == EIGHT_BITS_FULL or (has_luma(given) and given.color_range == _FULL_RANGE)
        made = []
        for number, stored in enumerate(values_of(frame)):
            values = upright_view(decoded, stored)
            rows, columns = values.shape
            black = 0 if is_full else 16
            made.append(
                Plane(
                    values=values,
                    scale=Scale2D(x=columns / look.width, y=rows / look.height),
                    solid=(black if not number else 128) << (bits - 8),
                    stamp=stamps[number] if stamps else None,
                    stamp_alpha=None if self._picture is None else self._picture[..., 3],
                )
            )
        return made

    def _stamps_for(self, frame: VideoFrame) -> list[NDArray[Any]] | None:
        if self._picture is not None and self._stamps is None:
            rgb = VideoFrame.from_ndarray(np.ascontiguousarray(self._picture[..., :3]), "rgb24")
            made = rgb.reformat(
                format=frame.format.name, dst_colorspace=_NAMES.get(int(frame.colorspace), "ITU709"), threads=1
            )
            self._stamps = [values.copy() for values in values_of(made)]
        return self._stamps


def shown(planes: list[Plane], *, longest: int) -> Image:
    """A thumbnail of a frame as it is written: 8-bit RGB, upright, for a page and not for measuring."""
    import cv2

    luma = planes[0].values
    factor = min(1.0, longest / max(luma.shape))
    size = (max(1, round(luma.shape[1] * factor)), max(1, round(luma.shape[0] * factor)))
    small = [cv2.resize(np.ascontiguousarray(plane.values), size, interpolation=cv2.INTER_AREA) for plane in planes]
    shift = 8 if luma.dtype == np.uint8 else 10
    y, u, v = ((np.asarray(one, np.float32) / (1 << (shift - 8))) for one in small)
    y, u, v = (y - 16) * 1.164, u - 128, v - 128
    rgb = np.stack([y + 1.793 * v, y - 0.213 * u - 0.533 * v, y + 2.112 * u], axis=2)
    return np.clip(np.rint(rgb), 0, 255).astype(np.uint8)
