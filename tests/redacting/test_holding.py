"""Frames that wait: the same is covered as in a file, if they wait as long as gaps are; and never less than may be."""

from fractions import Fraction
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import numpy as np
import pytest
from av.video.frame import VideoFrame
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from faceloom.choices import Fill, Over
from faceloom.media.decoding import Decoded
from faceloom.redacting.covering import SeenFaces, cover
from faceloom.redacting.holding import FrameDelay, HeldFrame
from faceloom.redacting.recording import _RunningClock
from faceloom.redacting.styles import Style
from faceloom.redacting.tracks import tracks_of

RATE = 10.0
FRAMES = 40
DECODED = Decoded(frame=VideoFrame(64, 48, "yuv420p"), is_suspect=False)
DECODED_BYTES = sum(plane.buffer_size for plane in DECODED.frame.planes)
NONE = np.zeros((0, 4), np.float32)


def style(*, fill_s: float = 1.0, hold_s: float = 0.3) -> Style:
    return Style(
        fill=Fill.SOLID, over=Over.BOX, margin=0, feather=0, fill_s=fill_s, hold_s=hold_s, quality=20, picture=None
    )


def box_at(frame: int) -> NDArray[np.float32]:
    return np.array([[100 + 2 * frame, 100, 160 + 2 * frame, 180]], np.float32)


def frames_with(found: set[int]) -> list[HeldFrame]:
    return [
        HeldFrame(
            index=i,
            time_s=i / RATE,
            ticks=i,
            decoded=DECODED,
            size=(480, 640),
            boxes=box_at(i) if i in found else NONE,
            scores=np.ones(int(i in found), np.float32),
        )
        for i in range(FRAMES)
    ]


def held(found: set[int], *, delay_s: float, most_bytes: int = 1 << 30) -> dict[int, list[tuple[float, ...]]]:
    """What is covered in each frame, in the order in which they are given."""
    holding = FrameDelay(style(), delay_s=delay_s, most_bytes=most_bytes)
    given = [one for frame in frames_with(found) for one in holding.add(frame)] + list(holding.end())
    assert [frame.index for frame, _, _ in given] == list(range(FRAMES))
    return {
        frame.index: sorted(tuple(map(float, covers.boxes[row])) for row in covers.rows_of(number))
        for frame, covers, number in given
    }


@settings(max_examples=25, deadline=None)
@given(st.sets(st.integers(0, FRAMES - 1)))
def test_frames_that_wait_as_long_as_a_gap_are_covered_as_in_a_file(found: set[int]) -> None:
    numbers = np.array(sorted(found), np.int64)
    boxes = np.concatenate([NONE, *(box_at(i) for i in sorted(found))])
    seen = SeenFaces(
        frames=numbers,
        boxes=boxes,
        scores=np.ones(len(numbers), np.float32),
        tracks=tracks_of(numbers, numbers, numbers / RATE, boxes),
        indexes=np.full(len(numbers), -1),
    )
    whole = cover(seen, np.arange(FRAMES) / RATE, gap_s=1.0, hold_s=0.3)
    for frame, told in held(found, delay_s=1.0).items():
        expected = [whole.boxes[row] for row in whole.rows_of(frame)]
        assert len(told) >= len(expected)
        for box in expected:
            assert any(np.allclose(one, box, atol=0.6) for one in told)


@pytest.mark.parametrize("delay_s", [0.0, 0.3])
def test_what_is_missing_is_covered_as_long_as_it_could_be_back(delay_s: float) -> None:
    """Nobody knows at the time that the face will be back."""
    told = held({0, 1, 2, 3, 12, 13}, delay_s=delay_s)
    for frame in range(4, 12):
        x0, y0, x1, y1 = box_at(3)[0] if not delay_s else box_at(frame)[0]
        assert any(b[0] <= x0 + 18 and b[1] <= y0 and b[2] >= x1 - 18 and b[3] >= y1 for b in told[frame])


def test_no_more_is_held_than_may_be() -> None:
    holding = FrameDelay(style(), delay_s=2.0, most_bytes=5 * DECODED_BYTES)
    waiting = 0
    for frame in frames_with({1, 2}):
        waiting += 1 - len(list(holding.add(frame)))
        assert waiting <= 6
    assert holding.hurried


def test_times_go_on_where_a_clock_is_set_anew() -> None:
    clock = _RunningClock()
    told = [clock.ticks(Fraction(time, 25)) for time in (100, 101, 102, 3, 4, 1000, 1001)]
    assert told == [0, 3600, 7200, 10800, 14400, 18000, 21600]
    assert clock.jumps == 2
    assert clock.ticks(None) > told[-1]


def test_cameras_without_times_have_even_ones() -> None:
    clock = _RunningClock()
    assert [clock.ticks(None) for _ in range(3)] == [0, 3600, 7200]


def test_frames_of_one_time_follow_each_other() -> None:
    clock = _RunningClock()
    told = [clock.ticks(Fraction(1)) for _ in range(3)]
    assert told == sorted(set(told))
    assert clock.jumps == 0


def fake(**told: Any) -> Any:
    return cast(Any, SimpleNamespace(**told))


def test_names_of_recordings_tell_no_secret(tmp_path: Path) -> None:
    from faceloom.redacting.lasting import live_names

    names = live_names(fake(name="rtsp://host:554/a/b?token=secret"))
    assert [next(names), next(names)] == ["rtsp-host-554-a-b.mp4", "rtsp-host-554-a-b-2.mp4"]
    assert next(live_names(fake(name="-"))) == "stdin.mp4"
