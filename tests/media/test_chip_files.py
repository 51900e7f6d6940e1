import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image as PillowImage

from faceloom.errors import MediaError
from faceloom.faces import Image
from faceloom.media.chip_files import ChipFormat, encode_chip, encode_jpeg, read_chip_metadata

METADATA = {"source": "Fotos/J\u00f6rg \u2603\n.jpg", "frame": 3, "box": [1.5, 2.25, 3, 4], "time_s": None}


def chip() -> Image:
    smooth = np.random.default_rng(0).integers(0, 256, (9, 9, 3), np.uint8)
    return np.asarray(PillowImage.fromarray(smooth).resize((96, 96), PillowImage.Resampling.BICUBIC))


@pytest.mark.parametrize("chip_format", ChipFormat)
def test_a_chip_file_carries_what_is_known_of_its_face(tmp_path: Path, chip_format: ChipFormat) -> None:
    path = tmp_path / "chip"
    path.write_bytes(encode_chip(chip(), chip_format, METADATA))
    assert read_chip_metadata(path) == METADATA


@given(st.dictionaries(st.text(), st.text() | st.floats(allow_nan=False, allow_infinity=False) | st.none()))
def test_any_text_survives_in_a_chip_file(tmp_path_factory: pytest.TempPathFactory, metadata: dict[str, Any]) -> None:
    path = tmp_path_factory.getbasetemp() / "any-text"
    path.write_bytes(encode_chip(chip()[:8, :8], ChipFormat.JPG, metadata))
    assert read_chip_metadata(path) == metadata


def test_a_png_chip_is_the_pixels(tmp_path: Path) -> None:
    path = tmp_path / "chip.png"
    path.write_bytes(encode_chip(chip(), ChipFormat.PNG, METADATA))
    with PillowImage.open(path) as picture:
        np.testing.assert_array_equal(np.asarray(picture), chip())


def test_a_jpeg_chip_is_nearly_the_pixels(tmp_path: Path) -> None:
    path = tmp_path / "chip.jpg"
    path.write_bytes(encode_chip(chip(), ChipFormat.JPG, METADATA))
    with PillowImage.open(path) as picture:
        np.testing.assert_allclose(np.asarray(picture).astype(int), chip(), atol=10)


def test_a_jpeg_chip_keeps_its_colours_at_full_size(tmp_path: Path) -> None:
    path = tmp_path / "chip.jpg"
    path.write_bytes(encode_jpeg(chip()))
    with PillowImage.open(path) as picture:
        assert {layer[1:3] for layer in picture.layer} == {(1, 1)}  # type: ignore[attr-defined]


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
