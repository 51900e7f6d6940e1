"""The shape of a picture by its header, and how much memory reading a picture or a video takes.

The factors were measured (`tests/media/test_reading_bytes.py` holds them): the peak of a process that reads, less
what it held before. Decoders work on whole pictures, so nearly all of it grows with the pixels.
"""

import io
import re
import stat
import struct
from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import BinaryIO

from PIL import Image as PillowImage
from PIL import JpegImagePlugin, UnidentifiedImageError

from faceloom.media.jxl import jxl_size
from faceloom.media.metadata import without_metadata
from faceloom.media.orientations import SIDEWAYS, orientation_in, orientation_of
from faceloom.media.pages import TIFF, several, tiff_pages
from faceloom.media.pillow import JXL, LIFTED_LIMIT, know_format_of
from faceloom.media.sources import MAX_PIXELS, Shape, Source
from faceloom.units import MIB

_CHANNELS = 3
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
        found = _header(file, head)
    except MemoryError:
        raise
    except Exception:  # Pillow's readers raise what their formats' parsers happen to raise
        return None
    height, width = found.height, found.width
    if height < 1 or width < 1:
        return None
    reading_bytes = size_bytes + round(found.factor * _frame_bytes(height, width)) + _FIXED_BYTES
    return Shape(height, width, -(-reading_bytes // _STEP_BYTES) * _STEP_BYTES, found.pages)


def pages_inside(file: BinaryIO) -> tuple[int, ...]:
    """By which numbers a file knows the pictures in it that are frames.

    Raises:
        Exception: what formats' parsers happen to raise.
        MemoryError: there is too little memory for a look.
    """
    head = file.read(_HEAD_BYTES)
    file.seek(0)
    if head.startswith(TIFF):
        return tuple(page.number for page in tiff_pages(file)) or (0,)
    if head[8:12] == b"WEBP":
        return tuple(range(_webp(file).pages))
    know_format_of(head)
    with LIFTED_LIMIT, PillowImage.open(file) as picture:
        return tuple(several(picture))


@dataclass(frozen=True, slots=True, kw_only=True)
class _Header:
    height: int
    """Upright."""
    width: int
    factor: float
    """What reading takes, in units of the frame."""
    pages: int = 1

    def turned(self, orientation: int) -> "_Header":
        """The same when a picture is stored with this orientation."""
        return replace(self, height=self.width, width=self.height) if orientation in SIDEWAYS else self


def _header(file: BinaryIO, head: bytes) -> _Header:
    if head[8:12] == b"WEBP":
        return _webp(file)
    if head.startswith(JXL):
        height, width = jxl_size(head)
        return _Header(height=height, width=width, factor=_JXL)
    if found := _declared(head):
        return found
    if head.startswith(TIFF):
        return _tiff(file)
    know_format_of(head)
    try:
        return _pillow(file)
    except (UnidentifiedImageError, ValueError):
        file.seek(0)
        content = file.read()
        bare = without_metadata(content)
        if len(bare) == len(content):
            raise
        return _pillow(io.BytesIO(bare))  # reading goes without, too


def _tiff(file: BinaryIO) -> _Header:
    pages = tiff_pages(file)
    # A page that declares more than is ever read says nothing of the others.
    sizes = [(page.height * page.width, page.height, page.width) for page in pages]
    area, height, width = max(size for size in (*sizes, (0, 0, 0)) if size[0] <= MAX_PIXELS)
    file.seek(0)
    try:
        found = _pillow(file)
    except UnidentifiedImageError:
        found = _Header(height=pages[0].height, width=pages[0].width, factor=_OPENCV_TIFF).turned(pages[0].orientation)
    if area > found.height * found.width:
        found = replace(found, height=height, width=width)
    more = _TIFF_PAGES if len(pages) > 1 else 0
    return replace(found, factor=found.factor + more, pages=len(pages))


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
_HEIF = 4.0  # libheif's planes, what it makes of them, Pillow's copy of that
_JXL = 4.0  # libjxl works with floats
_OPENCV_TIFF = 9.5  # three floats a pixel, again as OpenCV lays them
_MPO = 2.1  # the tables of each picture's header beside Pillow's copy
_ANIMATED_WEBP = 1.4  # Pillow's copy of the frame before, more than a still takes
_TIFF_PAGES = 0.3  # of the page before
_ANIMATED_PNG = 4.5  # the frame before, the one that it is laid over, and what is restored afterwards
_PILLOW_BY_FORMAT = {
    **dict.fromkeys(("BMP", "MPO", "PCX", "PNG", "PPM", "SUN", "TGA"), _PILLOW),
    "JPEG2000": 5.8,  # OpenJPEG has 32 bits for each sample
    "TIFF": 1.8,  # two copies while Pillow turns one
    "HEIF": _HEIF,
}
_PILLOW_OTHERWISE = 3.0  # decoders in Python hold the pixels as bytes besides; more than any that was measured
_WEBP = 5.2  # two canvases, the decoder's own, the bytes of the frame and Pillow's copy
_OPENCV = 4.1  # three floats a pixel


def _frame_bytes(height: int, width: int) -> int:
    return height * width * _CHANNELS


def _pillow(file: BinaryIO) -> _Header:
    with LIFTED_LIMIT, PillowImage.open(file) as picture:
        height, width = picture.height, picture.width
        # Pillow looks for a PNG's orientation behind the pixels too, which it would have to decode.
        is_known = picture.format != "PNG" or "exif" in picture.info
        orientation = orientation_of(picture)[0] if is_known else 1
        if isinstance(picture, JpegImagePlugin.JpegImageFile):
            is_sequential = picture.format == "MPO" or _is_one_scan(file, len(picture.layer))
            has_scans = "progressive" in picture.info or not is_sequential
            factor = _jpeg_factor(picture, has_scans=has_scans, is_turned=orientation != 1)
        else:
            factor = _PILLOW_BY_FORMAT.get(picture.format or "", _PILLOW_OTHERWISE)
        pages = len(several(picture))
        if pages > 1:
            factor = max(factor, _ANIMATED_PNG if picture.format == "PNG" else _MPO)
    return _Header(height=height, width=width, factor=factor, pages=pages).turned(orientation)


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


def _declared(head: bytes) -> _Header | None:
    for pattern in _HEADS:
        if found := pattern.match(head):
            return _Header(height=int(found["height"]), width=int(found["width"]), factor=_OPENCV)
    return None


def _webp(file: BinaryIO) -> _Header:
    """By RFC 9649, section 2: Pillow opens a WebP by making room for all of its pixels."""
    height = width = pages = 0
    orientation = None
    for name, content in _riff_chunks(file):
        if name == b"VP8X":
            width, height = (int.from_bytes(content[i : i + 3], "little") + 1 for i in (4, 7))
        elif name == b"VP8 " and not width:
            width, height = (side & 0x3FFF for side in struct.unpack("<HH", content[6:10]))
        elif name == b"VP8L" and not width:
            bits = int.from_bytes(content[1:5], "little")
            width, height = (bits & 0x3FFF) + 1, (bits >> 14 & 0x3FFF) + 1
        elif name == b"ANMF":
            pages += 1
        elif name == b"EXIF":
            orientation = orientation_in(content)
        elif name == b"XMP " and orientation is None and (told := _XMP_ORIENTATION.search(content)):
            orientation = int(told[1])
    if not width:
        raise ValueError("this WebP has no picture")
    factor = _WEBP + (_ANIMATED_WEBP if pages > 1 else 0)
    return _Header(height=height, width=width, factor=factor, pages=max(1, pages)).turned(orientation or 1)


_XMP_ORIENTATION = re.compile(rb'tiff:Orientation(?:="|>)([0-9])')


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
