"""Places as shares of a frame, for formats that tell them so: 0 is its left or upper edge, 1 the other."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from faceloom.formats.names import known_size
from faceloom.formats.record import FaceRecord, FrameRecord
from faceloom.geometry.affine import Points

_DIGITS = 6
_MIDDLE = 0.5
"""Our pixels are points at their middles, the first at 0: the edge of a frame is half a pixel before it."""


def shares_of(points: Points, frame: FrameRecord) -> NDArray[np.float64]:
    """Points (K, 2) as shares of the frame, those beyond it on its edge."""
    return np.clip((points.astype(np.float64) + _MIDDLE) / known_size(frame), 0, 1).round(_DIGITS)


def box_shares(face: FaceRecord, frame: FrameRecord) -> tuple[float, float, float, float]:
    """Left, top, width and height of a box, clipped to the frame."""
    (x0, y0), (x1, y1) = shares_of(face.box.reshape(2, 2), frame).tolist()
    return x0, y0, round(x1 - x0, _DIGITS), round(y1 - y0, _DIGITS)


def clipped(box: NDArray[np.float32], frame: FrameRecord) -> NDArray[np.float64]:
    """A box (4) in pixels, clipped to the frame if its size is known."""
    wide = box.astype(np.float64)
    if frame.width is None or frame.height is None:
        return wide
    most = np.array([frame.width, frame.height] * 2, np.float64) - _MIDDLE
    return np.clip(wide, -_MIDDLE, most)


def numbers_in_words(values: Any) -> str:
    """Numbers with spaces between, without more zeros than they need."""
    return " ".join(f"{value:.{_DIGITS}f}".rstrip("0").rstrip(".") for value in values)
