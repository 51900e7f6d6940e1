import io
import struct
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
from PIL import Image as PillowImage
from PIL import UnidentifiedImageError

from clips import numbered, read_number
from faceloom.faces import Image
from faceloom.frame import Frame
from faceloom.media.chunks import Span
from faceloom.media.headers import look
from faceloom.media.reading import FrameReader
from faceloom.media.sources import Source, SourceKind, kind_of
from media.field_clips import frames_of

COUNT = 3
ANIMATED: dict[str, tuple[str, dict[str, Any]]] = {
    "pages.tif": ("TIFF", {}),
    "packed.tif": ("TIFF", {"compression": "tiff_lzw"}),
    "jpegs.tif": ("TIFF", {"compression": "jpeg", "quality": 95}),
    "animated.webp": ("WEBP", {"lossless": True}),
    "lossy.webp": ("WEBP", {"quality": 90}),
    "animated.png": ("PNG", {}),
    "pair.mpo": ("MPO", {"quality": 95}),
    "pair.jpg": ("MPO", {"quality": 95}),
}


def pictures(count: int = COUNT) -> list[PillowImage.Image]:
    return [PillowImage.fromarray(numbered(i)) for i in range(count)]


def write(folder: Path, name: str, images: list[PillowImage.Image] | None = None) -> Path:
    kind, options = ANIMATED[name]
    first, *rest = images or pictures()
    first.save(folder / name, kind, save_all=True, append_images=rest, **options)
    return folder / name


def source_of(path: Path) -> Source:
    return Source(name=path.name, path=path, kind=SourceKind.PICTURE)


def pages_of(path: Path, *, first: int = 0) -> list[Frame]:
    """The pages of a picture from one on, as its header counts them."""
    shape = look(source_of(path))
    assert shape is not None
    span = Span(source=source_of(path), first=first, count=shape.pages - first)
    with FrameReader() as reader:
        answers = [read() for read in reader.reads([span])]
    frames = [answer for answer in answers if isinstance(answer, Frame)]
    assert len(frames) == len(answers), answers
    assert all(frame.image.nbytes <= shape.frame_bytes for frame in frames)
    return frames


@pytest.mark.parametrize("first", [0, 1])
@pytest.mark.parametrize("name", ANIMATED)
def test_every_page_is_a_frame(tmp_path: Path, name: str, first: int) -> None:
    path = write(tmp_path, name)
    assert kind_of(path) is SourceKind.PICTURE
    frames = pages_of(path, first=first)
    assert [frame.id.index for frame in frames] == list(range(first, COUNT))
    assert [read_number(frame.image) for frame in frames] == list(range(first, COUNT))


def test_every_frame_of_a_gif_is_a_frame(tmp_path: Path) -> None:
    first, *rest = pictures()
    first.save(tmp_path / "moving.gif", save_all=True, append_images=rest, duration=100)
    assert kind_of(tmp_path / "moving.gif") is SourceKind.VIDEO
    assert [read_number(frame.image) for frame in frames_of(tmp_path / "moving.gif")] == list(range(COUNT))


def test_pages_may_be_of_several_sizes(tmp_path: Path) -> None:
    sizes = [(40, 30), (200, 100), (64, 64)]
    images = [PillowImage.new("RGB", size, (i * 50, 0, 0)) for i, size in enumerate(sizes)]
    frames = pages_of(write(tmp_path, "pages.tif", images))
    assert [frame.image.shape[1::-1] for frame in frames] == sizes


def with_reduced_page(content: bytes) -> bytes:
    """A TIFF whose second directory says of itself that it is a smaller copy."""
    (place,) = struct.unpack("<I", content[4:8])
    (count,) = struct.unpack("<H", content[place : place + 2])
    (second,) = struct.unpack("<I", content[place + 2 + 12 * count : place + 6 + 12 * count])
    (others,) = struct.unpack("<H", content[second : second + 2])
    begin, end = second + 2, second + 2 + 12 * others
    entries = [content[i : i + 12] for i in range(begin, end, 12)]
    # NewSubfileType in the place of a tag that nobody needs, at the front, where its number belongs.
    spare = next(i for i, entry in enumerate(entries) if struct.unpack("<H", entry[:2])[0] in {282, 283, 296, 284})
    told = struct.pack("<HHII", 254, 4, 1, 1)
    entries = [told, *entries[:spare], *entries[spare + 1 :]]
    return content[:begin] + b"".join(entries) + content[end:]


def test_a_smaller_copy_in_a_tiff_is_no_page(tmp_path: Path) -> None:
    path = write(tmp_path, "pages.tif", [*pictures(1), PillowImage.new("RGB", (32, 8)), *pictures(3)[2:]])
    path.write_bytes(with_reduced_page(path.read_bytes()))
    assert [read_number(frame.image) for frame in pages_of(path)] == [0, 2]


def test_what_brightens_a_jpeg_is_no_page(tmp_path: Path) -> None:
    path = tmp_path / "phone.jpg"
    first = PillowImage.fromarray(numbered(3))
    first.save(path, "MPO", save_all=True, append_images=[PillowImage.new("L", (64, 16), 128)], quality=95)
    assert [read_number(frame.image) for frame in pages_of(path)] == [3]


@pytest.mark.parametrize("most", [1.0, 255.0])
def test_every_page_of_a_tiff_of_colours_in_floating_point_is_read(tmp_path: Path, most: float) -> None:
    pages = [(numbered(i)[..., ::-1] / 255 * most).astype(np.float32) for i in range(3)]
    assert cv2.imwritemulti(str(tmp_path / "float.tif"), pages)
    with pytest.raises(UnidentifiedImageError):
        PillowImage.open(tmp_path / "float.tif")
    assert [read_number(frame.image) for frame in pages_of(tmp_path / "float.tif")] == [0, 1, 2]


def endless(content: bytes) -> bytes:
    """A TIFF whose only directory is followed by itself."""
    (place,) = struct.unpack("<I", content[4:8])
    (count,) = struct.unpack("<H", content[place : place + 2])
    following = place + 2 + 12 * count
    return content[:following] + struct.pack("<I", place) + content[following + 4 :]


def test_a_tiff_whose_directories_go_round_ends(tmp_path: Path) -> None:
    content = io.BytesIO()
    pictures(1)[0].save(content, "TIFF")
    (tmp_path / "round.tif").write_bytes(endless(content.getvalue()))
    shape = look(source_of(tmp_path / "round.tif"))
    assert shape is not None
    assert shape.pages == 1


def test_a_page_that_is_damaged_costs_no_other(tmp_path: Path) -> None:
    path = write(tmp_path, "jpegs.tif")
    content = bytearray(path.read_bytes())
    place = content.index(b"\xff\xda", content.index(b"\xff\xda") + 2)
    content[place : place + 40] = bytes(40)
    path.write_bytes(content)
    span = Span(source=source_of(path), first=0, count=COUNT)
    with FrameReader() as reader:
        answers = [read() for read in reader.reads([span])]
    shown: list[Image] = [answer.image for answer in answers if isinstance(answer, Frame)]
    assert {0, 2} <= {read_number(image) for image in shown}
