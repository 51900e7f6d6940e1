import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from faceloom.align.facemesh import FaceMesh
from faceloom.geometry.affine import Points, apply, fit_similarity, square_to_image
from faceloom.geometry.five import are_plausible, on_mean_face
from faceloom.geometry.landmarks import MEAN_FACE, five_keypoints

MEAN_FIVE = five_keypoints(MEAN_FACE.astype(np.float32))
SQUARE = FaceMesh.five_square
assert SQUARE

turns = st.floats(-np.pi, np.pi)
places = st.tuples(st.floats(-500, 2000), st.floats(-500, 2000))
sizes = st.floats(20, 900)
departures = st.lists(st.floats(-0.1, 0.1), min_size=10, max_size=10)


def face(shape: Points, middle: tuple[float, float], eyes_px: float, angle: float) -> Points:
    """(5, 2) keypoints in the frame of a face (5, 2) in units of its eye distance."""
    return apply(square_to_image(middle, 1 / eyes_px, angle=-angle, size=1), shape)


def shape_of(departed: list[float]) -> Points:
    return np.asarray(MEAN_FIVE + np.array(departed).reshape(5, 2), np.float32)


@given(places, sizes, turns)
def test_the_mean_face_departs_from_itself_by_nothing(middle: tuple[float, float], eyes: float, angle: float) -> None:
    lain = on_mean_face(face(MEAN_FIVE, middle, eyes, angle)[None])
    assert lain.misfit[0] < 1e-3
    assert np.abs(lain.scale[0]) == pytest.approx(eyes, rel=1e-4)
    assert np.cos(lain.angles[0] - angle) == pytest.approx(1, abs=1e-5)


@given(departures, places, sizes, turns)
def test_it_lies_where_the_least_squares_of_the_affines_lay_it(
    departed: list[float], middle: tuple[float, float], eyes: float, angle: float
) -> None:
    keypoints = face(shape_of(departed), middle, eyes, angle)
    lain = on_mean_face(keypoints[None])
    oracle = fit_similarity(MEAN_FIVE, keypoints)
    assert lain.scale[0] == pytest.approx(complex(oracle[0, 0], oracle[1, 0]), rel=1e-4)
    left = np.linalg.norm(apply(oracle, MEAN_FIVE) - keypoints, axis=1) / np.abs(lain.scale[0])
    assert lain.misfit[0] == pytest.approx(np.sqrt((left**2).mean()), abs=1e-4)


@given(departures, places, sizes, turns)
def test_a_square_moves_grows_and_turns_with_its_face(
    departed: list[float], middle: tuple[float, float], eyes: float, angle: float
) -> None:
    shape = shape_of(departed)
    here, there = (on_mean_face(points[None]) for points in (shape, face(shape, middle, eyes, angle)))
    first, second = (SQUARE.around(lain)[0].astype(np.float64) for lain in (here, there))
    assert second[2] - second[0] == pytest.approx(eyes * (first[2] - first[0]), rel=1e-3)
    moved = face(((first[:2] + first[2:]) / 2).astype(np.float32)[None], middle, eyes, angle)[0]
    np.testing.assert_allclose((second[:2] + second[2:]) / 2, moved, atol=2e-3 * eyes)


@given(departures)
def test_a_mirrored_face_has_the_mirrored_square_(departed: list[float]) -> None:
    shape = shape_of(departed)
    mirrored = (shape * (-1, 1))[[1, 0, 2, 4, 3]].astype(np.float32)
    first, second = (SQUARE.around(on_mean_face(points[None]))[0] for points in (shape, mirrored))
    np.testing.assert_allclose(second, first[[2, 1, 0, 3]] * (-1, 1, -1, 1), atol=1e-3)


def plausible(keypoints: NDArray[np.float64], box: tuple[float, float, float, float]) -> bool:
    lain = on_mean_face(keypoints.astype(np.float32)[None])
    return bool(are_plausible(lain, SQUARE.around(lain), np.array([box], np.float32))[0])


def test_what_cannot_be_a_face_is_not_plausible() -> None:
    points = 40 * MEAN_FIVE.astype(np.float64) + 100
    box = (55.0, 45.0, 145.0, 165.0)
    assert plausible(points, box)
    assert not plausible(np.full((5, 2), 100.0), box)
    assert not plausible(points[[1, 0, 2, 4, 3]], box)  # mirrored: an eye lies where the other is
    assert not plausible(points[[0, 2, 1, 3, 4]], box)
    assert not plausible(points + 120, box)
    assert not plausible(points, (0.0, 0.0, 400.0, 400.0))
    assert not plausible(points, (90.0, 90.0, 110.0, 115.0))


def test_each_of_several_faces_is_judged_by_the_longer_side_of_its_own_box() -> None:
    near, far = 40 * MEAN_FIVE + 100, 400 * MEAN_FIVE + 1000
    aside = near + np.array([2000, 0], np.float32)
    lain = on_mean_face(np.stack([near, far, aside]).astype(np.float32))
    boxes = np.array([(55, 45, 145, 165), (550, 450, 1450, 1650), (2040, 100, 2160, 110)], np.float32)
    assert are_plausible(lain, SQUARE.around(lain), boxes).tolist() == [True, True, True]
