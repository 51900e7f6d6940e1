import io
import struct
import zlib
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image as PillowImage
from PIL import PngImagePlugin

from faceloom.faces import Image
from faceloom.media.headers import look_inside
from faceloom.media.notes import Note
from faceloom.media.pictures import read_picture
from media.field_clips import lettered

PATH = Path("picture")
GARBAGE = [
    b"Exif\0\0" + b"\xff" * 30,
    b"\xff" * 40,
    b"",
    b"Exif\0\0MM\0*\xff\xff\xff\xff",
    b"Exif\0\0II*\0\x08\0\0\0\xff\xff",
]
XMP = '<x:xmpmeta xmlns:x="adobe:ns:meta/"><rdf:Description tiff:Orientation="{}"/></x:xmpmeta>'


def exif_of(orientation: int) -> bytes:
    exif = PillowImage.Exif()
    exif[0x0112] = orientation
    return exif.tobytes()


def encoded(kind: str, *, exif: bytes = b"", xmp: bytes = b"") -> bytes:
    content = io.BytesIO()
    options: dict[str, dict[str, Any]] = {"JPEG": {"quality": 98, "subsampling": 0}, "WEBP": {"lossless": True}}
    told: dict[str, Any] = {name: value for name, value in (("exif", exif), ("xmp", xmp)) if value}
    if kind == "PNG" and xmp:
        texts = PngImagePlugin.PngInfo()
        texts.add_itxt("XML:com.adobe.xmp", told.pop("xmp").decode())
        told["pnginfo"] = texts
    PillowImage.fromarray(lettered()).save(content, kind, **options.get(kind, {}), **told)
    return content.getvalue()


def with_segments(content: bytes, count: int, *, marker: int = 0xED) -> bytes:
    """A JPEG with segments of 64 KiB in front of everything else."""
    segment = bytes([0xFF, marker]) + struct.pack(">H", 65_535) + b"Photoshop 3.0\0" + bytes(65_533 - 14)
    return content[:2] + count * segment + content[2:]


def clockwise() -> Image:
    return np.rot90(lettered(), -1)


@pytest.mark.parametrize("count", [1, 2, 40])
def test_an_orientation_behind_large_segments_is_found(count: int) -> None:
    content = with_segments(encoded("JPEG", exif=exif_of(6)), count)
    still = read_picture(content, PATH)
    np.testing.assert_allclose(still.image, clockwise(), atol=12)
    shape = look_inside(io.BytesIO(content), len(content))
    assert shape is not None
    assert (shape.height, shape.width) == clockwise().shape[:2]
    assert still.notes == (Note.TURNED,)


@pytest.mark.parametrize("kind", ["JPEG", "PNG", "WEBP"])
@pytest.mark.parametrize("exif", [b"", exif_of(6)])
def test_an_orientation_in_xmp_counts_where_exif_has_none(kind: str, exif: bytes) -> None:
    content = encoded(kind, exif=exif, xmp=XMP.format(8 if exif else 6).encode())
    np.testing.assert_allclose(read_picture(content, PATH).image, clockwise(), atol=12)
    shape = look_inside(io.BytesIO(content), len(content))
    assert shape is not None
    assert shape.height * shape.width == lettered().shape[0] * lettered().shape[1]


@pytest.mark.filterwarnings("ignore:Corrupt EXIF")  # Pillow's
@pytest.mark.parametrize("exif", GARBAGE)
@pytest.mark.parametrize("kind", ["JPEG", "PNG", "WEBP"])
def test_garbage_in_exif_costs_no_pixel(kind: str, exif: bytes) -> None:
    content = encoded(kind, exif=exif)
    still = read_picture(content, PATH)
    np.testing.assert_allclose(still.image, lettered(), atol=12)
    assert still.problem is None
    assert look_inside(io.BytesIO(content), len(content)) is not None


def chunk(name: bytes, content: bytes) -> bytes:
    return struct.pack(">I", len(content)) + name + content + struct.pack(">I", zlib.crc32(name + content))


BOMB = zlib.compress(bytes(80 << 20), 9)
CHUNKS = {
    "text bomb": chunk(b"zTXt", b"Comment\0\0" + BOMB),
    "international bomb": chunk(b"iTXt", b"Comment\0\1\0\0\0" + BOMB),
    "profile bomb": chunk(b"iCCP", b"profile\0\0" + BOMB),
    "many texts": chunk(b"zTXt", b"Comment\0\0" + zlib.compress(bytes(900_000), 9)) * 90,
    "text without its end": chunk(b"zTXt", b"Comment\0\0" + BOMB[:100]),
    "profile without its end": chunk(b"iCCP", b"profile\0\0" + BOMB[:100]),
    "wrong sum": chunk(b"tEXt", b"a\0b")[:-1] + b"!",
}


@pytest.mark.parametrize("where", ["before", "behind"])
@pytest.mark.parametrize("name", CHUNKS)
def test_what_stands_beside_the_pixels_of_a_png_costs_none(name: str, where: str) -> None:
    content = encoded("PNG")
    place = content.index(b"IDAT") - 4 if where == "before" else content.index(b"IEND") - 4
    content = content[:place] + CHUNKS[name] + content[place:]
    still = read_picture(content, PATH)
    np.testing.assert_array_equal(still.image, lettered())
    assert still.problem is None
    shape = look_inside(io.BytesIO(content), len(content))
    assert shape is not None
    assert (shape.height, shape.width) == lettered().shape[:2]
