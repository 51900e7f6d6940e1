"""Signatures: a frame shrunk to so few pixels that only a cut changes all of it."""

from faceloom.faces import Image
from faceloom.tracking.cuts import Signature

_SIZE = (32, 18)
"""Width and height."""


def signature_of(image: Image) -> Signature:
    """(18, 32, 3) the mean colours of as many parts of a frame."""
    import cv2
    import numpy as np

    return np.asarray(cv2.resize(image, _SIZE, interpolation=cv2.INTER_AREA), np.uint8)
