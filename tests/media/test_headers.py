import io
import os
import struct
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image as PillowImage

from faceloom.frame import Frame
from faceloom.media.headers import look, look_inside
from faceloom.media.reading import read_still
from faceloom.media.sources import Source, SourceKind
from media.picture_files import KINDS, shaded, write_picture

FILES = {name: make(shaded(16, 24)) for name, make in KINDS.items()}


def source(path: Path) -> Source:
    return Source(name=path.name, path=path, kind=SourceKind.PICTURE)


@pytest.mark.parametrize("name", KINDS)
def test_the_shape_is_that_of_the_frame(tmp_path: Path, name: str) -> None:
    picture = source(write_picture(tmp_path, name, height=65, width=97))
    frame, shape = read_still(picture), look(picture)
    assert isinstance(frame, Frame)
    assert shape is not None
    assert (shape.height, shape.width) == frame.image.shape[:2]
    assert shape.frame_bytes == frame.image.nbytes


@pytest.mark.parametrize("kind", ["JPEG", "PNG", "TIFF", "WEBP"])
@pytest.mark.parametrize("orientation", range(1, 9))
def test_the_shape_of_a_turned_picture_is_the_upright_one(tmp_path: Path, kind: str, orientation: int) -> None:
    exif = PillowImage.Exif()
    exif[0x0112] = orientation
    PillowImage.fromarray(shaded(32, 48)).save(tmp_path / "picture", kind, exif=exif)
    frame, shape = read_still(source(tmp_path / "picture")), look(source(tmp_path / "picture"))
    assert isinstance(frame, Frame)
    assert shape is not None
    assert (shape.height, shape.width) == frame.image.shape[:2]


def test_a_jpeg_is_found_behind_a_megabyte_of_metadata(tmp_path: Path) -> None:
    content = FILES["turned.jpg"]
    segment = b"\xff\xe2" + struct.pack(">H", 65_535) + bytes(65_533)
    end = content.index(b"\xff\xdb")
    (tmp_path / "a.jpg").write_bytes(content[:end] + 16 * segment + content[end:])
    shape = look(source(tmp_path / "a.jpg"))
    assert shape is not None
    assert (shape.height, shape.width) == (24, 16)


@pytest.mark.parametrize("name", ["a.hdr", "a.jpg"])
def test_the_rest_of_a_file_is_not_needed(tmp_path: Path, name: str) -> None:
    content = FILES["light.hdr" if name == "a.hdr" else "baseline.jpg"]
    end = content.index(b"+X 24\n") + 6 if name == "a.hdr" else content.index(b"\xff\xda") + 16
    (tmp_path / name).write_bytes(content[:end])
    shape = look(source(tmp_path / name))
    assert shape is not None
    assert (shape.height, shape.width) == (16, 24)


def test_the_file_itself_is_part_of_what_reading_takes() -> None:
    content = FILES["rgb.png"]
    small, large = (look_inside(io.BytesIO(content), len(content) + more) for more in (0, 3 << 20))
    assert small is not None
    assert large is not None
    assert large.reading_bytes == small.reading_bytes + (3 << 20)


def test_pictures_of_one_size_have_few_shapes_whatever_their_files_take() -> None:
    content = FILES["rgb.png"]
    shapes = {look_inside(io.BytesIO(content), size_bytes) for size_bytes in range(100_000, 1_100_000, 997)}
    assert len(shapes) <= 2


def test_what_is_no_file_has_no_shape(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    (tmp_path / "text").write_text("text")
    (tmp_path / "empty").touch()
    paths = [tmp_path, tmp_path / "pipe", tmp_path / "text", tmp_path / "empty", tmp_path / "missing"]
    assert [look(source(path)) for path in paths] == [None] * 5


@given(
    st.sampled_from(list(FILES)),
    st.lists(st.tuples(st.integers(0, 200), st.integers(0, 255)), max_size=4),
    st.floats(0, 1),
)
def test_a_damaged_file_has_a_shape_or_none(name: str, damage: list[tuple[int, int]], kept: float) -> None:
    content = bytearray(FILES[name])
    for place, value in damage:
        content[place % len(content)] = value
    content = content[: int(len(content) * kept)]
    shape = look_inside(io.BytesIO(bytes(content)), len(content))
    assert shape is None or min(shape.height, shape.width, shape.reading_bytes) >= 0
