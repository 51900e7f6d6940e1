"""Steady: points of a track without what shakes from frame to frame, and without lag."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

_HALF_S = 0.11
"""To either side of a frame, that what is fitted to reaches (measured: docs/tracks.md)."""
_LEAST_HALF = 2
"""Frames to either side, however few there are a second."""
_ORDER = 2


def steady(values: NDArray[np.floating[Any]], times_s: NDArray[np.float64]) -> NDArray[np.float64]:
    """The values of a track, each from a parabola that is fitted to it and to those around it.

    What moves evenly, or evenly faster, stays as it is, so nothing lags behind; the ends are fitted to what there is.

    Args:
        values: (N, ...) of consecutive frames of one shot.
        times_s: (N,) when each frame is, ascending.

    Source:
        Savitzky and Golay 1964, Analytical Chemistry 36(8), by the times of the frames in place of equal steps.
    """
    count = len(values)
    if count <= _ORDER + 1:
        return np.asarray(values, np.float64)
    flat = np.asarray(values, np.float64).reshape(count, -1)
    half = _half(times_s)
    width = min(2 * half + 1, count)
    fitted = np.empty_like(flat)
    for i in range(count):
        first = min(max(0, i - half), count - width)
        offsets = times_s[first : first + width] - times_s[i]
        powers = np.vander(offsets / max(1e-9, float(np.abs(offsets).max())), _ORDER + 1, increasing=True)
        fitted[i] = np.linalg.pinv(powers)[0] @ flat[first : first + width]
    return fitted.reshape(values.shape)


def _half(times_s: NDArray[np.float64]) -> int:
    """How many frames to either side are fitted to."""
    return max(_LEAST_HALF, round(_HALF_S / max(1e-3, float(np.median(np.diff(times_s))))))
