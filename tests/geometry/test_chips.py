from random import Random

import cv2
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from faceloom.choices import Crop
from faceloom.geometry.affine import Affine, Points, apply, compose, invert, scale_of, scaling, square_to_image
from faceloom.geometry.averaging import averaged
from faceloom.geometry.chips import (
    EYE_SHARE,
    Framing,
    box_in_chip,
    box_to_chip,
    cut,
    eye_angle,
    frame_to_chip,
    in_patch,
    lay_mask,
    patch_bounds,
)
from faceloom.geometry.landmarks import LEFT_EYE, MEAN_FACE, RIGHT_EYE

angles = st.floats(-np.pi, np.pi)
frames = st.tuples(st.integers(1, 3000), st.integers(1, 3000))
boxes = st.tuples(*[st.floats(-1e6, 1e6, width=32)] * 4).map(lambda sides: np.array(sides, np.float32))


def ramp(height: int, width: int) -> NDArray[np.uint8]:
    """Red tells the column, green the row; blue is even."""
    y, x = np.mgrid[:height, :width]
    return (
        np.stack([x * 255 / (width - 1), y * 255 / (height - 1), np.full_like(x, 99)], axis=2).round().astype(np.uint8)
    )


def posed_mean_face(factor: float, angle: float, x: float, y: float) -> Points:
    turn = factor * np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])
    return np.asarray(MEAN_FACE @ turn.T + [x, y], np.float32)


poses = st.builds(posed_mean_face, st.floats(2, 400), angles, st.floats(-500, 4000), st.floats(-500, 4000))


@given(boxes, frames)
def test_a_patch_is_a_part_of_the_frame_whatever_the_box(box: NDArray[np.float32], frame: tuple[int, int]) -> None:
    height, width = frame
    x0, y0, x1, y1 = patch_bounds(box, height=height, width=width)
    assert 0 <= x0 < x1 <= width
    assert 0 <= y0 < y1 <= height


@given(st.floats(0, 900), st.floats(0, 500), st.floats(1, 200), st.floats(1, 200))
def test_a_patch_holds_three_times_the_box_where_the_frame_does(x: float, y: float, w: float, h: float) -> None:
    x0, y0, x1, y1 = patch_bounds(np.array([x, y, x + w, y + h], np.float32), height=600, width=1000)
    reach = 1.5 * max(w, h)
    wanted = (x + w / 2 - reach, y + h / 2 - reach, x + w / 2 + reach, y + h / 2 + reach)
    assert x0 <= max(wanted[0], 0) + 1e-3
    assert y0 <= max(wanted[1], 0) + 1e-3
    assert x1 - 1 >= min(wanted[2], 999) - 1e-3
    assert y1 - 1 >= min(wanted[3], 599) - 1e-3


@given(st.floats(300, 600), st.floats(200, 400), st.floats(1, 60), st.floats(1, 60))
def test_a_patch_is_no_larger_than_that_and_the_pixels_at_its_edges(x: float, y: float, w: float, h: float) -> None:
    x0, y0, x1, y1 = patch_bounds(np.array([x, y, x + w, y + h], np.float32), height=600, width=1000)
    assert x1 - x0 <= 3 * max(w, h) + 3
    assert y1 - y0 <= 3 * max(w, h) + 3
    assert abs((x0 + x1 - 1) / 2 - (x + w / 2)) <= 1
    assert abs((y0 + y1 - 1) / 2 - (y + h / 2)) <= 1


def test_a_chip_cut_by_the_identity_is_the_pixels() -> None:
    pixels = np.random.default_rng(1).integers(0, 256, (64, 64, 3), np.uint8)
    np.testing.assert_array_equal(cut(pixels, np.eye(2, 3), size=64), pixels)


@given(st.floats(0.51, 3), angles, st.integers(0, 2**32 - 1))
def test_a_chip_has_the_bits_of_one_call_of_opencv(factor: float, angle: float, seed: int) -> None:
    pixels = np.random.default_rng(seed).integers(0, 256, (60, 70, 3), np.uint8)
    to_chip = square_to_image((31.5, 40.2), 32 / factor, angle=angle, size=32)
    expected = cv2.warpAffine(pixels, to_chip, (32, 32), flags=cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)
    into = np.zeros((32, 32, 3), np.uint8)
    cut(pixels, to_chip, size=32, into=into)
    np.testing.assert_array_equal(into, expected)
    np.testing.assert_array_equal(cut(pixels, to_chip, size=32), expected)


@pytest.mark.parametrize("side", [20, 64, 100, 129, 300, 900])
def test_a_chip_shows_each_point_where_its_map_says(side: int) -> None:
    pixels = ramp(1000, 900)
    pixels_to_chip = square_to_image((430.0, 520.0), side, angle=0.3, size=64)
    chip = cut(pixels, pixels_to_chip, size=64)
    places = np.stack(np.meshgrid(np.arange(64), np.arange(64)), axis=2).astype(np.float32)
    x, y = np.moveaxis(apply(invert(pixels_to_chip), places), 2, 0)
    # The edge repeats outside the picture, and averaging near it takes in less than a whole block.
    inside = (x > 20) & (x < 880) & (y > 20) & (y < 980)
    # OpenCV knows places to 1/32 of a pixel, and one that is an average of several spans as many levels more.
    off = max(1, side // 64) * 255 / 899 / 64 if side >= 2 * 64 else 0
    np.testing.assert_allclose(chip[..., 0][inside], x[inside] * 255 / 899, atol=1 + off)
    np.testing.assert_allclose(chip[..., 1][inside], y[inside] * 255 / 999, atol=1 + off)


@given(st.floats(-200, 400), st.floats(-200, 400), st.floats(70, 900), angles, st.integers(0, 99))
def test_only_what_a_chip_shows_is_averaged_and_as_the_whole_picture_is(
    x: float, y: float, side: float, angle: float, seed: int
) -> None:
    pixels = np.random.default_rng(seed).integers(0, 256, (211, 173, 3), np.uint8)
    to_chip = square_to_image((x, y), side, angle=angle, size=32)
    small, step = averaged(pixels, 1 / scale_of(to_chip))
    small_to_chip = compose(to_chip, scaling(step, step))
    expected = cv2.warpAffine(small, small_to_chip, (32, 32), flags=cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)
    # OpenCV rounds a map's fractions, to 1/32 of a pixel, where they are counted from.
    np.testing.assert_allclose(cut(pixels, to_chip, size=32).astype(int), expected, atol=20)
    assert np.abs(cut(pixels, to_chip, size=32).astype(int) - expected).mean() < 1.5


@given(st.floats(1, 3000), angles)
def test_a_chip_of_an_even_picture_is_even(side: float, angle: float) -> None:
    pixels = np.full((97, 131, 3), (200, 30, 77), np.uint8)
    chip = cut(pixels, square_to_image((60.0, 40.0), side, angle=angle, size=16), size=16)
    np.testing.assert_array_equal(chip, np.full((16, 16, 3), (200, 30, 77)))


@pytest.mark.parametrize("factor", [2, 4, 8])
def test_a_fine_pattern_shrinks_to_its_mean_instead_of_aliasing(factor: int) -> None:
    y, x = np.mgrid[: 64 * factor, : 64 * factor]
    pixels = np.repeat((((x + y) % 2) * 255)[..., None], 3, axis=2).astype(np.uint8)
    middle = (64 * factor - 1) / 2
    chip = cut(pixels, square_to_image((middle, middle), 64 * factor, angle=0.0, size=64), size=64)
    np.testing.assert_allclose(chip, 127.5, atol=3)


def test_a_chip_cut_from_a_patch_is_the_chip_cut_from_the_frame() -> None:
    frame = np.random.default_rng(2).integers(0, 256, (300, 400, 3), np.uint8)
    chip = square_to_image((210.3, 140.8), 90, angle=0.4, size=112)
    patch = frame[60:220, 130:300]
    np.testing.assert_allclose(cut(patch, in_patch(chip, x=130, y=60), size=112), cut(frame, chip, size=112), atol=1)


@given(poses, st.integers(32, 1024))
def test_a_chip_lays_a_mean_face_on_the_mean_face(landmarks: Points, size: int) -> None:
    laid = apply(frame_to_chip(landmarks, size=size), landmarks)
    np.testing.assert_allclose(laid, (MEAN_FACE * EYE_SHARE + 0.5) * size - 0.5, atol=1e-3 * size)


@given(poses)
def test_the_eyes_of_a_chip_are_level_and_their_share_of_the_side_apart(landmarks: Points) -> None:
    laid = apply(frame_to_chip(landmarks, size=256), landmarks)
    between = laid[RIGHT_EYE].mean(axis=0) - laid[LEFT_EYE].mean(axis=0)
    np.testing.assert_allclose(between, [EYE_SHARE * 256, 0], atol=0.1)


@given(poses, st.integers(32, 1024), st.sampled_from(Crop))
def test_a_crop_shows_its_share_of_the_mean_face_around_one_middle(landmarks: Points, size: int, crop: Crop) -> None:
    laid = apply(frame_to_chip(landmarks, size=size, framing=Framing(crop)), landmarks)
    np.testing.assert_allclose(laid, (MEAN_FACE * Framing(crop).eye_share + 0.5) * size - 0.5, atol=2e-3 * size)


@given(poses, st.integers(32, 1024), st.sampled_from(Crop))
def test_a_chip_that_is_not_level_is_the_same_square_turned_back(landmarks: Points, size: int, crop: Crop) -> None:
    level = frame_to_chip(landmarks, size=size, framing=Framing(crop))
    standing = frame_to_chip(landmarks, size=size, framing=Framing(crop, level=False))
    centre = np.array([(size - 1) / 2] * 2, np.float32)
    middle = apply(invert(level), centre)
    side = size / scale_of(level)
    expected = square_to_image((float(middle[0]), float(middle[1])), side, angle=0.0, size=size)
    np.testing.assert_allclose(standing, expected, rtol=1e-4, atol=1e-3 * size)


def test_every_landmark_of_the_mean_face_is_in_its_smallest_crop() -> None:
    face = posed_mean_face(100, 0.0, 0.0, 0.0)
    laid = apply(frame_to_chip(face, size=64, framing=Framing(Crop.FACE)), face)
    assert ((laid > 0) & (laid < 63)).all()


@given(st.integers(1, 40), st.floats(0.2, 3), angles, st.integers(0, 2**32 - 1))
def test_a_mask_laid_over_a_chip_is_nothing_where_it_does_not_reach(
    side: int, factor: float, angle: float, seed: int
) -> None:
    mask = np.full((side, side), 255, np.uint8)
    middle = (side - 1) / 2
    to_chip = square_to_image((middle, middle), 32 / factor, angle=angle, size=32)
    laid = lay_mask(mask, to_chip, size=32)
    places = np.stack(np.meshgrid(np.arange(32), np.arange(32)), axis=2).astype(np.float32)
    there = apply(invert(to_chip), places)
    reach = np.abs(there - middle).max(axis=2) - side / 2
    margin = max(1.0, 2 / factor)  # a block of pixels that is averaged reaches over the edge
    assert (laid[reach > margin] == 0).all()
    assert (laid[reach < -margin] == 255).all()


@given(angles)
def test_the_angle_of_the_eyes_is_the_angle_the_face_was_turned_by(angle: float) -> None:
    keypoints = np.array([[-1, 0], [1, 0], [0, 1], [-1, 2], [1, 2]])
    turn = np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])
    found = eye_angle((keypoints @ turn.T).astype(np.float32))
    assert abs(np.exp(1j * found) - np.exp(1j * angle)) < 1e-6


@given(st.tuples(st.floats(-50, 500), st.floats(-50, 500), st.floats(2, 300), st.floats(2, 300)), angles)
def test_a_turned_crop_keeps_its_box_in_the_middle(place: tuple[float, float, float, float], angle: float) -> None:
    x, y, width, height = place
    box = np.array([x, y, x + width, y + height], np.float32)
    chip: Affine = box_to_chip(box, scale=1.5, angle=angle, size=192)
    centre = apply(chip, np.array([x + width / 2, y + height / 2], np.float32))
    # A sixteenth of a pixel of the frame on each axis, by which it is rounded.
    rounding = np.hypot(1, 1) / 16 * scale_of(chip)
    np.testing.assert_allclose(centre, [95.5, 95.5], atol=rounding + 0.01)


@given(st.floats(2, 300), st.floats(2, 300), st.floats(1, 2))
def test_a_crop_is_the_longer_side_of_the_box_times_its_scale(width: float, height: float, scale: float) -> None:
    box = np.array([10, 20, 10 + width, 20 + height], np.float32)
    left, right = apply(
        invert(box_to_chip(box, scale=scale, angle=0.0, size=64)), np.array([[-0.5, 0], [63.5, 0]], np.float32)
    )
    assert right[0] - left[0] == pytest.approx(scale * max(width, height), rel=1e-3, abs=1 / 16)


whole = st.integers(8, 400)


@given(st.tuples(whole, whole, whole, whole), st.integers(-3000, 3000), st.randoms(use_true_random=False))
def test_boxes_that_differ_by_less_than_anybody_sees_have_the_same_chip(
    place: tuple[int, int, int, int], angle: int, random: Random
) -> None:
    x, y, width, height = place
    box = np.array([x, y, x + width, y + height], np.float32)
    nearly = box + np.array([random.uniform(-0.02, 0.02) for _ in box], np.float32)
    chip = box_to_chip(box, scale=1.5, angle=angle / 1024, size=192)
    turned = angle / 1024 + random.uniform(-1e-4, 1e-4)
    np.testing.assert_array_equal(box_to_chip(nearly, scale=1.5, angle=turned, size=192), chip)


@given(boxes, st.floats(0.1, 10), angles, st.floats(-500, 500), st.floats(-500, 500))
def test_a_box_in_a_chip_has_its_middle_where_the_map_says_and_sides_by_the_scale(
    box: NDArray[np.float32], scale: float, angle: float, x: float, y: float
) -> None:
    cos, sin = scale * np.cos(angle), scale * np.sin(angle)
    found = box_in_chip(box, np.array([[cos, -sin, x], [sin, cos, y]]))
    across, down = (box[:2].astype(np.float64) + box[2:]) / 2
    middle = [cos * across - sin * down + x, sin * across + cos * down + y]
    off = 1e-5 * scale * np.abs(box).max() + 1e-2
    np.testing.assert_allclose((found[:2].astype(np.float64) + found[2:]) / 2, middle, atol=off)
    np.testing.assert_allclose(found[2:] - found[:2], scale * (box[2:].astype(np.float64) - box[:2]), atol=off)
