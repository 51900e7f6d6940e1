"""JPEGs, by TurboJPEG: as stored, with what can be recovered where they are damaged."""

import io
from pathlib import Path

import numpy as np
import simplejpeg
from PIL import Image as PillowImage

from faceloom.errors import MediaError
from faceloom.faces import Image
from faceloom.media.metadata import may_tell_orientation
from faceloom.media.orientations import orientation_of
from faceloom.media.pillow import LIFTED_LIMIT
from faceloom.units import MAX_PIXELS

JPEG = b"\xff\xd8\xff"


class UnclearError(Exception):
    """A failure whose cause can be damage or a lack of memory; the message is what to say of the damage."""


def decode_jpeg(content: bytes, path: Path) -> tuple[Image, str | None] | None:
    """The picture as it is stored, and what was lost in reading it, if anything; None for one that is Pillow's.

    Raises:
        MediaError: nothing can be recovered.
        UnclearError: likewise, or memory was short.
    """
    try:
        height, width, colours, _ = simplejpeg.decode_jpeg_header(content, strict=False)
    except (ValueError, KeyError) as error:
        _raise_if_libjpeg_was_short(error)
        if not _has_scan(content):
            raise UnclearError("the JPEG is damaged or cut off within its header") from error
        return None  # sampled in a way that TurboJPEG has no name for
    check_size(height, width, path)
    if colours in {"CMYK", "YCCK"}:
        return None
    try:
        return simplejpeg.decode_jpeg(content, colorspace="RGB"), None
    except ValueError as error:
        _raise_if_libjpeg_was_short(error)
        image = _recover_jpeg(content, path, error, shape=(height, width))
        return image, f"the JPEG is damaged ({error}); what could be recovered was used"


def jpeg_orientation(content: bytes) -> tuple[int, bool]:
    """How a JPEG has to be turned, and whether what tells it is whole."""
    if not may_tell_orientation(content):
        return 1, True
    try:
        with LIFTED_LIMIT, PillowImage.open(io.BytesIO(content)) as picture:
            return orientation_of(picture)
    except MemoryError:
        raise
    except Exception:  # damaged metadata must not cost the picture
        return 1, False


def check_size(height: int, width: int, path: Path) -> None:
    """Refuses a picture that declares too many pixels.

    Raises:
        MediaError: it does.
    """
    if height * width > MAX_PIXELS:
        raise MediaError(
            f"the picture declares {width} x {height} pixels, more than the limit of {MAX_PIXELS:,}",
            path=path,
        )


def _has_scan(content: bytes) -> bool:
    """Whether Pillow finds a way through the header to the pixels."""
    try:
        with LIFTED_LIMIT, PillowImage.open(io.BytesIO(content)) as picture:
            return bool(picture.tile)
    except MemoryError:
        raise
    except Exception:  # Pillow's readers raise what their formats' parsers happen to raise
        return False


def _recover_jpeg(content: bytes, path: Path, problem: ValueError, *, shape: tuple[int, int]) -> Image:
    image = np.zeros((*shape, 3), np.uint8)
    try:
        simplejpeg.decode_jpeg(content, colorspace="RGB", strict=False, buffer=image)
    except ValueError as error:
        _raise_if_libjpeg_was_short(error)
        raise MediaError(f"the JPEG is damaged: {problem}", path=path) from error
    if not image.any():  # libjpeg gave up in front of the first row, which is said to nobody
        raise MediaError(f"the JPEG is damaged: {problem}", path=path) from problem
    return image


def _raise_if_libjpeg_was_short(error: Exception) -> None:
    if "memory" in str(error).lower():  # libjpeg-turbo, jerror.h, JERR_OUT_OF_MEMORY, and its own allocations
        raise MemoryError(str(error)) from error
