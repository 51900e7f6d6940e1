"""The shape of a picture by its header, and how much memory reading a picture or a video takes.

The factors were measured (`tests/media/test_reading_bytes.py` holds them): the peak of a process that reads, less
what it held before. Decoders work on whole pictures, so nearly all of it grows with the pixels.
"""

import re
import stat
import struct
from collections.abc import Iterator
from typing import BinaryIO

from PIL import Image as PillowImage
from PIL import JpegImagePlugin

from faceloom.media.pillow import LIFTED_LIMIT
from faceloom.media.sources import Shape, Source
from faceloom.units import MIB

SIDEWAYS = frozenset([5, 6, 7, 8])
"""EXIF orientations whose upright picture is as wide as the stored one is high."""

_CHANNELS = 3
_ORIENTATION_TAG = 0x0112
_HEAD_BYTES = 1 << 16
_STEP_BYTES = 1 * MIB
"""To which the bytes of reading are rounded up: a million pictures of one size have a few shapes, and not a million."""


def look(source: Source) -> Shape | None:
    """The shape of a picture by its header alone; None where the header tells none.

    What is no regular file, cannot be opened, or is known to neither Pillow nor `_HEADS` gives None: reading it says
    why, or how large it is.

    Raises:
        MemoryError: there is too little memory for a look.
    """
    try:
        state = source.path.stat()
        if not stat.S_ISREG(state.st_mode):  # opening a pipe would wait for its other end
            return None
        with source.path.open("rb") as file:
            return look_inside(file, state.st_size)
    except OSError:
        return None


def look_inside(file: BinaryIO, size_bytes: int) -> Shape | None:
    """The shape of the picture in an open file of this size, by its header alone.

    Raises:
        MemoryError: there is too little memory for a look.
    """
    try:
        head = file.read(_HEAD_BYTES)
        file.seek(0)
        found = _webp(file) if head[8:12] == b"WEBP" else _declared(head) or _pillow(file)
    except MemoryError:
        raise
    except Exception:  # Pillow's readers raise what their formats' parsers happen to raise
        return None
    height, width, factor = found
    reading_bytes = size_bytes + round(factor * _frame_bytes(height, width)) + _FIXED_BYTES
    return Shape(height, width, -(-reading_bytes // _STEP_BYTES) * _STEP_BYTES)


def orientation_of(picture: PillowImage.Image) -> int:
    """How a picture that Pillow has opened has to be turned once it is loaded, as an EXIF orientation."""
    # Pillow turns TIFFs itself.
    return 1 if picture.format == "TIFF" else int(picture.getexif().get(_ORIENTATION_TAG, 1))


def video_reading_bytes(
    height: int, width: int, *, codec: str = "", level: int | None = None, bits_a_pixel: int = 12
) -> int:
    """Bytes that reading a frame of a video takes on top of the frame itself, at most, with one decoding thread.

    Args:
        height: of the frames.
        width: of the frames.
        codec: FFmpeg's name of it; of one that is not known the most is believed.
        level: as the stream states it, in its codec's numbers; None or less than 1 if it does not.
        bits_a_pixel: of a decoded picture, 12 for 8 bits and 4:2:0.
    """
    pixels = height * width
    known = level if level and level > 0 else None
    match codec:
        case "h264":
            held = _h264_references(pixels, known)
        case "hevc":
            held = _hevc_references(pixels, known)
        case _:
            held = _REFERENCES.get(codec, _MOST_REFERENCES)
    pictures = (held + _PICTURES_BESIDES) * pixels * bits_a_pixel // 8
    return pictures + _frame_bytes(height, width) + _VIDEO_FIXED_BYTES


def _h264_references(pixels: int, level: int | None) -> int:
    """Reference pictures that a level allows: ITU-T H.264, A.3.1 and table A-1 (MaxDpbMbs)."""
    buffer = next(
        (blocks for most, blocks in _H264_BUFFERS if level is not None and level <= most), _H264_BUFFERS[-1][1]
    )
    return max(1, min(_MOST_REFERENCES, buffer * 256 // max(1, pixels)))


def _hevc_references(pixels: int, level: int | None) -> int:
    """Reference pictures that a level allows: ITU-T H.265, A.4.2 and table A.8 (MaxLumaPs, MaxDpbSize)."""
    largest = _limit(_HEVC_SIZES, level)
    for share, held in ((4, 16), (2, 12)):
        if pixels * share <= largest:
            return held
    return 8 if pixels * 4 <= largest * 3 else 6


def _limit(limits: tuple[tuple[int, int], ...], level: int | None) -> int:
    """What the first level at or above this one allows; of a level that is not known the most."""
    return next((limit for most, limit in limits if level is not None and level <= most), limits[-1][1])


# Levels in the numbers that the streams use, ten times and thirty times the level's name.
_H264_BUFFERS = (
    (10, 396),
    (11, 900),
    (20, 2_376),
    (21, 4_752),
    (30, 8_100),
    (31, 18_000),
    (32, 20_480),
    (41, 32_768),
    (42, 34_816),
    (50, 110_400),
    (52, 184_320),
    (62, 696_320),
)
_HEVC_SIZES = (
    (30, 36_864),
    (60, 122_880),
    (63, 245_760),
    (90, 552_960),
    (93, 983_040),
    (123, 2_228_224),
    (156, 8_912_896),
    (186, 35_651_584),
)
_MOST_REFERENCES = 16
_REFERENCES = {
    "vp8": 3,
    "vp9": 8,
    "av1": 8,
    "libdav1d": 8,
    "libvpx-vp9": 8,
    "mpeg1video": 2,
    "mpeg2video": 2,
    "mpeg4": 2,
    "h263": 2,
    "mjpeg": 1,
    "gif": 2,
}
_PICTURES_BESIDES = 5  # measured: the one being decoded, those that wait for their turn, edges beyond the picture
_VIDEO_FIXED_BYTES = 8 * MIB  # measured: tables, packets, what the demuxer reads ahead
_FIXED_BYTES = 4 * MIB  # measured: strips, tables, buffers

# In units of the frame, on top of the frame and the file's content, measured.
_JPEG = 0.05  # decoded a row of blocks at a time, into the frame
_JPEG_COEFFICIENT = 2 / 3  # libjpeg keeps 16 bits for each sample of a picture that comes in several scans
_SAMPLINGS = frozenset([(1, 1), (2, 1), (2, 2), (1, 2), (4, 1)])
_TURN = 1.05  # a JPEG is copied to stand upright
_PILLOW = 1.45  # Pillow's own copy has four bytes a pixel
_PILLOW_LESS_FRAME = 0.4  # the same copy, while there is no frame yet
_PILLOW_BY_FORMAT = {
    **dict.fromkeys(("BMP", "MPO", "PCX", "PNG", "PPM", "SUN", "TGA"), _PILLOW),
    "JPEG2000": 5.8,  # OpenJPEG has 32 bits for each sample
    "TIFF": 1.8,  # two copies while Pillow turns one
}
_PILLOW_OTHERWISE = 3.0  # decoders in Python hold the pixels as bytes besides; more than any that was measured
_WEBP = 5.2  # two canvases, the decoder's own, the bytes of the frame and Pillow's copy
_OPENCV = 4.1  # three floats a pixel


def _frame_bytes(height: int, width: int) -> int:
    return height * width * _CHANNELS


def _pillow(file: BinaryIO) -> tuple[int, int, float]:
    with LIFTED_LIMIT, PillowImage.open(file) as picture:
        height, width = picture.height, picture.width
        if isinstance(picture, JpegImagePlugin.JpegImageFile):
            has_scans = "progressive" in picture.info or not _is_one_scan(file, len(picture.layer))
            orientation = _readable_orientation(picture)
            factor = _jpeg_factor(picture, has_scans=has_scans, is_turned=orientation != 1)
        else:
            # Pillow looks for a PNG's orientation behind the pixels too, which it would have to decode.
            is_known = picture.format != "PNG" or "exif" in picture.info
            orientation = orientation_of(picture) if is_known else 1
            factor = _PILLOW_BY_FORMAT.get(picture.format or "", _PILLOW_OTHERWISE)
    return (width, height, factor) if orientation in SIDEWAYS else (height, width, factor)


def _readable_orientation(picture: PillowImage.Image) -> int:
    try:
        return orientation_of(picture)
    except MemoryError:
        raise
    except Exception:  # damaged metadata must not cost the picture
        return 1


def _is_one_scan(file: BinaryIO, components: int) -> bool:
    """Whether the scan in front of whose data Pillow stopped reading has all components (ITU T.81 B.2.3)."""
    length = 6 + 2 * components
    file.seek(file.tell() - length)
    return file.read(3) == struct.pack(">HB", length, components)


def _jpeg_factor(picture: JpegImagePlugin.JpegImageFile, *, has_scans: bool, is_turned: bool) -> float:
    areas = [across * down for _, across, down, _ in picture.layer]
    coefficients = sum(areas) / max(areas) * _JPEG_COEFFICIENT if has_scans else 0.0
    if picture.mode == "CMYK" or not _is_sampled_as_usual(picture):
        return max(_PILLOW, _PILLOW_LESS_FRAME + coefficients)
    return max(_JPEG + coefficients, _TURN if is_turned else 0.0)


def _is_sampled_as_usual(picture: JpegImagePlugin.JpegImageFile) -> bool:
    """Whether TurboJPEG surely has a name for how the components are sampled; Pillow reads the others."""
    (_, across, down, _), *colours = picture.layer
    return not colours or ((across, down) in _SAMPLINGS and all(layer[1:3] == (1, 1) for layer in colours))


# What Pillow does not know.
_HEADS = (
    re.compile(rb"\A#\?.{0,4096}?\n-Y (?P<height>\d+) \+X (?P<width>\d+)\n", re.DOTALL),  # Radiance
    re.compile(rb"\APF\s+(?P<width>\d+)\s+(?P<height>\d+)\s"),  # portable float map, in colour
)


def _declared(head: bytes) -> tuple[int, int, float] | None:
    for pattern in _HEADS:
        if found := pattern.match(head):
            return int(found["height"]), int(found["width"]), _OPENCV
    return None


def _webp(file: BinaryIO) -> tuple[int, int, float]:
    """By RFC 9649, section 2: Pillow opens a WebP by making room for all of its pixels."""
    height = width = 0
    orientation = 1
    for name, content in _riff_chunks(file):
        if name == b"VP8X":
            width, height = (int.from_bytes(content[i : i + 3], "little") + 1 for i in (4, 7))
        elif name == b"VP8 " and not width:
            width, height = (side & 0x3FFF for side in struct.unpack("<HH", content[6:10]))
        elif name == b"VP8L" and not width:
            bits = int.from_bytes(content[1:5], "little")
            width, height = (bits & 0x3FFF) + 1, (bits >> 14 & 0x3FFF) + 1
        elif name == b"EXIF":
            exif = PillowImage.Exif()
            exif.load(content)
            orientation = int(exif.get(_ORIENTATION_TAG, 1))
    if not width:
        raise ValueError("this WebP has no picture")
    return (width, height, _WEBP) if orientation in SIDEWAYS else (height, width, _WEBP)


def _riff_chunks(file: BinaryIO) -> Iterator[tuple[bytes, bytes]]:
    """The name of each chunk of a RIFF file, and the beginning of its content."""
    place = 12
    while True:
        file.seek(place)
        header = file.read(8)
        if len(header) < 8:
            return
        name, length = struct.unpack("<4sI", header)
        yield name, file.read(min(length, _HEAD_BYTES))
        place += 8 + length + length % 2
