import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from faceloom.geometry.averaging import averaged

sides = st.integers(1, 150)


@given(sides, sides, st.floats(0.1, 40), st.sampled_from([(), (3,)]), st.integers(0, 99))
def test_each_pixel_is_the_mean_of_a_square(
    height: int, width: int, shrink: float, channels: tuple[int, ...], seed: int
) -> None:
    image = np.random.default_rng(seed).integers(0, 256, (height, width, *channels), np.uint8)
    small, side = averaged(image, shrink)
    rows, columns = height // side, width // side
    assert small.shape == (rows, columns, *channels)
    squares = image[: rows * side, : columns * side].reshape(rows, side, columns, side, *channels)
    np.testing.assert_allclose(small, squares.mean(axis=(1, 3)), atol=0.5 + 1e-6)


@given(sides, sides, st.floats(1, 40))
def test_squares_are_as_large_as_the_factor_unless_the_picture_is_too_small(
    height: int, width: int, shrink: float
) -> None:
    _, side = averaged(np.zeros((height, width), np.uint8), shrink)
    assert side <= min(max(shrink, 1), height, width)
    assert shrink < side + 1 or side == min(height, width)


def test_what_is_not_scaled_down_is_given_back() -> None:
    image = np.zeros((5, 7, 3), np.uint8)
    assert averaged(image, 1.99) == (image, 1)
