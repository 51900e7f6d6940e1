import cv2
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from faceloom.errors import DegeneratePointsError
from faceloom.geometry.affine import Points, apply, scaling, square_to_image
from faceloom.geometry.landmarks import INNER, MEAN_FACE
from faceloom.geometry.sharpness import EYES_PX, sharpness

SIDE = 400


def face(eyes_px: float) -> Points:
    return np.asarray(eyes_px * MEAN_FACE + SIDE / 2, np.float32)


def noise(seed: int, *, softness: float) -> NDArray[np.uint8]:
    image = np.random.default_rng(seed).integers(0, 256, (SIDE, SIDE, 3), np.uint8)
    return np.asarray(cv2.GaussianBlur(image, (0, 0), softness), np.uint8)


@pytest.mark.parametrize("eyes_px", [20, 48, 90, 150])
def test_each_blur_is_less_sharp_than_the_one_before(eyes_px: int) -> None:
    image = noise(0, softness=0.3)
    blurs = [image, *(cv2.GaussianBlur(image, (0, 0), share * eyes_px / EYES_PX) for share in (0.7, 1.0, 1.5, 2.5))]
    values = [sharpness(np.asarray(blur, np.uint8), face(eyes_px)) for blur in blurs]
    assert values == sorted(values, reverse=True)
    assert len(set(values)) == len(values)


@pytest.mark.parametrize("angle", [0.0, 0.4, 1.57, 3.0])
def test_an_upright_face_of_the_looked_at_size_is_its_laplacian(angle: float) -> None:
    """A ramp of a square in x, whose second difference is one number everywhere; turned with the face."""
    x = np.arange(SIDE) - SIDE / 2
    levels = np.clip(np.round(0.02 * x**2 + 20), 0, 255).astype(np.uint8)
    image = np.repeat(np.broadcast_to(levels, (SIDE, SIDE))[..., None], 3, axis=2)
    turn = square_to_image((SIDE / 2, SIDE / 2), SIDE, angle=angle, size=SIDE)
    turned = np.asarray(cv2.warpAffine(image, turn, (SIDE, SIDE), borderMode=cv2.BORDER_REPLICATE), np.uint8)
    assert sharpness(turned, apply(turn, face(EYES_PX))) < 2  # nothing but rounding: the second difference is even


@given(st.integers(0, 99), st.floats(60, 110))
def test_what_lies_around_the_face_does_not_count(seed: int, eyes_px: float) -> None:
    image = noise(seed, softness=2)
    inside = cv2.convexHull(np.round(face(eyes_px)[INNER]).astype(np.int32))
    keep = cv2.dilate(cv2.fillConvexPoly(np.zeros((SIDE, SIDE), np.uint8), inside, (255,)), np.ones((27, 27)))
    other = np.where(keep[..., None] > 0, image, 255 - noise(seed + 1, softness=0.5)).astype(np.uint8)
    assert sharpness(other, face(eyes_px)) == sharpness(image, face(eyes_px))


@given(st.integers(0, 99), st.sampled_from([2, 3, 4]))
def test_pixels_more_than_are_looked_at_do_not_count(seed: int, factor: int) -> None:
    image = noise(seed, softness=3)
    large = cv2.resize(image, None, fx=factor, fy=factor, interpolation=cv2.INTER_CUBIC)
    points = face(EYES_PX * 2)
    one, other = (
        sharpness(image, points),
        sharpness(np.asarray(large, np.uint8), apply(scaling(factor, factor), points)),
    )
    assert 0.7 < other / one < 1.4


@given(st.floats(-300, 700), st.floats(-300, 700), st.floats(0.5, 400))
def test_a_face_that_lies_anywhere_has_some_sharpness(x: float, y: float, eyes_px: float) -> None:
    value = sharpness(noise(3, softness=1), (face(eyes_px) + np.array([x, y], np.float32)).astype(np.float32))
    assert np.isfinite(value)
    assert value >= 0


def test_points_in_one_place_show_nothing() -> None:
    with pytest.raises(DegeneratePointsError):
        sharpness(noise(0, softness=1), np.full((68, 2), 7, np.float32))


@pytest.mark.parametrize("eyes_px", [20, 48, 90, 150])
def test_stripes_across_a_face_are_as_sharp_as_those_along_it(eyes_px: int) -> None:
    waves = 128 + 90 * np.sin(2 * np.pi / (eyes_px / 4) * np.arange(SIDE))
    across = np.repeat(np.broadcast_to(waves[:, None], (SIDE, SIDE))[..., None], 3, axis=2).round().astype(np.uint8)
    along = np.ascontiguousarray(across.transpose(1, 0, 2))
    assert sharpness(along, face(eyes_px)) == pytest.approx(sharpness(across, face(eyes_px)), rel=0.1)
