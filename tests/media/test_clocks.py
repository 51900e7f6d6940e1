from collections.abc import Mapping
from fractions import Fraction
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest

from clips import HEIGHT, read_number
from faceloom.media.notes import Note
from media.field_clips import frames_of, join, source_of, write_part

MPEG2 = ("mpeg2video", {"g": "12", "bf": "2"}, ".mpg")
_X264 = {"bf": "3", "g": "12", "preset": "veryfast", "crf": "18"}
X264 = ("libx264", _X264, ".ts")
OPEN = ("libx264", {**_X264, "x264-params": "open-gop=1:keyint=12:min-keyint=12:bframes=3:scenecut=0"}, ".ts")
X265 = (
    "libx265",
    {"x265-params": "log-level=none:keyint=12:bframes=3:pools=none", "preset": "ultrafast"},
    ".ts",
)
KINDS = {"mpeg2": MPEG2, "x264": X264, "open": OPEN, "x265": X265}
NUMBERS = (range(30), range(50, 75), range(100, 117))


def joined(
    folder: Path,
    kind: tuple[str, Mapping[str, str], str],
    *,
    scale: int = 1,
    second: Mapping[str, str] = {},  # never written to
) -> Path:
    """Three parts in a file; the frames of the middle one are larger by a factor, and encoded with other options."""
    codec, options, suffix = kind
    parts = [
        write_part(
            folder / f"{i}{suffix}",
            numbers,
            codec=codec,
            options={**options, **(second if i == 1 else {})},
            scale=scale if i == 1 else 1,
        )
        for i, numbers in enumerate(NUMBERS)
    ]
    return join(folder / f"joined{suffix}", parts)


def numbers_of(path: Path, **reading: int | bool) -> list[int | None]:
    shown = []
    for frame in frames_of(path, **reading):  # type: ignore[arg-type]
        factor = frame.image.shape[0] // HEIGHT
        shown.append(read_number(np.ascontiguousarray(frame.image[::factor, ::factor])))
    return shown


@pytest.mark.parametrize("scale", [1, 2])
@pytest.mark.parametrize("kind", KINDS)
def test_of_files_that_were_joined_every_frame_comes_once_in_order(tmp_path: Path, kind: str, scale: int) -> None:
    assert numbers_of(joined(tmp_path, KINDS[kind], scale=scale)) == [i for part in NUMBERS for i in part]


@pytest.mark.parametrize("chunk", [5, 16])
@pytest.mark.parametrize("kind", KINDS)
def test_frames_of_joined_files_are_the_same_wherever_reading_begins(tmp_path: Path, kind: str, chunk: int) -> None:
    path = joined(tmp_path, KINDS[kind])
    onward, backward = frames_of(path), frames_of(path, chunk=chunk, backwards=True)
    for one, other in zip(onward, backward, strict=True):
        np.testing.assert_array_equal(one.image, other.image)


@pytest.mark.parametrize("kind", KINDS)
def test_the_times_of_joined_files_go_on(tmp_path: Path, kind: str) -> None:
    times = [frame.time for frame in frames_of(joined(tmp_path, KINDS[kind]))]
    assert {other - one for one, other in pairwise(times) if one and other} == {Fraction(1, 25)}


@pytest.mark.parametrize("second", [{"bf": "0"}, {"bf": "1"}])
def test_parts_that_reorder_over_other_times_do_not_mix(tmp_path: Path, second: Mapping[str, str]) -> None:
    assert numbers_of(joined(tmp_path, X264, second=second)) == [i for part in NUMBERS for i in part]


def test_a_source_says_that_it_was_joined(tmp_path: Path) -> None:
    path = joined(tmp_path, MPEG2, scale=2)
    source, index = source_of(path)
    assert source.is_joined
    assert {Note.JOINED, Note.RESIZED} <= set(index.notes)
    assert (index.height, index.width) == (2 * HEIGHT, 256)  # of the largest frame: memory is asked for by it


def test_a_file_that_was_not_joined_says_nothing(tmp_path: Path) -> None:
    source, _ = source_of(write_part(tmp_path / "one.ts", range(40), codec="libx264", options=_X264))
    assert not source.notes
