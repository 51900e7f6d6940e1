from fractions import Fraction
from itertools import pairwise
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from faceloom.media.chunks import Chunk, PendingFrame, Span, cut_chunks, halves
from faceloom.media.sources import Source, SourceKind


@st.composite
def videos(draw: st.DrawFn, *, name: str = "video") -> list[PendingFrame]:
    """Frames of one video with keyframes anywhere, some of which are done already."""
    source = Source(name=name, path=Path(name), kind=SourceKind.VIDEO, time_base="1/10")
    keys = draw(st.lists(st.booleans(), min_size=1, max_size=40))
    todo = draw(st.lists(st.booleans(), min_size=len(keys), max_size=len(keys)))
    frames, key = [], 0
    for index, (is_key, is_todo) in enumerate(zip(keys, todo, strict=True)):
        key = index if is_key else key
        if is_todo:
            frames.append(PendingFrame(source=source, index=index, ticks=3 * index, seek_ticks=3 * key))
    return frames


@st.composite
def jobs(draw: st.DrawFn) -> list[PendingFrame]:
    """Pictures and videos, one after another."""
    frames: list[PendingFrame] = []
    for number in range(draw(st.integers(0, 5))):
        if draw(st.booleans()):
            path = Path(f"{number}.jpg")
            frames.append(PendingFrame(source=Source(name=path.name, path=path, kind=SourceKind.PICTURE), index=0))
        else:
            frames += draw(videos(name=f"video{number}"))
    return frames


limits = st.integers(1, 20)


def ids(spans: tuple[Span, ...]) -> list[tuple[str, int]]:
    return [(span.source.name, index) for span in spans for index in span.indexes]


def starts(chunks: list[tuple[Span, ...]]) -> list[tuple[str, int]]:
    return [ids(chunk)[0] for chunk in chunks]


@given(jobs(), limits)
def test_chunks_hold_every_frame_once_and_in_order(frames: list[PendingFrame], limit: int) -> None:
    chunks = cut_chunks(frames, frames_a_chunk=lambda: limit)
    assert [name for chunk in chunks for name in ids(chunk)] == [(frame.source.name, frame.index) for frame in frames]


@given(jobs(), limits)
def test_no_chunk_is_larger_than_the_limit_or_empty(frames: list[PendingFrame], limit: int) -> None:
    assert all(
        1 <= len(Chunk(number=0, spans=spans)) <= limit for spans in cut_chunks(frames, frames_a_chunk=lambda: limit)
    )


@given(jobs(), limits)
def test_a_chunk_ends_before_the_last_start_in_its_second_half(frames: list[PendingFrame], limit: int) -> None:
    position = {(frame.source.name, frame.index): i for i, frame in enumerate(frames)}
    chunks = list(cut_chunks(frames, frames_a_chunk=lambda: limit))
    for begin, end in pairwise(position[first] for first in starts(chunks)):
        window = range(begin + limit // 2 + 1, begin + limit + 1)
        # A frame that begins a source or is a keyframe; one that follows done frames is neither.
        good = [i for i in window if frames[i].index == 0 or frames[i].ticks == frames[i].seek_ticks is not None]
        assert end == max(good, default=begin + limit)


@given(jobs(), limits)
def test_the_frames_of_a_span_keep_their_own_times(frames: list[PendingFrame], limit: int) -> None:
    spans = [span for chunk in cut_chunks(frames, frames_a_chunk=lambda: limit) for span in chunk]
    times = [span.time(index) for span in spans for index in span.indexes]
    assert times == [None if frame.ticks is None else Fraction(frame.ticks, 10) for frame in frames]


@given(jobs(), limits)
def test_a_span_is_decoded_from_the_keyframe_before_its_first_frame(frames: list[PendingFrame], limit: int) -> None:
    seeks = {(frame.source.name, frame.index): frame.seek_ticks for frame in frames}
    spans = [span for chunk in cut_chunks(frames, frames_a_chunk=lambda: limit) for span in chunk]
    assert all(span.seek_ticks == seeks[span.source.name, span.first] for span in spans)


@given(jobs())
def test_halves_hold_the_same_frames_in_the_same_order(frames: list[PendingFrame]) -> None:
    spans = next(cut_chunks(frames, frames_a_chunk=lambda: 1000), ())
    first, second = halves(spans)
    assert ids(first) + ids(second) == ids(spans)


@given(jobs())
def test_halves_are_as_long_as_each_other_or_differ_by_one(frames: list[PendingFrame]) -> None:
    first, second = halves(next(cut_chunks(frames, frames_a_chunk=lambda: 1000), ()))
    assert len(ids(second)) - len(ids(first)) in (0, 1)


@given(videos())
def test_half_a_video_keeps_its_times(frames: list[PendingFrame]) -> None:
    spans = next(cut_chunks(frames, frames_a_chunk=lambda: 1000), ())
    times = [span.time(index) for half in halves(spans) for span in half for index in span.indexes]
    assert times == [frame.ticks and Fraction(frame.ticks, 10) for frame in frames]


@pytest.mark.parametrize(("begin", "end"), [(0, 0), (0, 5), (2, 4), (5, 5)])
def test_a_part_of_a_span_is_the_frames_from_here_to_there(begin: int, end: int) -> None:
    source = Source(name="video", path=Path("video"), kind=SourceKind.VIDEO)
    span = Span(source=source, first=10, count=5, ticks=(1, 2, 4, 8, 16), seek_ticks=1)
    part = span.part(begin, end)
    assert list(part.indexes) == list(range(10, 15))[begin:end]
    assert part.ticks == (1, 2, 4, 8, 16)[begin:end]


@given(st.data(), st.integers(2, 9), st.integers(1, 12))
def test_cuts_lie_where_blocks_begin(data: st.DataObject, block: int, most: int) -> None:
    source = Source(name="v.mp4", path=Path("v.mp4"), kind=SourceKind.VIDEO)
    indexes = sorted(data.draw(st.sets(st.integers(0, 60), min_size=1)))
    frames = [PendingFrame(source=source, index=i, ticks=i, seek_ticks=0) for i in indexes]
    chunks = list(cut_chunks(frames, frames_a_chunk=lambda: most, block=block))
    cut = [[i for span in spans for i in span.indexes] for spans in chunks]
    assert [i for chunk in cut for i in chunk] == indexes
    assert all(1 <= len(chunk) <= most for chunk in cut)
    for chunk, after in pairwise(cut):
        begins = [
            n for n in range(most // 2 + 1, len(chunk)) if chunk[n - 1] // block != chunk[n] // block
        ]  # later cuts that would have been in the second half
        assert chunk[-1] // block != after[0] // block or not begins
