import struct
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from faceloom.choices import Crop
from faceloom.formats.record import MaskRecord, OnChip, decode_mask
from faceloom.geometry.affine import apply
from faceloom.geometry.chips import Framing, frame_to_chip
from faceloom.geometry.drawings import Drawing
from faceloom.geometry.landmarks import MEAN_FACE
from faceloom.mask.components import Components
from faceloom.mask.extended import Extended

shares = st.floats(0, 1)
framings = st.builds(Framing, st.sampled_from(list(Crop)), level=st.booleans())
LANDMARKS = (60 * MEAN_FACE @ [[0.9, 0.3], [-0.3, 0.9]] + 200).astype(np.float32)


@given(shares, shares)
def test_what_a_store_keeps_is_the_drawing_that_was_asked_for(grow: float, lift: float) -> None:
    for plugin in (Components(grow=grow), Extended(grow=grow, lift=lift)):
        assert Drawing.parse(str(plugin.drawing)) == plugin.drawing


@given(shares, framings, st.integers(16, 200))
def test_a_mask_drawn_when_read_is_the_one_that_the_plugin_draws(grow: float, framing: Framing, size: int) -> None:
    plugin = Extended(grow=grow)
    record = MaskRecord(size=size, content=OnChip(plugin.drawing, LANDMARKS, framing))
    expected = plugin.draw(apply(frame_to_chip(LANDMARKS, size=size, framing=framing), LANDMARKS), size=size)
    np.testing.assert_array_equal(record.pixels(), expected)
    np.testing.assert_array_equal(decode_mask(record.png, size=size), expected)


@pytest.mark.parametrize(
    "text",
    ["", "components/1", "components/2 0.1", "components/1 0.1 0.2", "components/1 nan", "extended/1 0.1 1e9", "x 1"],
)
def test_what_is_no_drawing_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match=r"drawing|float"):
        Drawing.parse(text)


def test_a_picture_of_another_size_is_no_mask() -> None:
    record = MaskRecord(size=32, content=OnChip(Components().drawing, LANDMARKS, Framing()))
    with pytest.raises(ValueError, match="64 x 64"):
        decode_mask(record.png, size=64)


def test_what_is_no_png_is_no_mask_and_is_not_written_anywhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OPENCV_TEMP_PATH", str(tmp_path))  # where it would put what it decodes from files alone
    content = b"#?RADIANCE\n#    " + struct.pack(">II", 64, 64) + b"\nFORMAT=32-bit_rle_rgbe\n\n-Y 60000 +X 60000\n"
    with pytest.raises(ValueError, match="64 x 64"):
        decode_mask(content, size=64)
    assert not list(tmp_path.iterdir())
