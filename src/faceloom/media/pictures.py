"""Still pictures of every kind as upright RGB, 8 bits a channel.

JPEG goes through TurboJPEG, anything else through Pillow, and what Pillow does not know through OpenCV.
"""

import io
from collections.abc import Callable
from pathlib import Path

import cv2
import numpy as np
import simplejpeg
from numpy.typing import NDArray
from PIL import Image as PillowImage
from PIL import UnidentifiedImageError

from faceloom.errors import MediaError
from faceloom.faces import Image
from faceloom.media.headers import SIDEWAYS, look_inside, orientation_of
from faceloom.media.pillow import LIFTED_LIMIT
from faceloom.media.shortage import raise_if_short
from faceloom.media.sources import MAX_PIXELS

_JPEG = b"\xff\xd8\xff"
_EXIF_REACH = 1 << 16
_STRIP_BYTES = 1 << 18
_UNKNOWN_PACKING = 20
"""Bytes that reading may take for each byte of a file whose header tells no shape: a guess."""
# EXIF 2.32, table 6: what the stored picture needs to stand upright.
_UPRIGHT: dict[int, Callable[[Image], Image]] = {
    2: lambda image: image[:, ::-1],
    3: lambda image: image[::-1, ::-1],
    4: lambda image: image[::-1],
    5: lambda image: image.transpose(1, 0, 2),
    6: lambda image: image.transpose(1, 0, 2)[:, ::-1],
    7: lambda image: image.transpose(1, 0, 2)[::-1, ::-1],
    8: lambda image: image.transpose(1, 0, 2)[::-1],
}
_UNDONE_BY = {6: 8, 8: 6}
"""Quarter turns undo each other; everything else undoes itself."""


def read_picture(content: bytes, path: Path) -> tuple[Image, str | None]:
    """The picture in a file's content, upright, and what was lost in reading it, if anything.

    Raises:
        MediaError: nothing can be recovered; the message is the reason.
        MemoryError: there is too little memory to tell; the same call can be made again.
    """
    if not content:
        raise MediaError("the file is empty", path=path)
    try:
        if content.startswith(_JPEG):
            return _read_jpeg(content, path)
        try:
            return _read_pillow(content, path), None
        except UnidentifiedImageError:
            return _read_opencv(content, path), None
    except _UnclearError as error:
        raise_if_short(_reading_bytes(content))
        raise MediaError(str(error), path=path) from error.__cause__


class _UnclearError(Exception):
    """A failure whose cause can be damage or a lack of memory; the message is what to say of the damage."""


def _reading_bytes(content: bytes) -> int:
    shape = look_inside(io.BytesIO(content), len(content))
    return len(content) * _UNKNOWN_PACKING if shape is None else shape.frame_bytes + shape.reading_bytes


def _read_jpeg(content: bytes, path: Path) -> tuple[Image, str | None]:
    try:
        height, width, colours, _ = simplejpeg.decode_jpeg_header(content, strict=False)
    except (ValueError, KeyError) as error:
        _raise_if_libjpeg_was_short(error)
        return _read_unnamed_jpeg(content, path), None
    _check_size(height, width, path)
    if colours == "CMYK":
        return _read_pillow(content, path), None
    problem = None
    try:
        image = simplejpeg.decode_jpeg(content, colorspace="RGB")
    except ValueError as error:
        _raise_if_libjpeg_was_short(error)
        image = _recover_jpeg(content, path, error, shape=(height, width))
        problem = f"the JPEG is damaged ({error}); what could be recovered was used"
    return _upright(image, _jpeg_orientation(content)), problem


def _read_unnamed_jpeg(content: bytes, path: Path) -> Image:
    """A JPEG that is damaged within its header, or sampled in a way that TurboJPEG has no name for."""
    if not _has_scan(content):
        raise _UnclearError("the JPEG is damaged or cut off within its header")
    return _read_pillow(content, path)


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


def _jpeg_orientation(content: bytes) -> int:
    if b"Exif\0\0" not in content[:_EXIF_REACH]:
        return 1
    try:
        with LIFTED_LIMIT, PillowImage.open(io.BytesIO(content)) as picture:
            return orientation_of(picture)
    except MemoryError:
        raise
    except Exception:  # damaged metadata must not cost the picture
        return 1


def _read_pillow(content: bytes, path: Path) -> Image:
    try:
        with LIFTED_LIMIT, PillowImage.open(io.BytesIO(content)) as picture:
            _check_size(picture.height, picture.width, path)
            orientation = orientation_of(picture)
            picture.load()
            return _to_rgb(picture, orientation)
    except (UnidentifiedImageError, MediaError, MemoryError):
        raise
    except Exception as error:  # Pillow's readers raise what their formats' parsers happen to raise
        raise _UnclearError(f"the picture is damaged: {error}") from error


def _to_rgb(picture: PillowImage.Image, orientation: int) -> Image:
    """Upright RGB, made strip by strip: whole copies of a picture would be most of what reading it takes."""
    size = (picture.height, picture.width)
    image = np.empty((*(size[::-1] if orientation in SIDEWAYS else size), 3), np.uint8)
    stored = _UPRIGHT[_UNDONE_BY.get(orientation, orientation)](image) if orientation in _UPRIGHT else image
    rows = max(1, _STRIP_BYTES // (4 * picture.width))
    for top in range(0, picture.height, rows):
        bottom = min(top + rows, picture.height)
        stored[top:bottom] = _strip_to_rgb(picture.crop((0, top, picture.width, bottom)))
    return image


def _strip_to_rgb(strip: PillowImage.Image) -> Image:
    if strip.mode.startswith("I") or strip.mode == "F":
        return _grey_to_rgb(np.asarray(strip))
    if strip.has_transparency_data:
        layers = strip.convert("RGBA")
        paper = PillowImage.new("RGBA", strip.size, "white")
        strip = PillowImage.alpha_composite(paper, layers)
    return np.asarray(strip.convert("RGB"))


def _grey_to_rgb(values: NDArray[np.generic]) -> Image:
    """Grey of 16 bits, of 32 (which hold 16 as a rule), or floating point from 0 to 1."""
    white = 1.0 if values.dtype.kind == "f" else 65535.0
    grey = np.rint(np.clip(np.nan_to_num(values.astype(np.float64)) / white, 0, 1) * 255).astype(np.uint8)
    return np.repeat(grey[..., None], 3, axis=2)


def _read_opencv(content: bytes, path: Path) -> Image:
    try:
        image = cv2.imdecode(np.frombuffer(content, np.uint8), cv2.IMREAD_COLOR_RGB)
    except cv2.error as error:
        raise _UnclearError(f"the picture cannot be decoded: {error.err}") from error
    if image is None:
        raise _UnclearError("this is no picture that Pillow or OpenCV can read")
    return np.asarray(image, np.uint8)


def _upright(image: Image, orientation: int) -> Image:
    return np.ascontiguousarray(_UPRIGHT[orientation](image)) if orientation in _UPRIGHT else image


def _check_size(height: int, width: int, path: Path) -> None:
    if height * width > MAX_PIXELS:
        raise MediaError(
            f"the picture declares {width} x {height} pixels, more than the limit of {MAX_PIXELS:,}",
            path=path,
        )
