from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest

from clips import write_clip
from faceloom.media.shortage import raise_if_short
from media.picture_files import shaded, write_picture
from media.reading_runs import tried

CLIPS = {
    "clip.mp4": ("libx264", {"preset": "ultrafast", "bf": "2", "refs": "3", "g": "6"}),
    "clip.webm": ("libvpx", {"deadline": "realtime", "cpu-used": "8"}),
    "clip.mpg": ("mpeg2video", {"bf": "2", "g": "6"}),
    "clip.mov": ("mjpeg", {}),
}


def test_what_can_be_had_is_not_short() -> None:
    raise_if_short(1 << 20)


def test_what_cannot_be_had_is_short() -> None:
    with pytest.raises(MemoryError):
        raise_if_short(1 << 60)


@pytest.mark.slow
@pytest.mark.parametrize(
    "name",
    [
        "baseline.jpg",
        "progressive.jpg",
        "turned.jpg",
        "cmyk-progressive.jpg",
        "cut.jpg",
        "rgba.png",
        "deep-grey.png",
        "lossy.webp",
        "lossless.webp",
        "lzw.tiff",
        "plain.jp2",
        "light.hdr",
    ],
)
def test_a_picture_is_right_or_memory_is_short(tmp_path: Path, name: str) -> None:
    found = tried("shortage", write_picture(tmp_path, name, height=750, width=1000))
    assert found["short"] > 0
    assert found["wrong"] == 0


@pytest.mark.slow
@pytest.mark.parametrize("name", CLIPS)
def test_a_frame_of_a_video_is_right_or_memory_is_short(tmp_path: Path, name: str) -> None:
    codec, options = CLIPS[name]
    large = shaded(720 + 20, 1280)
    images = [np.ascontiguousarray(large[i : i + 720]) for i in range(12)]
    path = write_clip(
        tmp_path / name, range(12), time_base=Fraction(1, 25), codec=codec, options=options, images=images
    )
    found = tried("shortage", path)
    assert found["short"] > 0
    assert found["wrong"] == 0
