import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from faceloom.geometry.affine import apply
from faceloom.geometry.letterbox import canvas_shape
from letterboxes import letterbox

sides = st.integers(1, 700)
limits = st.integers(32, 400)


def white(height: int, width: int) -> NDArray[np.uint8]:
    return np.full((height, width, 3), 255, np.uint8)


def shown(canvas: NDArray[np.uint8]) -> tuple[int, int]:
    """Rows and columns that the frame takes of a white frame's canvas."""
    filled = np.asarray(canvas.any(axis=2))
    rows, columns = int(filled[:, 0].sum()), int(filled[0].sum())
    assert filled.sum() == rows * columns
    return rows, columns


@given(sides, sides, limits)
def test_the_sides_of_a_canvas_are_multiples_of_32(height: int, width: int, limit: int) -> None:
    canvas, _ = letterbox(white(height, width), longest_side=limit, side_multiple=32)
    assert [side % 32 for side in canvas.shape[:2]] == [0, 0]


@given(sides, sides, limits)
def test_a_canvas_has_the_shape_that_was_foretold(height: int, width: int, limit: int) -> None:
    canvas, _ = letterbox(white(height, width), longest_side=limit, side_multiple=32)
    assert canvas.shape[:2] == canvas_shape(height, width, longest_side=limit, side_multiple=32)


@given(sides, sides, limits)
def test_no_canvas_is_larger_than_the_frame_needs(height: int, width: int, limit: int) -> None:
    canvas, _ = letterbox(white(height, width), longest_side=limit, side_multiple=32)
    filled = shown(canvas)
    assert max(filled) <= max(limit, 1)
    assert all(side - taken < 32 for side, taken in zip(canvas.shape, filled, strict=False))


@given(sides, sides, limits)
def test_the_corners_of_the_canvas_map_back_to_the_corners_of_the_frame(height: int, width: int, limit: int) -> None:
    """But for the rows and columns that make no whole square of those that are averaged."""
    canvas, canvas_to_frame = letterbox(white(height, width), longest_side=limit, side_multiple=32)
    rows, columns = shown(canvas)
    corners = np.array([[-0.5, -0.5], [columns - 0.5, rows - 0.5]], np.float32)
    first, last = apply(canvas_to_frame, corners).tolist()
    np.testing.assert_allclose(first, -0.5, atol=1e-3)
    for end, side, taken in zip(last, (width, height), (columns, rows), strict=True):
        assert side - max(1, side / taken) < end + 0.5 + 1e-3
        assert end + 0.5 < side + 1e-3


@given(st.integers(1, 90), st.integers(1, 90))
def test_a_small_frame_is_not_resampled(height: int, width: int) -> None:
    image = np.random.default_rng(height).integers(0, 256, (height, width, 3), np.uint8)
    canvas, canvas_to_frame = letterbox(image, longest_side=90, side_multiple=32)
    np.testing.assert_array_equal(canvas[:height, :width], image)
    np.testing.assert_array_equal(canvas_to_frame, [[1, 0, 0], [0, 1, 0]])


def test_a_spot_in_a_shrunk_canvas_maps_back_to_where_it_was() -> None:
    y, x = np.mgrid[:300, :500]
    spot = 255 * np.exp(-((x - 341.0) ** 2 + (y - 87.0) ** 2) / (2 * 9.0**2))
    canvas, canvas_to_frame = letterbox(
        np.repeat(spot[..., None], 3, 2).astype(np.uint8), longest_side=160, side_multiple=32
    )
    weights = canvas[..., 0].astype(np.float64)
    rows, columns = np.mgrid[: canvas.shape[0], : canvas.shape[1]]
    centre = np.array([(weights * columns).sum(), (weights * rows).sum()]) / weights.sum()
    np.testing.assert_allclose(apply(canvas_to_frame, centre.astype(np.float32)), [341, 87], atol=0.1)


@pytest.mark.parametrize("factor", [2, 3, 4])
def test_a_fine_pattern_shrinks_to_its_mean(factor: int) -> None:
    """Also where the canvas is a little smaller than the frame by a whole factor, and the rest is interpolated."""
    for side in (64 * factor, 64 * factor + factor - 1):
        y, x = np.mgrid[:side, :side]
        pixels = np.repeat((((x + y) % 2) * 254)[..., None], 3, axis=2).astype(np.uint8)
        canvas, _ = letterbox(pixels, longest_side=64, side_multiple=1)
        inner = canvas[2:-2, 2:-2].astype(int)  # an odd block has one more of either
        np.testing.assert_allclose(inner, 127, atol=127 / factor**2 * (factor % 2) + 2)


@pytest.mark.parametrize(("height", "width"), [(200, 100), (100, 200)])
def test_a_long_frame_is_averaged_by_what_both_sides_allow(height: int, width: int) -> None:
    """A ramp along the longer side is one in the canvas, as straight as its levels allow."""
    ramp = np.linspace(0, 250, max(height, width))
    pixels = np.broadcast_to(ramp[:, None] if height > width else ramp[None], (height, width))
    canvas, canvas_to_frame = letterbox(
        np.repeat(pixels[..., None], 3, 2).round().astype(np.uint8), longest_side=70, side_multiple=1
    )
    rows, columns = np.mgrid[: canvas.shape[0], : canvas.shape[1]]
    there = apply(canvas_to_frame, np.stack([columns, rows], axis=2).astype(np.float32))
    expected = there[..., int(height > width)] * 250 / (max(height, width) - 1)
    np.testing.assert_allclose(canvas[..., 0][1:-1, 1:-1], expected[1:-1, 1:-1], atol=1.5)
