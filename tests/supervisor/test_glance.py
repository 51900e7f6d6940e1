"""A look at a few frames before a plan."""

from dataclasses import replace
from pathlib import Path

import hypothesis.strategies as st
import pytest
from hypothesis import given

import faceloom
from faceloom.job import Glimpse, Order, Outputs
from faceloom.media.chunks import PendingFrame
from faceloom.media.sources import Source, SourceKind
from faceloom.orders.flows import make_flow
from faceloom.orders.order import make_order
from faceloom.supervisor.glance import places_among
from faceloom.supervisor.in_process import Alike
from faceloom.supervisor.survey import TYPICAL, Survey
from faceloom.supervisor.workers import WorkerPool


def film(name: str, keyframes: list[int], frames: int) -> list[PendingFrame]:
    """The frames of a video with these keyframes, of which 0 is one."""
    source = Source(name=name, path=Path(name), kind=SourceKind.VIDEO)
    before = [max([0, *(key for key in keyframes if key <= i)]) for i in range(frames)]
    return [PendingFrame(source=source, index=i, ticks=i, seek_ticks=before[i]) for i in range(frames)]


films = st.lists(st.tuples(st.lists(st.integers(0, 60)), st.integers(1, 60)), min_size=1, max_size=5)


@given(films, st.integers(1, 9), st.integers(1, 5))
def test_places_are_runs_at_which_reading_can_begin(
    lengths: list[tuple[list[int], int]], places: int, frames_a_place: int
) -> None:
    frames = [frame for i, (keys, count) in enumerate(lengths) for frame in film(f"{i}.mp4", keys, count)]
    runs = places_among(frames, len(frames), places=places, frames_a_place=frames_a_place)
    assert 1 <= len(runs) <= places
    assert len({(run[0].source.name, run[0].index) for run in runs}) == len(runs)
    for run in runs:
        assert run[0].starts
        assert 1 <= len(run) <= frames_a_place
        first = frames.index(run[0])
        assert run == frames[first : first + len(run)]
        assert all(frame.source == run[0].source for frame in run)


def test_places_are_spread_evenly() -> None:
    pictures = [
        PendingFrame(source=Source(name=f"{i}.jpg", path=Path(f"{i}.jpg"), kind=SourceKind.PICTURE), index=0)
        for i in range(80)
    ]
    runs = places_among(pictures, 80, places=8, frames_a_place=4)
    assert [run[0].source.name for run in runs] == [f"{i}.jpg" for i in range(5, 80, 10)]
    assert all(len(run) == 1 for run in runs)


@pytest.fixture
def order(samples: Path) -> Order:
    """The usual order."""
    return make_order(make_flow({}), Outputs(), {}, on_event=lambda event: None)


def test_a_plan_expects_what_was_seen(order: Order) -> None:
    def work(seen: Glimpse | None) -> tuple[float, float, float]:
        with WorkerPool() as pool:
            looked = replace(order, seen=seen)
            listing = Alike(known=[(SourceKind.VIDEO, TYPICAL)], number=100)
            found = Survey(looked, order.targets[0], listing, pool, on_event=lambda event: None).work
        return found.faces_a_frame, found.kept_bytes_a_frame, found.decode_s

    faces, kept, decode_s = work(None)
    assert work(Glimpse(frames=4, faces=26, reading=3.0)) == pytest.approx((6.5, 6.5 / faces * kept, 3 * decode_s))
    assert 0 < work(Glimpse(frames=4, faces=0))[0] < 0.1


@pytest.mark.parametrize("source", ["portrait.png", "clip.mp4"])
def test_a_look_finds_the_faces_of_the_run(source: str, samples: Path, tmp_path: Path) -> None:
    faceloom.profile(samples / source, align=None, mask=())
    options = {"align": None, "mask": (), "chips": False}
    seen = faceloom.plan(samples / source, **options).seen  # type: ignore[arg-type]
    found = faceloom.extract(samples / source, tmp_path / "out", **options)  # type: ignore[arg-type]
    assert seen is not None
    assert seen.frames > 0
    assert seen.faces * found.frames == found.faces * seen.frames > 0
    assert faceloom.plan(samples / source, look=False, **options).seen is None  # type: ignore[arg-type]
