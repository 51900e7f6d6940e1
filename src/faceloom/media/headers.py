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
from faceloom.media.pillow import JXL, LIFTED_LIMIT, know_format_of, know_other_formats
from faceloom.media.sources import Shape, Source
from faceloom.units import MAX_PIXELS, MIB

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
    return _shape(found, size_bytes) if found.height >= 1 and found.width >= 1 else None


def _shape(header: "_Header", size_bytes: int) -> Shape:
    height, width = header.height, header.width
    reading_bytes = size_bytes + round(header.factor * _frame_bytes(height, width)) + _FIXED_BYTES
    return Shape(height, width, -(-reading_bytes // _STEP_BYTES) * _STEP_BYTES, header.pages)


def shape_read(height: int, width: int, size_bytes: int) -> Shape:
    """The shape of a picture that was read and whose header tells none: it takes as much as any that OpenCV reads."""
    return _shape(_Header(height=height, width=width, factor=_OPENCV), size_bytes)


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
    know_other_formats()
    try:
        found = _pillow(file)
    except UnidentifiedImageError:
        found = _Header(height=pages[0].height, width=pages[0].width, factor=_OPENCV_TIFF).turned(pages[0].orientation)
    if area > found.height * found.width:
        found = replace(found, height=height, width=width)
    more = _TIFF_PAGES if len(pages) > 1 else 0
    return replace(found, factor=found.factor + more, pages=len(pages))


_FIXED_BYTES = 2 * MIB  # measured: strips, tables, buffers

# In units of the frame, on top of the frame and the file's content, measured.
_JPEG = 0.05  # decoded a row of blocks at a time, into the frame
_JPEG_COEFFICIENT = 2 / 3  # libjpeg keeps 16 bits for each sample of a picture that comes in several scans
_SAMPLINGS = frozenset([(1, 1), (2, 1), (2, 2), (1, 2), (4, 1)])
_TURN = 1.05  # a JPEG is copied to stand upright
_PILLOW = 1.4  # Pillow's own copy has four bytes a pixel
_PILLOW_LESS_FRAME = 0.4  # the same copy, while there is no frame yet
_HEIF = 4.0  # libheif's planes, what it makes of them, Pillow's copy of that
_JXL = 4.0  # libjxl works with floats
_OPENCV_TIFF = 9.5  # three floats a pixel, again as OpenCV lays them
_MPO = 2.1  # the tables of each picture's header beside Pillow's copy
_ANIMATED_WEBP = 1.4  # Pillow's copy of the frame before, more than a still takes
_TIFF_PAGES = 0.75  # of the page before, and of what is read of it
_ANIMATED_PNG = 4.5  # the frame before, the one that it is laid over, and what is restored afterwards
_PILLOW_BY_FORMAT = {
    **dict.fromkeys(("BMP", "MPO", "PCX", "PNG", "PPM", "SUN", "TGA"), _PILLOW),
    "JPEG2000": 5.8,  # OpenJPEG has 32 bits for each sample
    "HEIF": _HEIF,
}
_PILLOW_BY_MODE = {"1": 0.45, "L": 0.45, "P": 0.45, "I;16": 0.8}  # Pillow's own copy has a byte or two a pixel
_TIFF_TURNED = 1.8  # two copies while Pillow turns one
_AVIF = 1.65  # what the planes are made into, and Pillow's copy of that
_PILLOW_OTHERWISE = 3.0  # decoders in Python hold the pixels as bytes besides; more than any that was measured
_WEBP = 5.2  # two canvases, the decoder's own, the bytes of the frame and Pillow's copy
_OPENCV = 4.1  # three floats a pixel
_OPENCV_PAM = 1.05  # a copy while blue and red change places
_PAM_HEAD_BYTES = 1024


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
            factor = _pillow_factor(picture, file, is_turned=orientation != 1)
        pages = len(several(picture))
        if pages > 1:
            factor = max(factor, _ANIMATED_PNG if picture.format == "PNG" else _MPO)
    return _Header(height=height, width=width, factor=factor, pages=pages).turned(orientation)


def _pillow_factor(picture: PillowImage.Image, file: BinaryIO, *, is_turned: bool) -> float:
    match picture.format:
        case "AVIF":
            return _AVIF + _avif_planes(file)
        case "TIFF":
            return _TIFF_TURNED if is_turned else _PILLOW
        case name:
            factor = _PILLOW_BY_FORMAT.get(name or "", _PILLOW_OTHERWISE)
            return _PILLOW_BY_MODE.get(picture.mode, factor) if factor == _PILLOW else factor


def _avif_planes(file: BinaryIO) -> float:
    """What the decoder's planes take, in frames (AV1 Codec ISO Media File Format Binding, 2.3.3)."""
    file.seek(0)
    content = file.read(_HEAD_BYTES)
    place = content.find(b"av1C")
    if not 0 <= place < len(content) - 6:
        return 2.0
    coding = content[place + 6]
    samples = 1.0 if coding & 0x10 else 1 + 2 / (1 + (coding >> 3 & 1)) / (1 + (coding >> 2 & 1))
    return samples * (1 + (coding >> 6 & 1)) / _CHANNELS


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
    re.compile(rb"\AP[Ff]\s+(?P<width>\d+)\s+(?P<height>\d+)\s"),  # portable float map
)
_PAM = re.compile(
    rb"\AP7\n(?=(?:[^\n]*\n)*?WIDTH (?P<width>\d+)\n)(?=(?:[^\n]*\n)*?HEIGHT (?P<height>\d+)\n)(?:[^\n]*\n)*?ENDHDR\n"
)
"""Netpbm's portable arbitrary map: man pam."""


def _declared(head: bytes) -> _Header | None:
    for pattern in _HEADS:
        if found := pattern.match(head):
            return _Header(height=int(found["height"]), width=int(found["width"]), factor=_OPENCV)
    if found := _PAM.match(head[:_PAM_HEAD_BYTES]):
        return _Header(height=int(found["height"]), width=int(found["width"]), factor=_OPENCV_PAM)
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
