"""Pages: which of the pictures in one file are frames, and how large the largest is.

Thumbnails, smaller copies of the same picture, and maps that brighten or deepen it are no pages.
"""

import struct
from collections.abc import Iterator
from dataclasses import dataclass
from typing import BinaryIO

from PIL import Image as PillowImage

TIFF = (b"II*\0", b"MM\0*", b"II+\0", b"MM\0+")
"""How TIFFs begin."""
_MOST_PAGES = 1 << 16
_REDUCED_OR_MASK = 0b101
"""TIFF 6.0, section 8, NewSubfileType: a smaller copy of another picture, or a mask."""
_SUBFILE, _WIDTH, _HEIGHT, _ORIENTATION = 254, 256, 257, 274
_SIZES = {1: 1, 3: 2, 4: 4, 13: 4, 16: 8}
_MAPS = ("hdrgm", "hdrgainmap", "hdr-gain-map", "21496")
"""Of Adobe and Google, Apple, and ISO 21496-1: how much brighter than the picture an HDR screen may be."""


@dataclass(frozen=True, slots=True)
class Page:
    """A picture in a file of several."""

    number: int
    """As the file counts."""
    height: int
    width: int
    orientation: int = 1


def tiff_pages(file: BinaryIO) -> list[Page]:
    """The pages of a TIFF that are whole pictures; the first directory if none is said to be."""
    pages: list[Page] = []
    others: list[Page] = []
    for number, tags in enumerate(_directories(file)):
        page = Page(number, tags.get(_HEIGHT, 0), tags.get(_WIDTH, 0), tags.get(_ORIENTATION, 1))
        (others if tags.get(_SUBFILE, 0) & _REDUCED_OR_MASK else pages).append(page)
    return pages or others[:1]


def _directories(file: BinaryIO) -> Iterator[dict[int, int]]:
    """Of each picture directory the tags that are one number (TIFF 6.0, section 2; BigTIFF)."""
    file.seek(0)
    head = file.read(16)
    order = "<" if head[:2] == b"II" else ">"
    is_big = struct.unpack(order + "H", head[2:4])[0] == 43
    place = struct.unpack(order + "Q", head[8:16])[0] if is_big else struct.unpack(order + "I", head[4:8])[0]
    seen: set[int] = set()
    while place and place not in seen and len(seen) < _MOST_PAGES:
        seen.add(place)
        file.seek(place)
        counted = file.read(8 if is_big else 2)
        if len(counted) < (8 if is_big else 2):
            return
        count = struct.unpack(order + ("Q" if is_big else "H"), counted)[0]
        length, entry = (20, "HHQ8s") if is_big else (12, "HHI4s")
        content = file.read(min(count, _MOST_PAGES) * length)
        yield dict(_numbers(content[: len(content) // length * length], order, entry))
        following = file.read(8 if is_big else 4)
        place = struct.unpack(order + ("Q" if is_big else "I"), following)[0] if len(following) >= 4 else 0


def _numbers(entries: bytes, order: str, entry: str) -> Iterator[tuple[int, int]]:
    for tag, kind, count, value in struct.iter_unpack(order + entry, entries):
        if kind in _SIZES and count == 1:
            yield tag, int.from_bytes(value[: _SIZES[kind]], "little" if order == "<" else "big")


def several(picture: PillowImage.Image) -> list[int]:
    """The numbers of the pages of a picture that Pillow has opened, but for TIFF and WebP."""
    if picture.format == "MPO":
        return _mpo_pages(picture)
    if picture.format in {"PNG", "HEIF", "AVIF"}:
        return list(range(min(getattr(picture, "n_frames", 1), _MOST_PAGES)))
    return [0]


def _mpo_pages(picture: PillowImage.Image) -> list[int]:
    """Of a multi-picture JPEG the pictures that are as large as the first, and none that brightens it."""
    first = (picture.size, picture.mode)
    numbers = [0]
    for number in range(1, min(getattr(picture, "n_frames", 1), _MOST_PAGES)):
        try:
            picture.seek(number)
        except (EOFError, OSError, SyntaxError, ValueError):  # reading it says why
            numbers.append(number)
            continue
        is_map = any(mark in str(picture.info).lower() for mark in _MAPS)
        numbers += [number] if (picture.size, picture.mode) == first and not is_map else []
    picture.seek(0)
    return numbers
