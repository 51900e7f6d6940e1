"""What lies beyond the frame: shares against counted points, pixels against OpenCV's own warp of a frame of ones."""

import cv2
import numpy as np
import pytest
from hypothesis import assume, example, given
from hypothesis import strategies as st
from numpy.typing import NDArray

from faceloom.choices import Border
from faceloom.geometry.affine import Affine, apply, invert, square_to_image
from faceloom.geometry.borders import cut_bordered, extent, made_up_share
from faceloom.geometry.chips import cut, in_patch

HEIGHT, WIDTH, SIZE = 90, 130, 64
places = st.tuples(st.floats(-60, 190), st.floats(-60, 150))
squares = st.builds(
    lambda middle, side, angle: square_to_image(middle, side, angle=angle, size=SIZE),
    places,
    st.floats(5, 120),
    st.floats(-np.pi, np.pi),
)


def noise() -> NDArray[np.uint8]:
    return np.random.default_rng(3).integers(1, 256, (HEIGHT, WIDTH, 3), np.uint8)


def shown(frame_to_chip: Affine, *, steps: int) -> NDArray[np.float32]:
    """Points (steps, steps, 2) of the frame, spread evenly over the chip's square."""
    along = ((np.arange(steps) + 0.5) / steps * SIZE - 0.5).astype(np.float32)
    return apply(invert(frame_to_chip), np.stack(np.meshgrid(along, along), axis=2))


def bordered(frame_to_chip: Affine, border: Border) -> NDArray[np.uint8]:
    return cut_bordered(noise(), frame_to_chip, size=SIZE, frame=extent(HEIGHT, WIDTH), border=border)


def rooms(frame_to_chip: Affine) -> list[float]:
    """How far the chip's square stays inside the left, the upper, the right and the lower edge of the frame."""
    corners = np.array([[-0.5, -0.5], [SIZE - 0.5, -0.5], [SIZE - 0.5, SIZE - 0.5], [-0.5, SIZE - 0.5]])
    points = apply(invert(frame_to_chip), corners)
    return [*(points.min(axis=0) + 0.5), *([WIDTH - 0.5, HEIGHT - 0.5] - points.max(axis=0))]


@given(squares)
def test_the_share_beyond_the_frame_is_that_of_counted_points(square: Affine) -> None:
    points = shown(square, steps=200)
    beyond = ((points < -0.5) | (points > [WIDTH - 0.5, HEIGHT - 0.5])).any(axis=2).mean()
    assert made_up_share(square, size=SIZE, height=HEIGHT, width=WIDTH) == pytest.approx(beyond, abs=0.02)


@pytest.mark.parametrize(
    ("middle", "angle", "share"),
    [
        ((64.5, 44.5), 0.3, 0.0),
        ((-0.5, 44.5), 0.0, 0.5),
        ((-0.5, -0.5), 0.0, 0.75),
        ((64.5, -0.5), np.pi / 4, 0.5),
        ((-0.5, -0.5), np.pi / 4, 0.75),
        ((64.5, 4.5), 0.0, 0.25),
        ((999.0, 44.5), 1.0, 1.0),
    ],
)
def test_the_share_is_exact(middle: tuple[float, float], angle: float, share: float) -> None:
    square = square_to_image(middle, 20, angle=angle, size=SIZE)
    assert made_up_share(square, size=SIZE, height=HEIGHT, width=WIDTH) == pytest.approx(share, abs=1e-12)


def test_a_frame_within_a_chip_leaves_the_rest() -> None:
    square = square_to_image((4.5, 9.5), 100, angle=0.7, size=SIZE)
    assert made_up_share(square, size=SIZE, height=20, width=10) == pytest.approx(1 - 200 / 100**2, abs=1e-12)


@given(squares, st.integers(32, 512))
def test_the_share_is_the_same_at_every_size(square: Affine, size: int) -> None:
    factor = size / SIZE
    larger = np.array([[factor, 0, factor / 2 - 0.5], [0, factor, factor / 2 - 0.5]])
    scaled = np.concatenate([larger[:, :2] @ square[:, :2], larger[:, :2] @ square[:, 2:] + larger[:, 2:]], axis=1)
    one, other = (
        made_up_share(to_chip, size=side, height=HEIGHT, width=WIDTH)
        for to_chip, side in ((square, SIZE), (scaled, size))
    )
    assert one == pytest.approx(other, abs=1e-9)


@given(squares)
@example(square_to_image((0.0, 2.0), 5.0, angle=0.0, size=SIZE))
def test_opacity_is_what_a_warp_makes_of_a_frame_of_ones(square: Affine) -> None:
    """Within the 32 steps to a pixel in which OpenCV counts; chips that are not averaged, which it does not do."""
    if np.sqrt(abs(np.linalg.det(square[:, :2]))) <= 0.5:
        return
    assume(not any(0 <= room < 0.5 for room in rooms(square)))  # a warp fades there, where the chip is all frame
    ones = np.full((HEIGHT, WIDTH), 255, np.uint8)
    expected = cv2.warpAffine(ones, square, (SIZE, SIZE), flags=cv2.INTER_LINEAR).astype(int)
    alpha = bordered(square, Border.TRANSPARENT)[..., 3]
    assert np.abs(alpha - expected).max() <= 2 * 255 / 32 + 1


@given(squares)
def test_opacity_adds_up_to_what_is_not_made_up(square: Affine) -> None:
    share = made_up_share(square, size=SIZE, height=HEIGHT, width=WIDTH)
    assert bordered(square, Border.TRANSPARENT)[..., 3].mean() / 255 == pytest.approx(1 - share, abs=0.03)


@given(squares, st.sampled_from(Border))
def test_inside_the_frame_every_border_shows_the_same_pixels(square: Affine, border: Border) -> None:
    points = shown(square, steps=SIZE)
    margin = 2 / min(1.0, np.sqrt(abs(np.linalg.det(square[:, :2]))))  # what is averaged fades over as much
    inside = ((points > margin) & (points < [WIDTH - 1 - margin, HEIGHT - 1 - margin])).all(axis=2)
    np.testing.assert_array_equal(bordered(square, border)[inside][:, :3], cut(noise(), square, size=SIZE)[inside])


@given(squares)
def test_beyond_the_frame_there_is_what_was_asked_for(square: Affine) -> None:
    points = shown(square, steps=SIZE)
    margin = 2 / min(1.0, np.sqrt(abs(np.linalg.det(square[:, :2]))))
    beyond = ((points < -margin) | (points > [WIDTH - 1 + margin, HEIGHT - 1 + margin])).any(axis=2)
    assert not bordered(square, Border.BLACK)[beyond].any()
    assert not bordered(square, Border.TRANSPARENT)[beyond].any()
    np.testing.assert_array_equal(bordered(square, Border.REPEAT), cut(noise(), square, size=SIZE))


def test_a_mirrored_border_is_the_frame_turned_over_its_edge() -> None:
    square = square_to_image((64.5, -0.5), 64, angle=0.0, size=SIZE)
    chip = bordered(square, Border.REFLECT)
    np.testing.assert_array_equal(chip[: SIZE // 2], chip[SIZE // 2 :][::-1])


@pytest.mark.parametrize("border", Border)
def test_where_a_patch_ends_inside_the_frame_nothing_is_made_black(border: Border) -> None:
    """What counts is the frame: a chip that reaches a little beyond its patch has the patch's edge there."""
    frame = noise()
    square = square_to_image((60.0, 40.0), 40, angle=0.2, size=SIZE)
    patch = frame[25:55, 45:75]
    to_chip = in_patch(square, x=45, y=25)
    chip = cut_bordered(patch, to_chip, size=SIZE, frame=extent(HEIGHT, WIDTH, x=45, y=25), border=border)
    np.testing.assert_array_equal(chip[..., :3], cut(patch, to_chip, size=SIZE))
    assert border is not Border.TRANSPARENT or (chip[..., 3] == 255).all()
