import cv2
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from faceloom.errors import DegeneratePointsError
from faceloom.geometry.affine import Points, apply, square_to_image
from faceloom.geometry.landmarks import INNER, MEAN_FACE
from faceloom.geometry.pose import MEAN_HEAD, Pose, distance_to_mean_head, fit_pose

poses = st.builds(Pose, st.floats(-75, 75), st.floats(-85, 85), st.floats(-179, 179))
wobbles = st.integers(0, 2**32 - 1).map(lambda seed: np.random.default_rng(seed).normal(0, 2, (68, 2)))


def about(axis: int, degrees: float) -> NDArray[np.float64]:
    return np.asarray(cv2.Rodrigues(np.radians(degrees) * np.eye(3)[axis])[0], np.float64)


def turn(pose: Pose) -> NDArray[np.float64]:
    """Up and to the right of the picture are turns against the axes, since y is down and z leads into the picture."""
    return about(2, pose.roll) @ about(1, -pose.yaw) @ about(0, -pose.pitch)


def seen(pose: Pose, *, eyes_px: float = 60.0) -> NDArray[np.float64]:
    """The head in that pose, from afar."""
    return np.asarray(eyes_px * (MEAN_HEAD @ turn(pose).T)[:, :2] + [700, 300], np.float64)


def apart(one: Pose, other: Pose) -> float:
    """Degrees by which one turn has to be turned to be the other."""
    cos = (np.trace(turn(one).T @ turn(other)) - 1) / 2
    return float(np.degrees(np.arccos(np.clip(cos, -1, 1))))


@given(poses, st.floats(2, 900))
def test_a_head_turned_by_known_angles_is_seen_to_be(pose: Pose, eyes_px: float) -> None:
    found = fit_pose(seen(pose, eyes_px=eyes_px).astype(np.float32))
    np.testing.assert_allclose(found, pose, atol=0.01)


@pytest.mark.parametrize(
    ("pose", "nose_goes"), [(Pose(30, 0, 0), (0, -1)), (Pose(0, 30, 0), (1, 0)), (Pose(0, 30, 90), (0, 1))]
)
def test_up_and_right_are_positive_and_roll_is_clockwise(pose: Pose, nose_goes: tuple[int, int]) -> None:
    nose, bridge = seen(pose)[[30, 27]] - seen(Pose(0, 0, pose.roll))[[30, 27]]
    assert (nose - bridge) @ nose_goes > 5
    assert apart(fit_pose(seen(pose).astype(np.float32)), pose) < 0.01


@given(poses, wobbles, st.floats(-180, 180))
def test_turning_the_picture_turns_roll_alone(pose: Pose, wobble: NDArray[np.float64], angle: float) -> None:
    points = (seen(pose) + wobble).astype(np.float32)
    turned = apply(square_to_image((500, 500), 1000, angle=float(np.radians(-angle)), size=1000), points)
    before, after = fit_pose(points), fit_pose(turned)
    np.testing.assert_allclose(after[:2], before[:2], atol=0.02)
    assert abs((after.roll - before.roll - angle + 180) % 360 - 180) < 0.02


@given(poses, wobbles, st.floats(0.1, 50))
def test_size_and_place_do_not_count(pose: Pose, wobble: NDArray[np.float64], factor: float) -> None:
    points = seen(pose) + wobble
    one, other = fit_pose(points.astype(np.float32)), fit_pose((factor * points + [-90, 8]).astype(np.float32))
    assert apart(one, other) < 0.02


@given(poses, wobbles)
def test_no_nearby_turn_fits_better(pose: Pose, wobble: NDArray[np.float64]) -> None:
    points = seen(pose) + wobble
    best = turn(fit_pose(points.astype(np.float32)))

    def misfit(head: NDArray[np.float64]) -> float:
        flat, target = ((values - values.mean(axis=0)).ravel() for values in (head[INNER, :2], points[INNER]))
        return float(((target - flat * (flat @ target) / (flat @ flat)) ** 2).sum())

    least = misfit(MEAN_HEAD @ best.T)
    for axis in range(3):
        for degrees in (-1, 1):
            assert misfit(MEAN_HEAD @ (about(axis, degrees) @ best).T) >= least


@given(poses, wobbles)
def test_a_camera_far_away_finds_the_same(pose: Pose, wobble: NDArray[np.float64]) -> None:
    """OpenCV's solver for perspective, from 300 eye distances, with nothing to choose between but where it starts."""
    points = (seen(pose) + wobble)[INNER]
    points = points - points.mean(axis=0)
    far, focal = 300.0, 300.0 * 60
    camera = np.array([[focal, 0, 0], [0, focal, 0], [0, 0, 1]])
    start, _ = cv2.Rodrigues(turn(pose))
    _, vector, _ = cv2.solvePnP(
        MEAN_HEAD[INNER], points, camera, None, start, np.array([0, 0, far]), True, cv2.SOLVEPNP_ITERATIVE
    )
    found = turn(fit_pose(np.concatenate([np.zeros((17, 2)), points]).astype(np.float32)))
    between = found.T @ cv2.Rodrigues(vector)[0]
    assert np.degrees(np.arccos(np.clip((np.trace(between) - 1) / 2, -1, 1))) < 1.5


def test_the_mean_face_looks_nearly_straight_ahead() -> None:
    pitch, yaw, roll = fit_pose((100 * MEAN_FACE).astype(np.float32))
    assert abs(pitch) < 6  # the pictures it is the mean of look down a little
    assert abs(yaw) < 0.01
    assert abs(roll) < 0.01


@given(st.integers(0, 2**32 - 1), st.floats(1e-2, 1e5))
def test_whatever_the_points_the_pose_is_of_numbers(seed: int, spread: float) -> None:
    points: Points = np.random.default_rng(seed).normal(0, spread, (68, 2)).astype(np.float32)
    assert np.isfinite(fit_pose(points)).all()


def test_points_in_one_place_have_no_pose() -> None:
    with pytest.raises(DegeneratePointsError):
        fit_pose(np.full((68, 2), 7, np.float32))


@given(poses, st.floats(20, 900))
def test_the_mean_head_is_no_distance_from_itself_in_any_pose(pose: Pose, eyes_px: float) -> None:
    assert distance_to_mean_head(seen(pose, eyes_px=eyes_px).astype(np.float32)) < 1e-3


@given(poses, wobbles)
def test_the_distance_to_the_mean_head_is_that_of_its_best_view(pose: Pose, wobble: NDArray[np.float64]) -> None:
    """The head turned by the pose that was found, and laid on the points by least squares in scale and place."""
    points = (seen(pose) + wobble).astype(np.float32)
    head = (MEAN_HEAD @ turn(fit_pose(points)).T)[INNER, :2]
    flat, target = (values - values.mean(axis=0) for values in (head, points[INNER].astype(np.float64)))
    scale = (flat * target).sum() / (flat**2).sum()
    expected = np.linalg.norm(target / scale - flat, axis=1).mean()
    assert distance_to_mean_head(points) == pytest.approx(expected, rel=1e-3)
    assert 0 < distance_to_mean_head(points) < 0.2  # of 60 pixels, by which the points are off by about two and a half


def test_points_in_one_place_are_no_distance_from_a_head() -> None:
    with pytest.raises(DegeneratePointsError):
        distance_to_mean_head(np.full((68, 2), 7, np.float32))
