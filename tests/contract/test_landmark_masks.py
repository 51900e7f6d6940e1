import cv2
import numpy as np
import pytest

from faceloom.geometry.affine import Points
from faceloom.geometry.chips import EYE_SHARE
from faceloom.geometry.landmarks import MEAN_FACE
from faceloom.mask import LandmarkMask
from plugins import every

pytestmark = every(LandmarkMask)


def mean_face(size: int) -> Points:
    return np.asarray((MEAN_FACE * EYE_SHARE + 0.5) * size - 0.5, np.float32)


@pytest.mark.parametrize("size", [16, 64, 256, 1023])
def test_a_mask_is_coverage_of_the_size_asked_for(plugin: LandmarkMask, size: int) -> None:
    mask = plugin.draw(mean_face(size), size=size)
    assert mask.shape == (size, size)
    assert mask.dtype == np.uint8


def test_a_mask_holds_every_landmark(plugin: LandmarkMask) -> None:
    columns, rows = np.rint(mean_face(256)).astype(int).T
    assert (plugin.draw(mean_face(256), size=256)[rows, columns] > 127).all()


def test_a_mask_leaves_the_edge_of_the_chip(plugin: LandmarkMask) -> None:
    mask = plugin.draw(mean_face(256), size=256)
    assert not np.concatenate([mask[0], mask[-1], mask[:, 0], mask[:, -1]]).any()


def test_a_mask_is_the_same_shape_at_every_size(plugin: LandmarkMask) -> None:
    small, large = plugin.draw(mean_face(128), size=128), plugin.draw(mean_face(512), size=512)
    shrunk = cv2.resize(large, (128, 128), interpolation=cv2.INTER_AREA)
    assert ((small > 127) != (shrunk > 127)).sum() < 0.05 * (small > 127).sum()


def test_landmarks_outside_the_chip_are_drawn_as_far_as_they_are_inside(plugin: LandmarkMask) -> None:
    right = mean_face(128) + np.array([64, 0], np.float32)
    whole = plugin.draw(right, size=256)[:128, :128]
    np.testing.assert_array_equal(plugin.draw(right, size=128) > 127, whole > 127)


def test_landmarks_that_coincide_break_nothing(plugin: LandmarkMask) -> None:
    assert plugin.draw(np.full((68, 2), 20, np.float32), size=64).mean() < 3


def test_landmarks_far_away_leave_the_mask_empty(plugin: LandmarkMask) -> None:
    assert not plugin.draw(mean_face(64) + np.float32(1e5), size=64).any()


def test_drawing_leaves_the_landmarks_as_they_are(plugin: LandmarkMask) -> None:
    landmarks = mean_face(64)
    plugin.draw(landmarks, size=64)
    np.testing.assert_array_equal(landmarks, mean_face(64))
