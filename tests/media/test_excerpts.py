from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from faceloom.errors import MediaError, RequestError
from faceloom.media.excerpts import Excerpt, Position, parse_position
from faceloom.media.sources import VideoIndex

TIME_BASE = Fraction(1, 90)
positions = st.none() | st.integers(0, 60) | st.fractions(0, 5, max_denominator=200)


def video(ticks: list[int] | None, frames: int = 0) -> VideoIndex:
    times = None if ticks is None else np.array(ticks, np.int64)
    count = frames if ticks is None else len(ticks)
    return VideoIndex(
        height=2, width=2, time_base=TIME_BASE, ticks=times, reading_bytes=0, keyframes=np.ones(count, np.bool_)
    )


@given(st.lists(st.integers(0, 400), max_size=50).map(sorted), st.integers(1, 7), positions, positions)
def test_an_excerpt_is_every_nth_frame_from_start_up_to_end(
    ticks: list[int], every: int, start: Position | None, end: Position | None
) -> None:
    def is_before(i: int, position: Position | None) -> bool:
        if position is None:
            return False
        return i < position if isinstance(position, int) else ticks[i] * TIME_BASE < position

    wanted = [i for i in range(len(ticks)) if not is_before(i, start) and (end is None or is_before(i, end))]
    assert list(Excerpt(every=every, start=start, end=end).frames(video(ticks))) == wanted[::every]


def test_frames_of_a_video_without_times_are_found_by_their_number_alone() -> None:
    assert list(Excerpt(start=3, end=6).frames(video(None, frames=10))) == [3, 4, 5]
    with pytest.raises(MediaError, match="250f"):
        Excerpt(start=Fraction(1)).frames(video(None, frames=10))


@pytest.mark.parametrize(
    ("text", "position"),
    [
        ("83.5", Fraction(167, 2)),
        ("1:23.5", Fraction(167, 2)),
        ("1:02:03", Fraction(3723)),
        ("0", Fraction(0)),
        ("250f", 250),
    ],
)
def test_places_are_read_as_times_or_frames(text: str, position: Position) -> None:
    found = parse_position(text)
    assert (found, isinstance(found, int)) == (position, isinstance(position, int))


@pytest.mark.parametrize("text", ["", "f", "-1", "1:2:3:4", "ten", "1e3", "2.5f", "#250"])
def test_what_is_no_place_is_refused(text: str) -> None:
    with pytest.raises(RequestError, match="1:23"):
        parse_position(text)
