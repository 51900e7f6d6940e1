"""Still pictures of every kind as upright RGB, 8 bits a channel.

JPEG goes through libjpeg-turbo directly, anything else through Pillow, and what Pillow does not know
through OpenCV.
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
from faceloom.media.sources import MAX_PIXELS

_JPEG = b"\xff\xd8\xff"
_EXIF_REACH = 1 << 16
_ORIENTATION_TAG = 0x0112
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


def read_picture(content: bytes, path: Path) -> tuple[Image, str | None]:
    """The picture in a file's content, upright, and what was lost in reading it, if anything.

    Raises:
        MediaError: nothing can be recovered; the message is the reason.
    """
    if not content:
        raise MediaError("the file is empty", path=path)
    if content.startswith(_JPEG):
        return _read_jpeg(content, path)
    try:
        return _read_pillow(content, path), None
    except UnidentifiedImageError:
        return _read_opencv(content, path), None


def _read_jpeg(content: bytes, path: Path) -> tuple[Image, str | None]:
    try:
        height, width, colours, _ = simplejpeg.decode_jpeg_header(content, strict=False)
    except (ValueError, KeyError) as error:
        raise MediaError(f"the JPEG header is damaged: {error}", path=path) from error
    _check_size(height, width, path)
    if colours == "CMYK":
        return _read_pillow(content, path), None
    problem = None
    try:
        image = simplejpeg.decode_jpeg(content, colorspace="RGB")
    except ValueError as error:
        try:
            image = simplejpeg.decode_jpeg(content, colorspace="RGB", strict=False)
        except ValueError:
            raise MediaError(f"the JPEG is damaged: {error}", path=path) from error
        problem = f"the JPEG is damaged ({error}); what could be recovered was used"
    return _upright(image, _jpeg_orientation(content)), problem


def _jpeg_orientation(content: bytes) -> int:
    if b"Exif\0\0" not in content[:_EXIF_REACH]:
        return 1
    try:
        with PillowImage.open(io.BytesIO(content)) as picture:
            return int(picture.getexif().get(_ORIENTATION_TAG, 1))
    except Exception:  # damaged metadata must not cost the picture
        return 1


def _read_pillow(content: bytes, path: Path) -> Image:
    try:
        with PillowImage.open(io.BytesIO(content)) as picture:
            _check_size(picture.height, picture.width, path)
            # Pillow turns TIFFs itself.
            orientation = 1 if picture.format == "TIFF" else int(picture.getexif().get(_ORIENTATION_TAG, 1))
            return _upright(_to_rgb(picture), orientation)
    except (UnidentifiedImageError, MediaError):
        raise
    except PillowImage.DecompressionBombError as error:
        raise MediaError(f"the picture declares too many pixels: {error}", path=path) from error
    except Exception as error:  # Pillow's readers raise what their formats' parsers happen to raise
        raise MediaError(f"the picture is damaged: {error}", path=path) from error


def _to_rgb(picture: PillowImage.Image) -> Image:
    if picture.mode.startswith("I") or picture.mode == "F":
        return _grey_to_rgb(np.asarray(picture))
    if picture.has_transparency_data:
        layers = picture.convert("RGBA")
        paper = PillowImage.new("RGBA", picture.size, "white")
        picture = PillowImage.alpha_composite(paper, layers)
    return np.array(picture.convert("RGB"))


def _grey_to_rgb(values: NDArray[np.generic]) -> Image:
    """Grey of 16 bits, of 32 (which hold 16 as a rule), or floating point from 0 to 1."""
    white = 1.0 if values.dtype.kind == "f" else 65535.0
    grey = np.rint(np.clip(np.nan_to_num(values.astype(np.float64)) / white, 0, 1) * 255).astype(np.uint8)
    return np.repeat(grey[..., None], 3, axis=2)


def _read_opencv(content: bytes, path: Path) -> Image:
    try:
        image = cv2.imdecode(np.frombuffer(content, np.uint8), cv2.IMREAD_COLOR_RGB)
    except cv2.error as error:
        raise MediaError(f"the picture cannot be decoded: {error.err}", path=path) from error
    if image is None:
        raise MediaError("this is no picture that Pillow or OpenCV can read", path=path)
    return np.asarray(image, np.uint8)


def _upright(image: Image, orientation: int) -> Image:
    return np.ascontiguousarray(_UPRIGHT[orientation](image)) if orientation in _UPRIGHT else image


def _check_size(height: int, width: int, path: Path) -> None:
    if height * width > MAX_PIXELS:
        raise MediaError(
            f"the picture declares {width} x {height} pixels, more than the limit of {MAX_PIXELS:,}",
            path=path,
        )
