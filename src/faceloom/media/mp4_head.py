"""What of an MP4 or QuickTime file is not pictures or sound: its index, which tells where those are (ISO 14496-12)."""

import struct
from collections.abc import Callable

from faceloom.errors import MediaError
from faceloom.media.parts import ByteRange

SUFFIXES = frozenset([".mp4", ".mov", ".m4v", ".qt", ".3gp", ".3g2"])
_MOST_BOXES = 256
_MOST_BYTES = 128 << 20
"""Of an index: that of ten hours at 60 frames a second, with sound, takes 60 MB."""
_HEAD_BYTES = 16
_CONTENT = b"mdat"
_INDEX = b"moov"
_FRAGMENT = frozenset([b"moof", b"mfra", b"sidx"])
_HAS_FRAGMENTS = b"mvex"


def find_head(read: Callable[[int, int], bytes], size_bytes: int) -> tuple[ByteRange, ...]:
    """Where everything but pictures and sound lies in a file, in order.

    Args:
        read: gives the bytes from one place to another.
        size_bytes: of the file.

    Raises:
        MediaError: the file is none of this kind, or its index is not in one place.
    """
    ranges: list[ByteRange] = []
    at, has_index = 0, False
    for _ in range(_MOST_BOXES):
        if at + 8 > size_bytes:
            break
        length, kind, header = _box(read(at, min(size_bytes, at + _HEAD_BYTES)), size_bytes - at)
        if kind in _FRAGMENT:
            raise MediaError("its index is spread over the file")
        if at + length > size_bytes:
            raise MediaError("it ends before its index says so")
        ranges.append((at, at + (header if kind == _CONTENT else length)))
        if sum(end - begin for begin, end in ranges) > _MOST_BYTES:
            raise MediaError(f"its index takes more than {_MOST_BYTES:,} bytes")
        if kind == _INDEX:
            has_index = True
            if _HAS_FRAGMENTS in read(at, at + length):
                raise MediaError("its index is spread over the file")
        at += length
    if not has_index:
        raise MediaError("it has no index")
    return tuple(ranges)


def _box(head: bytes, left: int) -> tuple[int, bytes, int]:
    """Length, kind and length of the header of a box; one that states no length goes on to the end."""
    length, kind = struct.unpack(">I4s", head[:8])
    header = 8
    if length == 1 and len(head) == _HEAD_BYTES:
        (length,) = struct.unpack(">Q", head[8:])
        header = 16
    if length == 0:
        length = left
    if length < header or not kind.isascii():
        raise MediaError("it is no file of boxes")
    return length, kind, header
