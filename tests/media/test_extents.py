"""Windows of a video: what FFmpeg needs to decode their frames is in them, and no more than fits."""

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from faceloom.errors import MediaError
from faceloom.media.chunks import PendingFrame
from faceloom.media.extents import Extents, cut_windows
from faceloom.media.locating import locate
from faceloom.media.parts import parts_of, total_bytes, write_parts
from faceloom.media.sources import Source, SourceKind
from faceloom.media.video_index import index_video
from films import write_film

SOURCE = Source(name="a.mp4", path=Path("a.mp4"), kind=SourceKind.VIDEO)


def made(sizes: list[int], every: int) -> tuple[Extents, list[PendingFrame]]:
    """A stream whose frames come in the order in which they are coded, with some bytes of sound between."""
    count = len(sizes)
    offsets = np.cumsum([100, *(size + 7 for size in sizes[:-1])])
    extents = Extents(
        ticks=np.arange(count, dtype=np.int64) * 10,
        offsets=offsets.astype(np.int64),
        sizes=np.array(sizes, np.int64),
        keyframes=np.arange(count) % every == 0,
    )
    frames = [
        PendingFrame(source=SOURCE, index=i, ticks=i * 10, seek_ticks=i // every * every * 10) for i in range(count)
    ]
    return extents, frames


@given(
    sizes=st.lists(st.integers(1, 5000), min_size=1, max_size=200),
    every=st.integers(1, 30),
    room=st.integers(1000, 400_000),
    wanted=st.sets(st.integers(0, 199)),
    block=st.sampled_from([1, 4, 40]),
)
def test_each_wanted_frame_is_in_one_window_with_all_from_its_keyframe(
    sizes: list[int], every: int, room: int, wanted: set[int], block: int
) -> None:
    extents, frames = made(sizes, every)
    pending = [frame for frame in frames if frame.index in wanted]
    try:
        windows = list(cut_windows(extents, pending, most_bytes=room, block=block))
    except MediaError as error:
        assert "keyframe" in str(error)  # noqa: PT017
        return
    assert all(total_bytes(window.ranges) <= room for window in windows)
    homes = [[window for window in windows if frame.index in window.frames] for frame in pending]
    assert all(len(home) == 1 for home in homes)
    for frame, (home,) in zip(pending, homes, strict=True):
        first = max(0, frame.index // every * every - (block if block > 1 else 0))
        for index in range(first, min(len(sizes), frame.index + 20)):
            begin = int(extents.offsets[index])
            end = begin + int(extents.sizes[index])
            assert any(low <= begin and end <= high for low, high in home.ranges)


def test_a_time_that_no_packet_has_is_refused() -> None:
    extents, frames = made([10] * 20, 5)
    with pytest.raises(MediaError, match="times"):
        list(cut_windows(extents, [PendingFrame(source=SOURCE, index=3, ticks=30, seek_ticks=3)], most_bytes=10**6))
    with pytest.raises(MediaError, match="times"):
        list(cut_windows(extents, [PendingFrame(source=SOURCE, index=3)], most_bytes=10**6))
    assert frames


def test_an_index_alone_tells_what_the_whole_file_does(samples: Path, tmp_path: Path) -> None:
    whole = write_film(tmp_path / "a.mp4", samples / "clip.mp4", times=4, options={"g": "12", "bf": "2"})
    content = whole.read_bytes()
    begin, end = content.index(b"mdat") + 4, content.index(b"moov") - 4
    known = locate(whole)
    first = int(known.offsets[40])
    part = tmp_path / "part.mp4"
    part.write_bytes(content[:first] + bytes(end - first) + content[end:])
    write_parts(part, [(0, first), (end, len(content))])
    found = locate(part)
    for name in ("ticks", "offsets", "sizes", "keyframes"):
        assert np.array_equal(getattr(found, name), getattr(known, name))
    assert parts_of(part) is not None
    one, other = index_video(whole), index_video(part)
    assert one.ticks is not None
    assert other.ticks is not None
    assert np.array_equal(one.ticks, other.ticks)
    assert np.array_equal(one.keyframes, other.keyframes)
    assert (one.height, one.width, one.notes, one.problem) == (other.height, other.width, other.notes, other.problem)
    assert begin < first
