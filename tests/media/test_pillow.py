"""Pillow's limit of pixels belongs to the process: it decides nothing here, and stays what it was."""

import subprocess
import sys
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest
from PIL import Image as PillowImage

import faceloom
from faceloom.frame import Frame
from faceloom.media.chunks import Unreadable
from faceloom.media.headers import look
from faceloom.media.reading import read_still
from faceloom.media.sources import Source, SourceKind
from media.picture_files import KINDS, write_picture

THEIRS = 50
"""Pixels; every picture here has more than twice as many, from where on Pillow refuses."""


@pytest.fixture
def limited() -> Iterator[None]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(PillowImage, "MAX_IMAGE_PIXELS", THEIRS)
        yield
        assert PillowImage.MAX_IMAGE_PIXELS == THEIRS


def source(path: Path) -> Source:
    return Source(name=path.name, path=path, kind=SourceKind.PICTURE)


@pytest.mark.parametrize("name", KINDS)
def test_a_picture_beyond_pillows_limit_is_the_same(name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    picture = source(write_picture(tmp_path, name, height=65, width=97))
    expected, shape = read_still(picture), look(picture)
    monkeypatch.setattr(PillowImage, "MAX_IMAGE_PIXELS", THEIRS)
    frame = read_still(picture)
    assert isinstance(frame, Frame)
    assert isinstance(expected, Frame)
    assert np.array_equal(frame.image, expected.image)
    assert look(picture) == shape is not None
    assert PillowImage.MAX_IMAGE_PIXELS == THEIRS


@pytest.mark.usefixtures("limited")
def test_what_cannot_be_read_says_why_and_leaves_the_limit(tmp_path: Path) -> None:
    path = write_picture(tmp_path, "rgb.png", height=65, width=97)
    path.write_bytes(path.read_bytes()[:500])
    answer = read_still(source(path))
    assert isinstance(answer, Unreadable)
    assert "damaged" in answer.reason


@pytest.mark.usefixtures("limited")
def test_threads_that_read_at_the_same_time_leave_the_limit(tmp_path: Path) -> None:
    pictures = [source(write_picture(tmp_path, name, height=65, width=97)) for name in KINDS] * 20
    with ThreadPoolExecutor(8) as pool:
        assert all(isinstance(frame, Frame) for frame in pool.map(read_still, pictures))


@pytest.mark.usefixtures("limited")
def test_a_stream_reads_pictures_beyond_pillows_limit(samples: Path) -> None:
    (frame,) = faceloom.stream(samples / "portrait.png", mask=())
    assert frame.problem is None
    assert len(frame.faces) == 1


def test_an_import_leaves_the_limit() -> None:
    code = (
        "from PIL import Image; before = Image.MAX_IMAGE_PIXELS\n"
        "import faceloom.media.pictures, faceloom.worker.live, faceloom.worker.worker\n"
        "assert Image.MAX_IMAGE_PIXELS == before is not None"
    )
    subprocess.run([sys.executable, "-c", code], check=True)
