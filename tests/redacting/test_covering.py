from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from faceloom.redacting.covering import Covers, Doubt, SeenFaces, cover
from faceloom.redacting.doubts import counted, runs_of, shown_of
from faceloom.redacting.tracks import tracks_of

RATE = 30.0


def times_of(count: int) -> NDArray[np.float64]:
    return np.arange(count) / RATE


def faces(frames: list[int], *, step: float = 2.0, score: float = 1.0) -> SeenFaces:
    """One face that moves to the right by `step` pixels a frame, found in these frames."""
    numbers = np.array(frames, np.int64)
    boxes = np.array([[10 + step * i, 20, 60 + step * i, 90] for i in frames], np.float32).reshape(-1, 4)
    return SeenFaces(
        frames=numbers,
        boxes=boxes,
        scores=np.full(len(frames), score, np.float32),
        tracks=tracks_of(numbers, numbers, numbers / RATE, boxes),
        indexes=np.zeros(len(frames), np.int64),
    )


def truth(frame: int, step: float = 2.0) -> NDArray[np.float32]:
    return np.array([10 + step * frame, 20, 60 + step * frame, 90], np.float32)


def holds(outer: NDArray[np.float32], inner: NDArray[np.float32]) -> bool:
    return bool((outer[:2] <= inner[:2] + 1e-3).all() and (outer[2:] >= inner[2:] - 1e-3).all())


def boxes_of(covers: Covers, frame: int) -> list[NDArray[np.float32]]:
    return [covers.boxes[row] for row in covers.rows_of(frame)]


@settings(max_examples=30)
@given(st.lists(st.integers(0, 40), min_size=1, unique=True), st.floats(0.0, 4.0))
def test_a_face_that_moves_evenly_is_covered_wherever_its_track_knows_of_it(found: list[int], step: float) -> None:
    frames = sorted(found)
    covers = cover(faces(frames, step=step), times_of(41), gap_s=2.0, hold_s=0.0)
    first, last = frames[0], frames[-1]
    is_one = len(set(faces(frames, step=step).tracks.tolist())) == 1
    for frame in range(41):
        inside = frame in frames or (is_one and first <= frame <= last)
        if inside:
            assert any(holds(box, truth(frame, step)) for box in boxes_of(covers, frame))
        elif frame < first or frame > last:
            assert not boxes_of(covers, frame)


def test_what_is_covered_grows_towards_the_middle_of_a_gap() -> None:
    covers = cover(faces([0, 21]), times_of(22), gap_s=1.0, hold_s=0.0)
    widths = [float(boxes_of(covers, frame)[0][2] - boxes_of(covers, frame)[0][0]) for frame in range(22)]
    assert np.argmax(widths) in {10, 11}
    assert (np.diff(widths[:11]) > 0).all()
    assert widths[:11] == pytest.approx(widths[21:10:-1], abs=1e-3)


def test_a_longer_gap_is_held_at_both_ends_and_not_filled() -> None:
    covers = cover(faces([0, 60], step=0.0), times_of(61), gap_s=1.0, hold_s=0.2)
    assert [bool(boxes_of(covers, frame)) for frame in (0, 6, 7, 53, 54, 60)] == [True, True, False, False, True, True]


def test_times_decide_how_long_a_face_is_held_and_not_frames() -> None:
    times = np.array([0.0, 0.01, 0.02, 0.5, 1.0, 1.001])
    covers = cover(faces([0]), times, gap_s=1.0, hold_s=0.3)
    assert [len(boxes_of(covers, frame)) for frame in range(6)] == [1, 1, 1, 0, 0, 0]


def test_a_lower_score_covers_more() -> None:
    sure, unsure = (cover(faces([0], score=score), times_of(1), gap_s=1, hold_s=0).boxes[0] for score in (1.0, 0.4))
    assert holds(unsure, sure)
    assert (unsure[2] - unsure[0]) > (sure[2] - sure[0])


def test_two_faces_that_pass_each_other_keep_their_tracks() -> None:
    rows = []
    for frame in range(40):
        there, back = 8.0 * frame, 312 - 8.0 * frame
        rows += [(frame, [there, 0, there + 60, 80]), (frame, [back, 50, back + 60, 130])]
    frames = np.array([frame for frame, _ in rows], np.int64)
    tracks = tracks_of(frames, frames, frames / RATE, np.array([box for _, box in rows], np.float32))
    assert len(set(tracks[::2].tolist())) == len(set(tracks[1::2].tolist())) == 1
    assert tracks[0] != tracks[1]


def test_no_track_has_two_faces_of_a_frame() -> None:
    generator = np.random.default_rng(4)
    frames = np.sort(generator.integers(0, 30, 200))
    corners = generator.uniform(0, 100, (200, 2))
    boxes = np.concatenate([corners, corners + 40], axis=1).astype(np.float32)
    tracks = tracks_of(frames, frames, frames / RATE, boxes)
    pairs = list(zip(frames.tolist(), tracks.tolist(), strict=True))
    assert len(pairs) == len(set(pairs))
    assert (tracks >= 0).all()


def test_no_face_is_held_beyond_a_cut() -> None:
    covers = cover(faces([10]), times_of(21), gap_s=1, hold_s=0.3, cuts=np.array([8, 12]))
    assert covers.frames.tolist() == [8, 9, 10, 11]


def test_doubts_are_told_in_runs_with_the_worst_first() -> None:
    covers = cover(faces([5, 6, 7, 12, 13], score=0.5), times_of(20), gap_s=1.0, hold_s=0.1)
    runs = runs_of(covers, np.array([18, 19]))
    assert [(run.doubt, run.first, run.last) for run in runs] == [
        (Doubt.UNSEEN, 18, 19),
        (Doubt.LOW_SCORE, 5, 7),
        (Doubt.LOW_SCORE, 12, 13),
        (Doubt.GAP, 8, 11),
        (Doubt.ENDS, 2, 4),
        (Doubt.ENDS, 14, 16),
    ]
    assert counted(runs) == {"not looked at": 2, "low score": 5, "gap filled": 4, "before or after": 6}
    assert {run.first for run in shown_of(runs)} == {18, 5, 12, 8, 2, 14}


def in_frames(seen: SeenFaces, *, height: int, width: int) -> SeenFaces:
    return replace(seen, sizes=np.full((len(seen), 2), (height, width)))


def test_a_face_that_goes_out_over_the_edge_is_doubtful_where_it_is_not_found_any_more() -> None:
    seen = in_frames(faces([0, 1, 2, 15]), height=100, width=90)  # the last one reaches to 90
    covers = cover(seen, times_of(20), gap_s=0.6, hold_s=0.1)
    doubts = {frame: covers.doubts[row] for frame in range(20) for row in covers.rows_of(frame)}
    assert {frame for frame, doubt in doubts.items() if doubt is Doubt.EDGE} == {16, 17, 18}
    assert Doubt.ENDS not in doubts.values()


def test_a_face_that_stays_at_the_edge_is_no_doubt() -> None:
    seen = in_frames(faces(list(range(20)), step=0.0), height=91, width=200)
    assert seen.are_cut.all()
    assert set(cover(seen, times_of(20), gap_s=1.0, hold_s=0.3).doubts) == {None}
