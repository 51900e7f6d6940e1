"""XMP in picture files: reading it, and putting it in, so that every byte of the compressed picture stays as it is.

Sources: Adobe, XMP Specification Part 3 (2020), 1.1.3 (JPEG), 1.1.5 (PNG); WebP Container Specification, 2.7 (`VP8X`).
"""

import io
import struct
import zlib
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path

from PIL import Image as PillowImage

from faceloom.media.jpegs import JPEG, jpeg_orientation
from faceloom.media.metadata import jpeg_segments
from faceloom.media.orientations import orientation_of
from faceloom.media.pages import TIFF, tiff_pages
from faceloom.media.pillow import LIFTED_LIMIT, know_format_of
from faceloom.units import MIB

_PNG = b"\x89PNG\r\n\x1a\n"
_OF_JPEG = b"http://ns.adobe.com/xap/1.0/\0"
_OF_PNG = b"XML:com.adobe.xmp\0"
_BARE = b"\0\0\0\0"
"""Of a PNG's text: not compressed, no method, no language, no translation."""
_MOST_IN_SEGMENT = 0xFFFF - 2 - len(_OF_JPEG)
_HEAD_BYTES = 1 << 16
_MOST_BYTES = 512 * MIB
_XMP_FLAG, _ALPHA_FLAG = 1 << 2, 1 << 4


def orientation_of_file(path: Path) -> int:
    """The EXIF orientation of a picture as reading it finds it; 1 where it cannot be read any more."""
    try:
        content = _read(path)
        if content.startswith(JPEG):
            return jpeg_orientation(content)[0]
        if content.startswith(TIFF):
            return tiff_pages(io.BytesIO(content))[0].orientation
        know_format_of(content[:_HEAD_BYTES])
        with LIFTED_LIMIT, PillowImage.open(path) as picture:
            return orientation_of(picture)[0]
    except MemoryError:
        raise
    except Exception:  # Pillow's readers raise what their formats' parsers happen to raise
        return 1


def _read(path: Path) -> bytes:
    with path.open("rb") as file:
        return file.read(_MOST_BYTES)


def xmp_of(content: bytes) -> bytes | None:
    """The packet of XMP in a JPEG, PNG or WebP; None: there is none, or the file is another one."""
    if content.startswith(JPEG):
        found = (part for marker, part in jpeg_segments(content) if marker == 0xE1 and part.startswith(_OF_JPEG))
        return next((part[len(_OF_JPEG) :] for part in found), None)
    if content.startswith(_PNG):
        texts = (chunk[8:-4] for name, chunk in _png_chunks(content) if name == b"iTXt")
        return next((_untold(text) for text in texts if text.startswith(_OF_PNG)), None)
    if content[8:12] == b"WEBP":
        return next((chunk for name, chunk in _webp_chunks(content) if name == b"XMP "), None)
    return None


def _untold(text: bytes) -> bytes:
    """The text of a PNG's chunk."""
    rest = text[len(_OF_PNG) :]
    is_compressed, rest = bool(rest[:1] == b"\1"), rest[2:]
    packet = rest.split(b"\0", 2)[2]
    return zlib.decompressobj().decompress(packet, 16 * MIB) if is_compressed else packet


def with_xmp(content: bytes, packet: bytes) -> bytes | None:
    """The same file with this packet in place of the one that it has; None where that is not known of its format.

    Raises:
        ValueError: the packet is too large for the format, or the file is not whole.
    """
    for is_one, put in _WRITERS.items():
        if is_one(content):
            return put(content, packet)
    return None


def _into_jpeg(content: bytes, packet: bytes) -> bytes:
    """After the segments that have to come first, or where the packet was."""
    if len(packet) > _MOST_IN_SEGMENT:
        raise ValueError(f"its XMP would have {len(packet):,} bytes, more than a segment of a JPEG holds")
    segment = b"\xff\xe1" + struct.pack(">H", 2 + len(_OF_JPEG) + len(packet)) + _OF_JPEG + packet
    place, put, is_in = 2, [content[:2]], False
    for marker, begin, end in _jpeg_places(content):
        part = content[begin:end]
        if marker == 0xE1 and part[4:].startswith(_OF_JPEG):
            put += [] if is_in else [segment]
            is_in = True
        else:
            if not is_in and marker not in {0xE0, 0xE1}:
                put.append(segment)
                is_in = True
            put.append(part)
        place = end
    return b"".join([*put, *([] if is_in else [segment]), content[place:]])


def _jpeg_places(content: bytes) -> Iterator[tuple[int, int, int]]:
    place = 2
    for marker, part in jpeg_segments(content):
        while content[place + 1] == 0xFF:  # fill bytes stay with the segment that they stand before
            place += 1
        end = place + 4 + len(part)
        yield marker, place, end
        place = end


def _into_png(content: bytes, packet: bytes) -> bytes:
    """In front of the pixels, or where the packet was."""
    body = b"iTXt" + _OF_PNG + _BARE + packet
    chunk = struct.pack(">I", len(body) - 4) + body + struct.pack(">I", zlib.crc32(body))
    put, is_in, end = [_PNG], False, len(_PNG)
    for name, part in _png_chunks(content):
        is_old = name == b"iTXt" and part[8:].startswith(_OF_PNG)
        if not is_in and (is_old or name == b"IDAT"):
            put.append(chunk)
            is_in = True
        put += [] if is_old else [part]
        end += len(part)
    if not is_in:
        raise ValueError("the PNG has no pixels")
    return b"".join([*put, content[end:]])


def _png_chunks(content: bytes) -> Iterator[tuple[bytes, bytes]]:
    """Name and all bytes of each chunk."""
    place = len(_PNG)
    while place + 12 <= len(content):
        end = place + 12 + int.from_bytes(content[place : place + 4], "big")
        if end > len(content):
            return
        yield content[place + 4 : place + 8], content[place:end]
        place = end


def _into_webp(content: bytes, packet: bytes) -> bytes:
    """At the end, with a header that says so."""
    chunks = [(name, part) for name, part in _webp_chunks(content) if name != b"XMP "]
    if not chunks:
        raise ValueError("the WebP has no picture")
    if chunks[0][0] != b"VP8X":
        chunks.insert(0, (b"VP8X", _webp_header(*chunks[0])))
    header = bytearray(chunks[0][1])
    header[0] |= _XMP_FLAG
    chunks[0] = (b"VP8X", bytes(header))
    body = b"".join(
        name + struct.pack("<I", len(part)) + part + b"\0" * (len(part) % 2)
        for name, part in [*chunks, (b"XMP ", packet)]
    )
    return b"RIFF" + struct.pack("<I", 4 + len(body)) + b"WEBP" + body


def _webp_header(name: bytes, part: bytes) -> bytes:
    """The extended header of a picture that has none (RFC 6386, 9.1; WebP Lossless Bitstream, 2)."""
    if name == b"VP8L":
        bits = int.from_bytes(part[1:5], "little")
        width, height, flags = bits & 0x3FFF, bits >> 14 & 0x3FFF, _ALPHA_FLAG * (bits >> 28 & 1)
    else:
        width, height = (struct.unpack_from("<H", part, place)[0] - 1 & 0x3FFF for place in (6, 8))
        flags = 0
    return bytes([flags, 0, 0, 0]) + width.to_bytes(3, "little") + height.to_bytes(3, "little")


def _webp_chunks(content: bytes) -> Iterator[tuple[bytes, bytes]]:
    """Name and content of each chunk."""
    place = 12
    while place + 8 <= len(content):
        length = int.from_bytes(content[place + 4 : place + 8], "little")
        yield content[place : place + 4], content[place + 8 : place + 8 + length]
        place += 8 + length + length % 2


_WRITERS: Mapping[Callable[[bytes], bool], Callable[[bytes, bytes], bytes]] = {
    lambda content: content.startswith(JPEG): _into_jpeg,
    lambda content: content.startswith(_PNG): _into_png,
    lambda content: content[8:12] == b"WEBP": _into_webp,
}
