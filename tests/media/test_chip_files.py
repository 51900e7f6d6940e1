import json
import struct
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image as PillowImage
from PIL.JpegImagePlugin import JpegImageFile

from faceloom.choices import Border, ChipFormat, Subsampling
from faceloom.errors import MediaError
from faceloom.faces import Image
from faceloom.media import chip_files
from faceloom.media.chip_files import encode_chip, encode_jpeg, read_chip_metadata, writing_bytes
from faceloom.media.pictures import read_picture

METADATA = {"source": "Fotos/J\u00f6rg \u2603\n.jpg", "frame": 3, "box": [1.5, 2.25, 3, 4], "time_s": None}


def chip() -> Image:
    smooth = np.random.default_rng(0).integers(0, 256, (9, 9, 3), np.uint8)
    return np.asarray(PillowImage.fromarray(smooth).resize((96, 96), PillowImage.Resampling.BICUBIC))


@pytest.mark.parametrize("chip_format", ChipFormat)
def test_a_chip_file_carries_what_is_known_of_its_face(tmp_path: Path, chip_format: ChipFormat) -> None:
    path = tmp_path / "chip"
    path.write_bytes(encode_chip(chip(), chip_format, METADATA))
    assert read_chip_metadata(path) == METADATA


@given(
    st.dictionaries(st.text(), st.text() | st.floats(allow_nan=False, allow_infinity=False) | st.none()),
    st.sampled_from(ChipFormat),
)
def test_any_text_survives_in_a_chip_file(
    tmp_path_factory: pytest.TempPathFactory, metadata: dict[str, Any], chip_format: ChipFormat
) -> None:
    path = tmp_path_factory.getbasetemp() / "any-text"
    content = encode_chip(chip()[:8, :8], chip_format, metadata)
    path.write_bytes(content)
    assert read_chip_metadata(path) == metadata
    assert json.loads(PARTS[chip_format](content)) == metadata


@given(st.text(st.characters(codec="ascii")))
def test_the_block_of_exif_is_the_one_that_pillow_writes(text: str) -> None:
    block = PillowImage.Exif()
    block[0x010E] = text
    assert chip_files._exif(text) == block.tobytes()


# What the specifications of the three say, read without any library for pictures.


def itxt_of(png: bytes) -> bytes:
    """The text of the one iTXt chunk, with keyword `faceloom`, no compression and no language."""
    texts = []
    at = 8
    while at < len(png):
        length, kind = struct.unpack(">I4s", png[at : at + 8])
        content = png[at + 8 : at + 8 + length]
        assert struct.unpack(">I", png[at + 8 + length : at + 12 + length]) == (zlib.crc32(kind + content),)
        texts += [content] if kind == b"iTXt" else []
        at += 12 + length
    (text,) = texts
    assert text.startswith(b"faceloom\0\0\0\0\0")
    return text[13:]


def segments_of(jpeg: bytes) -> Iterator[tuple[int, bytes]]:
    at = 2
    while jpeg[at + 1] != 0xDA:
        length = struct.unpack(">H", jpeg[at + 2 : at + 4])[0]
        yield jpeg[at + 1], jpeg[at + 4 : at + 2 + length]
        at += 2 + length


def chunks_of(webp: bytes) -> Iterator[tuple[bytes, bytes]]:
    assert webp[:4] == b"RIFF"
    assert struct.unpack("<I", webp[4:8])[0] == len(webp) - 8
    at = 12
    while at < len(webp):
        length = struct.unpack("<I", webp[at + 4 : at + 8])[0]
        yield webp[at : at + 4], webp[at + 8 : at + 8 + length]
        at += 8 + length + length % 2


def description_of(tiff: bytes) -> bytes:
    """The ImageDescription of the first directory of a TIFF block."""
    order = {b"II": "<", b"MM": ">"}[tiff[:2]]
    (begin,) = struct.unpack(order + "I", tiff[4:8])
    (entries,) = struct.unpack(order + "H", tiff[begin : begin + 2])
    for i in range(entries):
        entry = tiff[begin + 2 + 12 * i : begin + 14 + 12 * i]
        tag, kind, count, offset = struct.unpack(order + "HHII", entry)
        if (tag, kind) == (0x010E, 2):
            return (entry[8 : 8 + count] if count <= 4 else tiff[offset : offset + count]).rstrip(b"\0")
    raise AssertionError("no description")


def exif_of_jpeg(jpeg: bytes) -> bytes:
    (exif,) = (content for marker, content in segments_of(jpeg) if marker == 0xE1)
    assert exif.startswith(b"Exif\0\0")
    return description_of(exif[6:])


def exif_of_webp(webp: bytes) -> bytes:
    chunks = dict(chunks_of(webp))
    assert chunks[b"VP8X"][0] & 0x08  # the flag that says that there is Exif
    return description_of(chunks[b"EXIF"])


PARTS = {ChipFormat.JPG: exif_of_jpeg, ChipFormat.PNG: itxt_of, ChipFormat.WEBP: exif_of_webp}


def test_chips_of_before_are_read(tmp_path: Path) -> None:
    """A comment in a JPEG, a chunk of Latin-1 in a PNG."""
    text = json.dumps(METADATA)
    PillowImage.fromarray(chip()).save(tmp_path / "old.jpg", comment=text)
    content = b"tEXtfaceloom\0" + text.encode()
    chunk = struct.pack(">I", len(content) - 4) + content + struct.pack(">I", zlib.crc32(content))
    png = encode_chip(chip(), ChipFormat.PNG, {})
    (tmp_path / "old.png").write_bytes(png[:33] + chunk + png[33 + 12 + 13 + 2 :])
    assert read_chip_metadata(tmp_path / "old.jpg") == read_chip_metadata(tmp_path / "old.png") == METADATA


@pytest.mark.parametrize("chip_format", ChipFormat)
def test_a_chip_is_of_the_same_bytes_each_time(chip_format: ChipFormat) -> None:
    assert encode_chip(chip(), chip_format, METADATA) == encode_chip(chip().copy(), chip_format, METADATA)


def test_larger_chips_take_more_to_write() -> None:
    assert writing_bytes(ChipFormat.WEBP, size=1024) > writing_bytes(ChipFormat.WEBP, size=64) > 0


@pytest.mark.parametrize("chip_format", [ChipFormat.PNG, ChipFormat.WEBP])
def test_a_chip_with_opacity_keeps_it_and_says_the_same(tmp_path: Path, chip_format: ChipFormat) -> None:
    opacity = np.tile(np.linspace(0, 255, 96).astype(np.uint8), (96, 1))
    path = tmp_path / "chip"
    path.write_bytes(encode_chip(np.dstack([chip(), opacity]), chip_format, METADATA))
    assert read_chip_metadata(path) == METADATA
    assert json.loads(PARTS[chip_format](path.read_bytes())) == METADATA
    with PillowImage.open(path) as picture:
        assert picture.mode == "RGBA"
        found = np.asarray(picture)
    np.testing.assert_array_equal(found[..., 3], opacity)
    opaque = opacity > 127
    assert np.abs(found[..., :3].astype(int) - chip())[opaque].mean() < (1 if chip_format is ChipFormat.PNG else 25)
    assert read_picture(path.read_bytes(), path).image.shape == (96, 96, 3)


def test_opacity_takes_more_to_write() -> None:
    one, other = (
        writing_bytes(ChipFormat.PNG, size=64, border=border) for border in (Border.BLACK, Border.TRANSPARENT)
    )
    assert one < other


def test_a_png_chip_is_the_pixels(tmp_path: Path) -> None:
    path = tmp_path / "chip.png"
    path.write_bytes(encode_chip(chip(), ChipFormat.PNG, METADATA))
    with PillowImage.open(path) as picture:
        np.testing.assert_array_equal(np.asarray(picture), chip())


@pytest.mark.parametrize(("chip_format", "most"), [(ChipFormat.JPG, 3), (ChipFormat.WEBP, 5)])
def test_a_chip_of_lossy_quality_is_nearly_the_pixels(tmp_path: Path, chip_format: ChipFormat, most: float) -> None:
    path = tmp_path / "chip"
    path.write_bytes(encode_chip(chip(), chip_format, METADATA))
    with PillowImage.open(path) as picture:
        assert np.abs(np.asarray(picture).astype(int) - chip()).mean() < most


def test_a_jpeg_chip_keeps_its_colours_at_full_size(tmp_path: Path) -> None:
    path = tmp_path / "chip.jpg"
    path.write_bytes(encode_jpeg(chip()))
    with PillowImage.open(path) as picture:
        assert {layer[1:3] for layer in picture.layer} == {(1, 1)}  # type: ignore[attr-defined]


@pytest.mark.parametrize(("subsampling", "factors"), [("444", (1, 1)), ("422", (2, 1)), ("420", (2, 2))])
def test_a_jpeg_has_as_many_colours_as_asked_for(tmp_path: Path, subsampling: str, factors: tuple[int, int]) -> None:
    """As Pillow reads the sampling factors of its first component (ITU T.81, B.2.2)."""
    path = tmp_path / "chip.jpg"
    path.write_bytes(encode_chip(chip(), ChipFormat.JPG, METADATA, subsampling=Subsampling(subsampling)))
    with PillowImage.open(path) as picture:
        assert isinstance(picture, JpegImageFile)
        (_, *first, _), *others = picture.layer
        assert tuple(first) == factors
        assert all(other[1:3] == (1, 1) for other in others)
    assert read_chip_metadata(path) == METADATA


@pytest.mark.parametrize("content", [b"", b"text", encode_jpeg(chip())])
def test_a_file_without_our_metadata_is_refused(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "other.jpg"
    path.write_bytes(content)
    with pytest.raises(MediaError):
        read_chip_metadata(path)


def test_a_file_with_other_metadata_is_refused(tmp_path: Path) -> None:
    PillowImage.fromarray(chip()).save(tmp_path / "other.jpg", comment=json.dumps([1, 2]))
    with pytest.raises(MediaError):
        read_chip_metadata(tmp_path / "other.jpg")


def test_a_file_that_is_not_there_is_refused(tmp_path: Path) -> None:
    with pytest.raises(MediaError):
        read_chip_metadata(tmp_path / "nothing.jpg")
