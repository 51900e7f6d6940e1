import numpy as np

from faceloom.people.doubt import LEAST_PX, is_doubtful


def test_a_face_is_doubted_by_its_quality_and_where_that_is_unknown_by_its_size() -> None:
    qualities = np.array([0.9, 0.5, 0.64999, 0.65, np.nan, np.nan])
    sizes_px = np.array([10.0, 500.0, 500.0, 10.0, LEAST_PX - 1, LEAST_PX])
    assert is_doubtful(qualities, sizes_px, least=0.65).tolist() == [False, True, True, False, True, False]


def test_no_face_is_doubted_where_no_quality_is_asked_for() -> None:
    assert not is_doubtful(np.array([0.0, np.nan]), np.array([1.0, 1.0]), least=0).any()
