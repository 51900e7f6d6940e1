"""Chip files: a JPEG or PNG that carries what is known of its face in its own metadata."""

import json
import struct
import zlib
from collections.abc import Mapping
from enum import StrEnum
from pathlib import Path
from typing import Any

from faceloom.errors import MediaError
from faceloom.faces import Image

JPEG_QUALITY = 95
_KEYWORD = b"faceloom"
_PNG_HEADER_BYTES = 8 + 25  # signature, then the IHDR chunk


class ChipFormat(StrEnum):
    """How chips are written."""

    JPG = "jpg"
    PNG = "png"


def encode_chip(image: Image, chip_format: ChipFormat, metadata: Mapping[str, Any]) -> bytes:
    """The bytes of a chip file: JPEG of quality 95 without chroma subsampling, or PNG."""
    text = json.dumps(metadata, ensure_ascii=True, separators=(",", ":")).encode()
    if chip_format is ChipFormat.JPG:
        return _with_comment(encode_jpeg(image), text)
    import cv2

    _, content = cv2.imencode(".png", image[..., ::-1])
    return _with_text(content.tobytes(), text)


def encode_jpeg(image: Image) -> bytes:
    """JPEG of quality 95 without chroma subsampling."""
    import simplejpeg

    return bytes(simplejpeg.encode_jpeg(image, quality=JPEG_QUALITY, colorspace="RGB", colorsubsampling="444"))


def read_chip_metadata(path: Path) -> dict[str, Any]:
    """What a chip file says of its face.

    Raises:
        MediaError: the file is no chip of ours.
    """
    from PIL import Image as PillowImage

    try:
        with PillowImage.open(path) as picture:
            text = picture.info.get("comment") or picture.info[_KEYWORD.decode()]
        return dict(json.loads(text))
    except (OSError, KeyError, TypeError, ValueError) as error:
        raise MediaError(f"{path} carries no face metadata: {error!r}", path=path) from error


def _with_comment(jpeg: bytes, text: bytes) -> bytes:
    """ITU T.81 B.2.4.5: a COM segment, right after the JFIF header that the encoder writes first."""
    header = 4 + struct.unpack(">H", jpeg[4:6])[0]
    return jpeg[:header] + b"\xff\xfe" + struct.pack(">H", len(text) + 2) + text + jpeg[header:]


def _with_text(png: bytes, text: bytes) -> bytes:
    """PNG specification 11.3.4.3: a tEXt chunk, right after the header."""
    content = b"tEXt" + _KEYWORD + b"\0" + text
    chunk = struct.pack(">I", len(content) - 4) + content + struct.pack(">I", zlib.crc32(content))
    return png[:_PNG_HEADER_BYTES] + chunk + png[_PNG_HEADER_BYTES:]
