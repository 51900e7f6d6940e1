import cv2
import numpy as np
import pytest
from numpy.typing import NDArray

from faceloom.choices import Lighting
from faceloom.geometry.lighting import even

CHANGING = [lighting for lighting in Lighting if lighting is not Lighting.NONE]


def pictures(count: int = 3) -> NDArray[np.uint8]:
    """Soft ones, of much the same levels as photographs."""
    noise = np.random.default_rng(0).normal(110, 300, (count, 80, 64, 3))
    return np.stack([np.clip(cv2.GaussianBlur(one, (0, 0), 3), 0, 255) for one in noise]).astype(np.uint8)


def test_none_is_the_pictures_themselves() -> None:
    images = pictures()
    assert even(images, Lighting.NONE) is images


@pytest.mark.parametrize("lighting", CHANGING)
def test_each_picture_is_made_even_by_itself_and_stays_as_it_was(lighting: Lighting) -> None:
    images = pictures()
    done = even(images, lighting)
    np.testing.assert_array_equal(images, pictures())
    assert done.shape == images.shape
    assert done.dtype == np.uint8
    for one, made in zip(images, done, strict=True):
        np.testing.assert_array_equal(even(one[None], lighting)[0], made)
        assert (made != one).any()


@pytest.mark.parametrize("lighting", [Lighting.MEAN, Lighting.HIST])
def test_half_the_light_gives_much_the_same_picture(lighting: Lighting) -> None:
    images = np.repeat(pictures()[..., :1], 3, axis=3)
    apart = even(images, lighting).astype(int) - even((images // 2).astype(np.uint8), lighting)
    assert np.abs(apart).mean() < 5


def test_mean_has_the_same_mean_and_deviation_for_every_colour() -> None:
    made = even(pictures(), Lighting.MEAN).astype(float)
    np.testing.assert_allclose(made.mean(axis=(1, 2)), 128, atol=2)
    np.testing.assert_allclose(made.std(axis=(1, 2)), 64, atol=6)  # what is beyond 0 and 255 is lost


def test_hist_spreads_brightness_evenly() -> None:
    grey = np.repeat(pictures()[..., :1], 3, axis=3)
    levels = np.sort(even(grey, Lighting.HIST)[..., 0].reshape(len(grey), -1), axis=1)
    np.testing.assert_allclose(levels, np.broadcast_to(np.linspace(0, 255, levels.shape[1]), levels.shape), atol=8)


@pytest.mark.parametrize("lighting", CHANGING)
@pytest.mark.parametrize("value", [0, 255])
def test_a_picture_of_one_level_is_no_trouble(lighting: Lighting, value: int) -> None:
    made = even(np.full((1, 8, 8, 3), value, np.uint8), lighting)
    assert (made == made[0, 0, 0]).all()


@pytest.mark.parametrize(("apart", "levels"), [(2, [64, 192]), (1, [96, 160])])
def test_the_faintest_pattern_is_raised_no_more_than_64_times(apart: int, levels: list[int]) -> None:
    """Of a deviation of one level, or half of one."""
    y, x = np.mgrid[:8, :8]
    faint = np.repeat((100 + apart * ((x + y) % 2))[None, ..., None], 3, axis=3).astype(np.uint8)
    assert np.unique(even(faint, Lighting.MEAN)).tolist() == levels
