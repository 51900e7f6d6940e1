"""How a stored picture has to be laid to stand upright, as EXIF and XMP say it."""

from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image as PillowImage

from faceloom.faces import Image
from faceloom.media.notes import Note

SIDEWAYS = frozenset([5, 6, 7, 8])
"""EXIF orientations whose upright picture is as wide as the stored one is high."""

_MIRRORED = frozenset([2, 4, 5, 7])
_TAG = 0x0112
# EXIF 2.32, table 6: what the stored picture needs to stand upright.
_UPRIGHT: dict[int, Callable[[NDArray[Any]], NDArray[Any]]] = {
    2: lambda image: image[:, ::-1],
    3: lambda image: image[::-1, ::-1],
    4: lambda image: image[::-1],
    5: lambda image: image.swapaxes(0, 1),
    6: lambda image: image.swapaxes(0, 1)[:, ::-1],
    7: lambda image: image.swapaxes(0, 1)[::-1, ::-1],
    8: lambda image: image.swapaxes(0, 1)[::-1],
}
_UNDONE_BY = {6: 8, 8: 6}
"""Quarter turns undo each other; everything else undoes itself."""


def orientation_of(picture: PillowImage.Image) -> tuple[int, bool]:
    """How a picture that Pillow has opened has to be turned once it is loaded, and whether what tells it is whole."""
    if picture.format == "TIFF":  # Pillow turns them itself
        return 1, True
    if picture.format == "JXL" and not getattr(picture, "jpeg", True):  # the decoder has: ISO/IEC 18181-2, 9.5
        return 1, True
    try:
        return int(picture.getexif().get(_TAG, 1)), True
    except MemoryError:
        raise
    except Exception:  # damaged metadata must not cost the picture
        return 1, False


def orientation_in(exif: bytes) -> int:
    """The same from EXIF alone; 1 where it is damaged."""
    try:
        told = PillowImage.Exif()
        told.load(exif)
        return int(told.get(_TAG, 1))
    except MemoryError:
        raise
    except Exception:  # as above
        return 1


def upright(image: Image, orientation: int) -> Image:
    """A stored picture upright."""
    return np.ascontiguousarray(_UPRIGHT[orientation](image)) if orientation in _UPRIGHT else image


def upright_view(stored: NDArray[Any], orientation: int) -> NDArray[Any]:
    """A stored picture, or one channel of it, as it stands upright: a view, to be written to."""
    return _UPRIGHT[orientation](stored) if orientation in _UPRIGHT else stored


def as_stored(image: Image, orientation: int) -> Image:
    """A view of an upright picture, to be written to, that lies as the stored one."""
    return _UPRIGHT[_UNDONE_BY.get(orientation, orientation)](image) if orientation in _UPRIGHT else image


def notes_on(orientation: int) -> tuple[Note, ...]:
    """What is done to a picture of an orientation."""
    if orientation in _MIRRORED:
        return (Note.MIRRORED,)
    return (Note.TURNED,) if orientation in _UPRIGHT else ()
