from collections.abc import Mapping
from pathlib import Path

import numpy as np
import pytest

from faceloom.faces import Image
from faceloom.media.notes import Note
from faceloom.media.video_index import index_video
from media.field_clips import frames_of, join, write_frames
from media.picture_files import shaded

COUNT = 30
CODECS: dict[str, tuple[str, Mapping[str, str]]] = {
    "x264.mp4": ("libx264", {"preset": "veryfast", "g": "6", "bf": "2", "crf": "12", "x264-params": "tff=1"}),
    "mpeg2.mpg": ("mpeg2video", {"flags": "+ildct+ilme", "g": "6", "bf": "2", "b": "8000000"}),
}


def woven(count: int) -> list[Image]:
    """A scene that goes by, two moments in each frame: that of the odd rows comes half a frame later."""
    large = shaded(96, 160 + 8 * count)
    large[:, ::16] = 235
    frames = []
    for i in range(count):
        frame = large[:, 8 * i : 8 * i + 160].copy()
        frame[1::2] = large[1::2, 8 * i + 4 : 8 * i + 164]
        frames.append(frame)
    return frames


def write(folder: Path, name: str) -> Path:
    codec, options = CODECS[name]
    return write_frames(folder / name, woven(COUNT), codec=codec, pixels="yuv420p", options=options)


def combing(image: Image) -> float:
    """How much rows differ from those beside them more than from those after next."""
    rows = image.astype(float)
    return float(np.abs(rows[2:] - rows[1:-1]).mean() / np.abs(rows[2:] - rows[:-2]).mean())


@pytest.mark.parametrize("name", CODECS)
def test_interlaced_frames_are_deinterlaced_one_for_one(tmp_path: Path, name: str) -> None:
    path = write(tmp_path, name)
    index, frames = index_video(path), frames_of(path)
    assert len(frames) == COUNT
    assert index.ticks is not None
    assert [frame.time for frame in frames] == [tick * index.time_base for tick in index.ticks.tolist()]
    assert all(frame.notes == (Note.DEINTERLACED,) for frame in frames)
    assert all(combing(frame.image) < 0.5 * combing(image) for frame, image in zip(frames, woven(COUNT), strict=True))


@pytest.mark.parametrize("chunk", [1, 5, 6, 12])
@pytest.mark.parametrize("name", CODECS)
def test_a_deinterlaced_frame_is_the_same_wherever_reading_begins(tmp_path: Path, name: str, chunk: int) -> None:
    path = write(tmp_path, name)
    for one, other in zip(frames_of(path), frames_of(path, chunk=chunk, backwards=True), strict=True):
        np.testing.assert_array_equal(one.image, other.image)


def test_that_holds_for_interlaced_files_that_were_joined(tmp_path: Path) -> None:
    part = write(tmp_path, "mpeg2.mpg")
    path = join(tmp_path / "joined.mpg", [part, part])
    frames = frames_of(path)
    assert len(frames) == 2 * COUNT
    for one, other in zip(frames, frames_of(path, chunk=6, backwards=True), strict=True):
        np.testing.assert_array_equal(one.image, other.image)


def test_frames_between_interlaced_ones_that_are_not_stay_as_they_are(tmp_path: Path) -> None:
    woven_part = write(tmp_path, "mpeg2.mpg")
    still = write_frames(tmp_path / "still.mpg", woven(8), codec="mpeg2video", pixels="yuv420p", options={"g": "6"})
    alone = frames_of(still)
    frames = frames_of(join(tmp_path / "joined.mpg", [woven_part, still, woven_part]))
    assert [Note.DEINTERLACED in frame.notes for frame in frames] == [True] * COUNT + [False] * 8 + [True] * COUNT
    for one, other in zip(alone, frames[COUNT : COUNT + 8], strict=True):
        np.testing.assert_array_equal(one.image, other.image)


def test_a_single_interlaced_frame_comes(tmp_path: Path) -> None:
    codec, options = CODECS["x264.mp4"]
    path = write_frames(tmp_path / "one.mp4", woven(1), codec=codec, pixels="yuv420p", options=options)
    assert len(frames_of(path)) == 1
