"""Chip files: a JPEG, PNG or WebP that carries what is known of its face in its own metadata."""

import io
import json
import os
import struct
import warnings
import zlib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from faceloom.choices import Border, ChipFormat, Subsampling
from faceloom.errors import MediaError
from faceloom.faces import Image

QUALITY = 95
"""Of JPEG and WebP."""
_KEYWORD = b"faceloom"
_PNG_HEADER_BYTES = 8 + 25  # signature, then the IHDR chunk
_PNG_END = b"\0\0\0\0IEND\xaeB`\x82"
"""PNG specification 11.2.5: the last chunk, which is empty."""
_HEAD_BYTES = 12
_IMAGE_DESCRIPTION = 0x010E
"""Exif 2.32, 4.6.4: the text that viewers show with a picture."""
_ASCII = 2
_BEHIND_DIRECTORY = 8 + 2 + 12 + 4
"""Bytes of a TIFF's header, and of a directory with one entry."""
_BYTES_A_PIXEL = {ChipFormat.JPG: 15, ChipFormat.PNG: 16, ChipFormat.WEBP: 27}
"""Held for a moment: the chip, its copy with a fourth channel, where the frame ends in it, and what the encoder takes
at most (measured).
"""
_BYTES_A_TRANSPARENT_PIXEL = 8
"""What the encoder takes besides for a fourth channel (measured)."""


def writing_bytes(chip_format: ChipFormat, *, size: int, border: Border | None = None) -> int:
    """What cutting and encoding a chip takes for a moment, at most, besides the patch."""
    opacity = _BYTES_A_TRANSPARENT_PIXEL if border is Border.TRANSPARENT else 0
    return (_BYTES_A_PIXEL[chip_format] + opacity) * size**2


def encode_chip(
    image: NDArray[np.uint8],
    chip_format: ChipFormat,
    metadata: Mapping[str, Any],
    *,
    subsampling: Subsampling = Subsampling.NONE,
) -> bytes:
    """The bytes of a chip file: JPEG or WebP of quality 95, or PNG.

    The image is (S, S, 3) RGB, or (S, S, 4) with opacity for a PNG or a WebP.
    """
    text = json.dumps(metadata, ensure_ascii=True, separators=(",", ":"))
    match chip_format:
        case ChipFormat.JPG:
            return _with_exif(encode_jpeg(image, subsampling), _exif(text))
        case ChipFormat.PNG:
            return _with_text(encode_png(image), text.encode())
        case ChipFormat.WEBP:
            return _encode_webp(image, _exif(text))


def encode_png(image: NDArray[np.uint8]) -> bytes:
    """PNG, of RGB or of RGB with opacity."""
    import cv2

    _, content = cv2.imencode(".png", image[..., ::-1] if image.shape[2] == 3 else image[..., [2, 1, 0, 3]])
    return bytes(content.tobytes())


def _encode_webp(image: NDArray[np.uint8], exif: bytes) -> bytes:
    from PIL import Image as PillowImage

    file = io.BytesIO()
    PillowImage.fromarray(image).save(file, "WEBP", quality=QUALITY, exif=exif)
    return file.getvalue()


def encode_jpeg(image: Image, subsampling: Subsampling = Subsampling.NONE) -> bytes:
    """JPEG of quality 95."""
    import simplejpeg

    return bytes(simplejpeg.encode_jpeg(image, quality=QUALITY, colorspace="RGB", colorsubsampling=subsampling.value))


def read_chip_metadata(path: Path) -> dict[str, Any]:
    """What a chip file says of its face.

    Raises:
        MediaError: the file is no chip of ours.
    """
    from PIL import Image as PillowImage
    from PIL import UnidentifiedImageError

    try:
        # What Pillow warns of is a damaged file.
        with warnings.catch_warnings(action="error"), PillowImage.open(path) as picture:
            # Chips of before had a comment, or a text chunk of Latin-1.
            text = picture.info.get(_KEYWORD.decode()) or picture.getexif().get(_IMAGE_DESCRIPTION)
            text = text or picture.info["comment"]
        return dict(json.loads(text))
    except UnidentifiedImageError as error:
        raise MediaError(f"{path} is no picture that can be read", path=path) from error
    except KeyError as error:  # no place of the file has a text
        raise MediaError(f"{path} is no chip of faceloom: it says nothing of a face", path=path) from error
    except (
        OSError, TypeError, ValueError, SyntaxError, struct.error, Warning, PillowImage.DecompressionBombError
    ) as error:  # fmt: skip
        why = f"what it says of itself cannot be read ({error})"
        raise MediaError(f"{path} is no chip of faceloom, or a damaged one: {why}", path=path) from error


def is_whole(path: Path) -> bool:
    """Whether a chip file is there and ends as its format ends; what is in between is not read."""
    try:
        with path.open("rb", buffering=0) as file:
            head = file.read(_HEAD_BYTES)
            size = file.seek(0, os.SEEK_END)
            file.seek(max(0, size - len(_PNG_END)))
            tail = file.read()
    except OSError:
        return False
    if head.startswith(b"RIFF"):
        return int.from_bytes(head[4:8], "little") + 8 == size and tail.strip(b"\0") != b""
    return tail == _PNG_END if head.startswith(b"\x89PNG") else head[:2] == b"\xff\xd8" and tail[-2:] == b"\xff\xd9"


def _exif(text: str) -> bytes:
    """A block of Exif whose only entry is a text of ASCII, as JPEG has it.

    Exif 2.32, 4.5 and 4.6.2: a TIFF of one directory; a text of more than four bytes lies behind it. Byte for byte what
    Pillow writes, which takes its module for TIFF and four times as long.
    """
    content = text.encode("ascii") + b"\0"
    value = content.ljust(4, b"\0") if len(content) <= 4 else struct.pack(">I", _BEHIND_DIRECTORY)
    entry = struct.pack(">HHI", _IMAGE_DESCRIPTION, _ASCII, len(content)) + value
    behind = b"" if len(content) <= 4 else content + b"\0" * (len(content) % 2)
    return b"Exif\0\0MM\0*" + struct.pack(">IH", 8, 1) + entry + bytes(4) + behind


def _with_exif(jpeg: bytes, exif: bytes) -> bytes:
    """Exif 2.32, 4.7.2: an APP1 segment, here right after the JFIF header that the encoder writes first."""
    header = 4 + struct.unpack(">H", jpeg[4:6])[0]
    return jpeg[:header] + b"\xff\xe1" + struct.pack(">H", len(exif) + 2) + exif + jpeg[header:]


def _with_text(png: bytes, text: bytes) -> bytes:
    """PNG specification 11.3.4.5: an iTXt chunk, uncompressed and of no language, right after the header."""
    content = b"iTXt" + _KEYWORD + b"\0\0\0\0\0" + text
    chunk = struct.pack(">I", len(content) - 4) + content + struct.pack(">I", zlib.crc32(content))
    return png[:_PNG_HEADER_BYTES] + chunk + png[_PNG_HEADER_BYTES:]
