"""OpenEXR: the one kind of file that masks are written as: half floats in one channel, compressed by zip.

Source: https://openexr.com/en/latest/OpenEXRFileLayout.html.
"""

import struct
import zlib
from collections.abc import Iterator
from itertools import accumulate

import numpy as np
from numpy.typing import NDArray

_MAGIC, _VERSION = 20000630, 2
_HALF, _ZIP, _INCREASING = 1, 3, 0
_ROWS_OF_BLOCK = 16
"""Of ZIP compression."""


def encode_exr(coverage: NDArray[np.uint8]) -> bytes:
    """A picture (H, W) of coverage 0..255 as an EXR of one channel Y, 0 to 1."""
    height, width = coverage.shape
    rows = (coverage.astype(np.float32) / 255).astype("<f2")
    blocks = [_block(top, rows[top : top + _ROWS_OF_BLOCK]) for top in range(0, height, _ROWS_OF_BLOCK)]
    head = struct.pack("<ii", _MAGIC, _VERSION) + b"".join(_attributes(width, height)) + b"\0"
    first = len(head) + 8 * len(blocks)
    offsets = list(accumulate((len(block) for block in blocks), initial=first))[:-1]
    return head + struct.pack(f"<{len(offsets)}Q", *offsets) + b"".join(blocks)


def _attributes(width: int, height: int) -> Iterator[bytes]:
    channel = b"Y\0" + struct.pack("<iB3xii", _HALF, 0, 1, 1)
    window = struct.pack("<iiii", 0, 0, width - 1, height - 1)
    for name, kind, value in (
        ("channels", "chlist", channel + b"\0"),
        ("compression", "compression", bytes([_ZIP])),
        ("dataWindow", "box2i", window),
        ("displayWindow", "box2i", window),
        ("lineOrder", "lineOrder", bytes([_INCREASING])),
        ("pixelAspectRatio", "float", struct.pack("<f", 1)),
        ("screenWindowCenter", "v2f", struct.pack("<ff", 0, 0)),
        ("screenWindowWidth", "float", struct.pack("<f", 1)),
    ):
        yield name.encode() + b"\0" + kind.encode() + b"\0" + struct.pack("<i", len(value)) + value


def _block(top: int, rows: NDArray[np.floating]) -> bytes:
    """Some lines: their bytes are parted by even and odd, and told as differences, before they are packed."""
    plain = np.frombuffer(rows.tobytes(), np.uint8)
    parted = np.concatenate([plain[::2], plain[1::2]])
    steps = parted.astype(np.int16)
    steps[1:] = (steps[1:] - steps[:-1].copy() + 128) & 0xFF
    packed = zlib.compress(steps.astype(np.uint8).tobytes())
    content = packed if len(packed) < len(plain) else plain.tobytes()  # as the library does, which tells by the length
    return struct.pack("<ii", top, len(content)) + content
