import numpy as np
import pytest

from faceloom.tracking.gaps import Placed, between, choose, find_gaps


def placed(frame: int, x: float, side: float, *, points: bool = True) -> Placed:
    box = np.array([x - side / 2, 50 - side / 2, x + side / 2, 50 + side / 2], np.float32)
    landmarks = np.array([[x, 50], [x + side / 4, 50 - side / 4]], np.float32) if points else None
    return Placed(frame=frame, time_s=frame / 25, box=box, landmarks=landmarks, keypoints=None)


def test_a_face_goes_straight_and_grows_evenly_and_its_points_go_with_it() -> None:
    middle = between(placed(0, 100, 20), placed(10, 200, 80), 5, 0.2)
    expected = placed(5, 150, 40)
    assert middle.box.tolist() == pytest.approx(expected.box.tolist())
    assert middle.landmarks is not None
    assert expected.landmarks is not None
    assert middle.landmarks == pytest.approx(expected.landmarks, abs=1e-4)


@pytest.mark.parametrize("share", [0, 1])
def test_at_its_ends_it_is_the_face_that_was_found(share: int) -> None:
    ends = placed(0, 100, 20), placed(10, 200, 80)
    found = between(*ends, 10 * share, 0.4 * share)
    assert found.box == pytest.approx(ends[share].box, abs=1e-3)


def test_points_that_one_end_lacks_are_not_laid() -> None:
    assert between(placed(0, 0, 9), placed(2, 9, 9, points=False), 1, 0.04).landmarks is None


def test_gaps_are_those_frames_that_were_looked_at() -> None:
    """Frames 3 and 4 failed, or were not asked for."""
    frames = np.array([0, 1, 2, 5, 6, 7, 40])
    track = [placed(index, 100, 20) for index in (0, 1, 6, 40)]
    gaps = list(find_gaps(track, frames, frames / 25, longest_s=0.5))
    assert [(gap.before, [face.frame for face in gap.faces]) for gap in gaps] == [(1, [2, 5])]


def boxes(*lefts: float) -> np.ndarray:
    return np.array([[x, 0, x + 10, 10] for x in lefts], np.float32).reshape(-1, 4)


def test_the_face_is_the_one_that_is_where_it_should_be_and_is_nobody_else() -> None:
    here = boxes(0)[0]
    assert choose(here, boxes(), [], boxes()) is None
    assert choose(here, boxes(20), [0.9], boxes()) is None
    assert choose(here, boxes(4, 1), [0.9, 0.8], boxes()) == 1
    assert choose(here, boxes(4, 1), [0.9, 0.8], boxes(1.5)) is None
    assert choose(here, boxes(4, 1), [0.9, 0.3], boxes(20)) == 0
