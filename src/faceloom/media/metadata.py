"""What stands beside the pixels in a file: where it is, and the same file without it."""

import struct
from collections.abc import Iterator

_EXIF_OR_XMP = 0xE1
_PROFILE = b"ICC_PROFILE\0"
_PNG = b"\x89PNG\r\n\x1a\n"
_KEPT_OF_PNG = frozenset([b"IHDR", b"PLTE", b"IDAT", b"IEND", b"tRNS", b"acTL", b"fcTL", b"fdAT"])
_DROPPED_OF_WEBP = frozenset([b"EXIF", b"XMP ", b"ICCP"])


def jpeg_segments(content: bytes) -> Iterator[tuple[int, bytes]]:
    """Marker and content of each segment in front of a JPEG's pixels (ITU T.81, B.1.1.4)."""
    return ((marker, content[begin + 4 : end]) for marker, begin, end in _jpeg_places(content))


def _jpeg_places(content: bytes) -> Iterator[tuple[int, int, int]]:
    """Of each segment its marker, where it begins, and where it ends."""
    place = 2
    while place + 4 <= len(content) and content[place] == 0xFF:
        marker = content[place + 1]
        if marker == 0xFF:  # a fill byte
            place += 1
            continue
        if marker == 0xDA:
            return
        end = place + 2 + int.from_bytes(content[place + 2 : place + 4], "big")
        yield marker, place, end
        place = end


def may_tell_orientation(content: bytes) -> bool:
    """Whether a JPEG has EXIF or XMP, however late."""
    return any(marker == _EXIF_OR_XMP for marker, _ in jpeg_segments(content))


def jpeg_profile(content: bytes) -> bytes:
    """The colour profile of a JPEG (ICC.1, B.4), which may take several segments; nothing if there is none."""
    parts = [part for marker, part in jpeg_segments(content) if marker == 0xE2 and part.startswith(_PROFILE)]
    return b"".join(part[len(_PROFILE) + 2 :] for part in sorted(parts, key=lambda part: part[len(_PROFILE)]))


def without_metadata(content: bytes) -> bytes:
    """A JPEG, PNG or WebP without its texts, profiles and EXIF, which may be damaged, or bombs; others as they are."""
    if content.startswith(b"\xff\xd8"):
        return _jpeg_without_metadata(content)
    if content.startswith(_PNG):
        return _PNG + b"".join(chunk for name, chunk in _png_chunks(content) if name in _KEPT_OF_PNG)
    if content[8:12] == b"WEBP":
        kept = b"".join(chunk for name, chunk in _webp_chunks(content) if name not in _DROPPED_OF_WEBP)
        return b"RIFF" + struct.pack("<I", 4 + len(kept)) + b"WEBP" + kept
    return content


def _jpeg_without_metadata(content: bytes) -> bytes:
    kept, last = [content[:2]], 2
    for marker, begin, end in _jpeg_places(content):
        is_metadata = 0xE1 <= marker <= 0xED or marker in {0xEF, 0xFE}  # APP14 tells what the channels mean
        kept += [] if is_metadata else [content[begin:end]]
        last = end
    return b"".join(kept) + content[last:]


def _png_chunks(content: bytes) -> Iterator[tuple[bytes, bytes]]:
    place = len(_PNG)
    while place + 8 <= len(content):
        end = place + 12 + int.from_bytes(content[place : place + 4], "big")
        yield content[place + 4 : place + 8], content[place:end]
        place = end


def _webp_chunks(content: bytes) -> Iterator[tuple[bytes, bytes]]:
    place = 12
    while place + 8 <= len(content):
        length = int.from_bytes(content[place + 4 : place + 8], "little")
        end = place + 8 + length + length % 2
        yield content[place : place + 4], content[place:end]
        place = end
