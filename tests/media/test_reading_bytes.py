import sys
from collections.abc import Iterator, Mapping
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from clips import write_clip
from faceloom.faces import Image
from faceloom.units import MIB
from media.field_clips import write_frames
from media.picture_files import KINDS, shaded, write_picture
from media.reading_runs import tried

PICTURES = [(64, 96), (1083, 1917)]
"""The first one for warming up; the other is no multiple of any block."""
VIDEOS = [(128, 192), (1080, 1920)]
NOISE_BYTES = 1 * MIB
X264 = {"preset": "ultrafast", "g": "50"}
CODECS: dict[str, tuple[str, Mapping[str, str]]] = {
    "usual.mp4": ("libx264", {"preset": "veryfast", "bf": "3", "refs": "3", "g": "50"}),
    "most-references.mp4": ("libx264", {**X264, "x264-params": "ref=16:bframes=8:b-pyramid=2:b-adapt=0"}),
    "h265.mp4": ("libx265", {"preset": "ultrafast", "x265-params": "log-level=none:bframes=3:pools=none"}),
    "vp9.webm": ("libvpx-vp9", {"deadline": "realtime", "cpu-used": "8", "lag-in-frames": "8"}),
    "mpeg2.mpg": ("mpeg2video", {"g": "12", "bf": "2", "b": "8000000"}),
    "motion.mov": ("mjpeg", {}),
    "moving.gif": ("gif", {}),
}
KINDS_OF_VIDEO: dict[str, dict[str, Any]] = {
    "hdr.mkv": {
        "codec": "libx265",
        "pixels": "yuv420p10le",
        "options": {"preset": "ultrafast", "x265-params": "log-level=none:bframes=3:pools=none"},
        "tags": {"color_trc": 16, "color_primaries": 9, "colorspace": 9},
    },
    "deep.mkv": {
        "codec": "libx265",
        "pixels": "yuv420p10le",
        "options": {"preset": "ultrafast", "x265-params": "log-level=none:bframes=3:pools=none"},
    },
    "interlaced.mpg": {"codec": "mpeg2video", "pixels": "yuv420p", "options": {"flags": "+ildct+ilme", "b": "8000000"}},
    "aspect.mkv": {"codec": "libx264", "pixels": "yuv420p", "options": X264, "aspect": Fraction(2)},
    "narrow.mkv": {"codec": "libx264", "pixels": "yuv420p", "options": X264, "aspect": Fraction(1, 2)},
}
pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(sys.platform != "linux", reason="the peak of a process can be reset on Linux alone"),
]


def write_moving(path: Path, *, height: int, width: int, count: int = 24) -> Path:
    codec, options = CODECS[path.name]
    images = moving(height=height, width=width, count=count)
    return write_clip(path, range(count), time_base=Fraction(1, 25), codec=codec, options=options, images=images)


def moving(*, height: int, width: int, count: int) -> Iterator[Image]:
    large = shaded(height + 2 * count, width)
    return (np.ascontiguousarray(large[2 * i : 2 * i + height]) for i in range(count))


def folders(path: Path) -> tuple[Path, Path]:
    """One for each size."""
    for name in "01":
        (path / name).mkdir()
    return path / "0", path / "1"


@pytest.mark.parametrize("name", KINDS)
def test_reading_a_picture_takes_no_more_than_its_header_tells(tmp_path: Path, name: str) -> None:
    paths = [
        write_picture(folder, name, height=height, width=width)
        for folder, (height, width) in zip(folders(tmp_path), PICTURES, strict=True)
    ]
    found = tried("peaks", *paths)
    assert all(taken <= said + NOISE_BYTES for taken, said in zip(found["taken"], found["said"], strict=True))
    assert all(taken >= 0.4 * said for taken, said in zip(found["taken"], found["said"], strict=True))


@pytest.mark.parametrize("name", CODECS)
def test_reading_a_video_takes_no_more_than_is_said(tmp_path: Path, name: str) -> None:
    paths = [
        write_moving(folder / name, height=height, width=width)
        for folder, (height, width) in zip(folders(tmp_path), VIDEOS, strict=True)
    ]
    found = tried("peaks", *paths)
    assert all(taken <= said + NOISE_BYTES for taken, said in zip(found["taken"], found["said"], strict=True))
    if name == "usual.mp4":
        assert found["taken"][-1] >= 0.4 * found["said"][-1]


@pytest.mark.parametrize("name", KINDS_OF_VIDEO)
def test_what_is_done_to_a_video_takes_no_more_than_is_said(tmp_path: Path, name: str) -> None:
    paths = [
        write_frames(folder / name, moving(height=height, width=width, count=12), **KINDS_OF_VIDEO[name])
        for folder, (height, width) in zip(folders(tmp_path), VIDEOS, strict=True)
    ]
    found = tried("peaks", *paths)
    assert all(taken <= said + NOISE_BYTES for taken, said in zip(found["taken"], found["said"], strict=True))
    assert found["taken"][-1] >= 0.3 * found["said"][-1]
