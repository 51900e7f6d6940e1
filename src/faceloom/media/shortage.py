"""Tells a lack of memory from damage, where a decoder calls both by one name.

libwebp, OpenJPEG, OpenCV and several of FFmpeg's decoders answer a refused allocation with the error of a broken file.
"""

import numpy as np


def raise_if_short(needed_bytes: int) -> None:
    """To be called after a failure whose cause may be a refused allocation.

    Raises:
        MemoryError: this many bytes cannot be had now, so the failure says nothing about the file.
    """
    np.empty(needed_bytes, np.uint8)  # never written to: costs address space for a moment, and no RAM
