import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from faceloom.geometry.pieces import largest_piece, without_holes

ndimage = pytest.importorskip("scipy.ndimage")
SIDE = 12


def mask_of(*rectangles: tuple[int, int, int, int]) -> NDArray[np.uint8]:
    """Covered in these rows and columns: first, and one after the last."""
    mask = np.zeros((SIDE, SIDE), np.uint8)
    for top, bottom, left, right in rectangles:
        mask[top:bottom, left:right] = 255
    return mask


masks = st.integers(0, 10**6).map(
    lambda seed: np.random.default_rng(seed).choice(np.array([0, 60, 200, 255], np.uint8), (SIDE, SIDE))
)


def test_the_larger_of_two_pieces_is_left_with_its_soft_edge() -> None:
    mask = mask_of((0, 2, 0, 2), (4, 9, 4, 9))
    mask[3, 4:9] = 60
    expected = mask.copy()
    expected[:2, :2] = 0
    np.testing.assert_array_equal(largest_piece(mask), expected)


def test_pieces_that_touch_at_a_corner_are_two() -> None:
    assert (largest_piece(mask_of((0, 3, 0, 3), (3, 5, 3, 5))) >= 128).sum() == 9


@given(masks)
def test_one_piece_is_left_and_it_is_as_large_as_any(mask: NDArray[np.uint8]) -> None:
    pieces, count = ndimage.label(mask >= 128)
    sizes = ndimage.sum_labels(mask >= 128, pieces, range(1, count + 1))
    left = largest_piece(mask)
    assert ndimage.label(left >= 128)[1] == min(1, count)
    assert (left >= 128).sum() == max(sizes, default=0)
    assert ((left == mask) | (left == 0)).all()


@given(masks)
def test_holes_are_filled_as_another_program_fills_them(mask: NDArray[np.uint8]) -> None:
    filled = without_holes(mask)
    np.testing.assert_array_equal(filled >= 128, ndimage.binary_fill_holes(mask >= 128))
    assert (filled >= mask).all()


def test_an_empty_mask_stays_empty_and_a_full_one_full() -> None:
    for value in (0, 255):
        mask = np.full((SIDE, SIDE), value, np.uint8)
        np.testing.assert_array_equal(without_holes(largest_piece(mask)), mask)
