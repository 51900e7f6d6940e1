import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from faceloom.geometry.landmarks import (
    INNER,
    LEFT_EYE,
    MEAN_FACE,
    RIGHT_EYE,
    box_like,
    extent,
    five_keypoints,
    from_mesh,
    from_wflw,
    outer_eye_distance,
)

seeds = st.integers(0, 2**32 - 1)
# The point on the other side of the face, by the figure of the 300-W challenge.
OPPOSITE = np.array(
    [
        *range(16, -1, -1),
        *range(26, 16, -1),
        *range(27, 31),
        *range(35, 30, -1),
        *(45, 44, 43, 42, 47, 46, 39, 38, 37, 36, 41, 40),
        *range(54, 47, -1),
        *range(59, 54, -1),
        *range(64, 59, -1),
        *range(67, 64, -1),
    ]
)


def test_the_mean_face_is_its_own_mirror_image() -> None:
    np.testing.assert_allclose(MEAN_FACE[OPPOSITE] * [-1, 1], MEAN_FACE, atol=1e-3)


def test_the_eyes_of_the_mean_face_are_one_unit_apart() -> None:
    between = MEAN_FACE[RIGHT_EYE].mean(axis=0) - MEAN_FACE[LEFT_EYE].mean(axis=0)
    np.testing.assert_allclose(between, [1, 0], atol=1e-3)


def test_the_mean_face_stands_around_its_inner_points() -> None:
    np.testing.assert_allclose(MEAN_FACE[INNER].mean(axis=0), [0, 0], atol=1e-3)


def test_the_points_of_wflw_are_picked_and_each_once() -> None:
    numbered = np.repeat(np.arange(98, dtype=np.float32)[None, :, None], 2, axis=2)
    picked = from_wflw(numbered)[0, :, 0].astype(int)
    assert len(set(picked)) == 68


@pytest.mark.parametrize(
    ("ibug", "wflw"),
    [
        *((0, 0), (8, 16), (16, 32), (17, 33), (21, 37), (22, 42), (26, 46), (27, 51), (30, 54), (33, 57)),
        *((36, 60), (39, 64), (42, 68), (45, 72), (48, 76), (51, 79), (54, 82), (57, 85), (60, 88), (64, 92)),
    ],
)
def test_a_point_of_wflw_has_its_place_among_the_68(ibug: int, wflw: int) -> None:
    numbered = np.repeat(np.arange(98, dtype=np.float32)[None, :, None], 2, axis=2)
    assert from_wflw(numbered)[0, ibug].tolist() == [wflw, wflw]


@given(st.floats(0, 192, width=32), st.floats(0, 192, width=32))
def test_a_mesh_shrunk_to_a_point_gives_that_point(x: float, y: float) -> None:
    mesh = np.tile(np.array([x, y], np.float32), (1, 468, 1))
    np.testing.assert_allclose(from_mesh(mesh), np.tile([x, y], (1, 68, 1)), atol=0.01)


# The vertices of the canonical face model at the corners of eyes and mouth and at the tip of the nose.
@pytest.mark.parametrize(("ibug", "vertex"), [(36, 33), (39, 133), (42, 362), (45, 263), (48, 61), (54, 291), (30, 4)])
def test_a_vertex_of_the_mesh_has_its_place_among_the_68(ibug: int, vertex: int) -> None:
    mesh = np.zeros((1, 468, 2), np.float32)
    mesh[0, vertex] = 1
    np.testing.assert_allclose(from_mesh(mesh)[0, ibug], [1, 1], atol=1e-3)


def test_the_five_keypoints_are_eye_centres_nose_tip_and_mouth_corners() -> None:
    points = np.random.default_rng(5).uniform(0, 100, (2, 68, 2)).astype(np.float32)
    expected = [points[1, 36:42].mean(axis=0), points[1, 42:48].mean(axis=0), *points[1, [30, 48, 54]]]
    np.testing.assert_allclose(five_keypoints(points)[1], expected, rtol=1e-6)


def test_the_outer_eye_distance_is_between_the_outer_corners() -> None:
    points = np.zeros((4, 68, 2), np.float32)
    points[:, 36], points[:, 45] = (10, 20), (13, 24)
    np.testing.assert_array_equal(outer_eye_distance(points), np.full(4, 5))


@given(seeds, st.integers(1, 5))
def test_the_extent_touches_the_outermost_points(seed: int, count: int) -> None:
    points = np.random.default_rng(seed).normal(0, 50, (count, 98, 2)).astype(np.float32)
    expected = [[min(x), min(y), max(x), max(y)] for x, y in (face.T.tolist() for face in points)]
    np.testing.assert_allclose(extent(points), expected)


@given(st.floats(10, 300), st.floats(-500, 4000), st.floats(-500, 4000))
def test_the_box_of_a_detector_moves_and_grows_with_the_face(eyes_px: float, x: float, y: float) -> None:
    (left, top, right, bottom) = box_like(MEAN_FACE.astype(np.float32))
    assert -left == pytest.approx(right)
    found = box_like((eyes_px * MEAN_FACE + [x, y]).astype(np.float32))
    expected = eyes_px * np.array([left, top, right, bottom]) + [x, y, x, y]
    np.testing.assert_allclose(found, expected, atol=1e-3 * eyes_px + 0.01)


def test_the_box_of_a_detector_goes_from_the_forehead_to_the_chin_and_over_both_eyes() -> None:
    left, top, right, bottom = box_like(MEAN_FACE.astype(np.float32))
    x, y = MEAN_FACE.T
    assert left < x[36] < x[45] < right
    assert top < y[17:27].min() - 0.5
    assert y[8] - 0.3 < bottom < y[8] + 0.3


def test_a_face_that_lies_has_an_upright_box_around_its_own() -> None:
    left, top, right, bottom = box_like(MEAN_FACE.astype(np.float32))
    lying = box_like((MEAN_FACE @ np.array([[0, 1], [-1, 0]])).astype(np.float32))
    np.testing.assert_allclose(lying, [-bottom, left, -top, right], atol=1e-4)
