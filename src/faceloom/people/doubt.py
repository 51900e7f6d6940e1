"""Doubt: faces that are too poor to tell whose they are.

An identifier answers of every face. Of small, blurred, dark or turned faces its answers are about the picture more than
about the person: they are as alike as those of one person, though nobody else's.
"""

import numpy as np
from numpy.typing import NDArray

LEAST_PX = 24.0
"""What `LEAST_QUALITY` comes to where the quality of a face is not known (measured, docs/people.md)."""


def is_doubtful(qualities: NDArray[np.float64], sizes_px: NDArray[np.float64], *, least: float) -> NDArray[np.bool_]:
    """(N,) which faces say too little of whose they are.

    Args:
        qualities: (N,) 0 to 1; not a number where it is not known.
        sizes_px: (N,) longer sides of their boxes.
        least: the quality from which on a face counts; 0: every face does.
    """
    if least <= 0:
        return np.zeros(len(qualities), np.bool_)
    return np.asarray(np.where(np.isnan(qualities), sizes_px < LEAST_PX, qualities < least), np.bool_)
