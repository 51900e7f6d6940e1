import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from faceloom.geometry.landmarks import MEAN_FACE, five_keypoints, from_mesh
from faceloom.geometry.schemes import SCHEMES, from_five, scheme_of

IBUG_MIRROR = [
    *range(16, -1, -1), *range(26, 16, -1), *range(27, 31), *range(35, 30, -1),
    45, 44, 43, 42, 47, 46, 39, 38, 37, 36, 41, 40,
    *range(54, 47, -1), *range(59, 54, -1), *range(64, 59, -1), *range(67, 64, -1),
]  # fmt: skip
"""Which of the 68 points each is in a mirror."""
JD_MIRROR = [
    *range(32, -1, -1), *range(42, 32, -1), *range(43, 47), *range(51, 46, -1),
    61, 60, 59, 58, 63, 62, 55, 54, 53, 52, 57, 56, *range(71, 63, -1),
    75, 76, 77, 72, 73, 74, 79, 78, 81, 80, 83, 82,
    *range(90, 83, -1), *range(95, 90, -1), *range(100, 95, -1), *range(103, 100, -1), 105, 104,
]  # fmt: skip
"""Of the 106 points of JD-landmark, as training code for that set has them."""


def chosen(name: str) -> NDArray[np.intp]:
    """Which point of a scheme each of the 68 is, told by points that have their own index for x."""
    (count,) = SCHEMES[name].counts
    points = np.repeat(np.arange(count, dtype=np.float32)[:, None], 2, axis=1)
    return SCHEMES[name].to_ibug(points[None])[0, :, 0].astype(np.intp)


@pytest.mark.parametrize("name", ["ibug", "wflw", "insightface", "jd"])
def test_each_of_the_68_points_is_another_one_of_the_scheme(name: str) -> None:
    assert len(set(chosen(name).tolist())) == 68


def test_the_106_points_of_jd_are_mirrored_as_the_68_are() -> None:
    assert chosen("jd")[IBUG_MIRROR].tolist() == np.array(JD_MIRROR)[chosen("jd")].tolist()


def test_the_106_points_of_insightface_pair_left_with_right_one_to_one() -> None:
    ours = chosen("insightface")
    partner = dict(zip(ours.tolist(), ours[IBUG_MIRROR].tolist(), strict=True))
    assert all(partner[partner[point]] == point for point in partner)
    # Its drawing numbers the right half of the jaw as the left one, 16 further on, and the chin 0.
    assert all(partner[point] == point + 16 for point in ours[:8].tolist())
    assert partner[0] == 0


@given(st.floats(-3, 3), st.floats(0.1, 300), st.floats(-500, 500), st.floats(-500, 500))
def test_five_keypoints_of_a_mean_face_give_all_of_it_wherever_it_lies(
    angle: float, scale: float, x: float, y: float
) -> None:
    turn = scale * np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])
    face = (MEAN_FACE @ turn.T + [x, y]).astype(np.float32)
    found = from_five(five_keypoints(face)[None])[0]
    assert np.abs(found - face).max() < 1e-3 * max(1.0, scale)


def test_five_keypoints_in_one_place_are_a_face_in_that_place() -> None:
    assert (from_five(np.full((2, 5, 2), 7, np.float32)) == 7).all()


def test_irises_are_left_out() -> None:
    points = np.random.default_rng(0).uniform(0, 192, (3, 478, 2)).astype(np.float32)
    np.testing.assert_array_equal(SCHEMES["mesh"].to_ibug(points), from_mesh(points[:, :468]))


def test_a_number_of_points_tells_the_scheme() -> None:
    names = {count: scheme.name for count in (5, 68, 98, 106, 468, 478) if (scheme := scheme_of(count))}
    assert names == {5: "five", 68: "ibug", 98: "wflw", 106: "insightface", 468: "mesh", 478: "mesh"}
    assert scheme_of(29) is None
