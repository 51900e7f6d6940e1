import cv2
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from faceloom.errors import DegeneratePointsError
from faceloom.geometry.affine import (
    Affine,
    Points,
    apply,
    apply_each,
    compose,
    fit_similarity,
    invert,
    scale_of,
    scaling,
    square_to_image,
    translation,
)

angles = st.floats(-np.pi, np.pi)
factors = st.floats(0.05, 20)
shifts = st.floats(-2000, 2000)
seeds = st.integers(0, 2**32 - 1)


def similarity(factor: float, angle: float, x: float, y: float) -> Affine:
    turn = factor * np.exp(1j * angle)
    return np.array([[turn.real, -turn.imag, x], [turn.imag, turn.real, y]])


affines = st.builds(similarity, factors, angles, shifts, shifts)


def some_points(seed: int, count: int = 9) -> Points:
    return np.random.default_rng(seed).uniform(-100, 100, (count, 2)).astype(np.float32)


@given(affines, seeds)
def test_a_map_and_its_inverse_cancel(source_to_target: Affine, seed: int) -> None:
    cancelled = compose(invert(source_to_target), source_to_target)
    np.testing.assert_allclose(cancelled, [[1, 0, 0], [0, 1, 0]], atol=1e-8)


@given(affines, affines, seeds)
def test_a_composed_map_is_one_map_after_the_other(first: Affine, second: Affine, seed: int) -> None:
    points = some_points(seed)
    stepwise = apply(second, apply(first, points))
    size = np.abs(stepwise).max() + 20 * np.abs(apply(first, points)).max()
    np.testing.assert_allclose(apply(compose(second, first), points), stepwise, atol=1e-6 * size)


@given(st.lists(affines, min_size=1, max_size=9), seeds)
def test_sets_of_points_are_mapped_to_the_same_bits_together_as_one_by_one(maps: list[Affine], seed: int) -> None:
    points = np.random.default_rng(seed).uniform(-100, 100, (len(maps), 5, 2)).astype(np.float32)
    alone = [apply(one, some) for one, some in zip(maps, points, strict=True)]
    np.testing.assert_array_equal(apply_each(np.stack(maps), points), alone)


def test_a_flat_map_has_no_inverse() -> None:
    with pytest.raises(DegeneratePointsError):
        invert(np.array([[1.0, 2, 0], [2, 4, 0]]))


@given(affines)
def test_the_scale_is_the_length_of_a_mapped_unit(source_to_target: Affine) -> None:
    assert scale_of(source_to_target) == pytest.approx(float(np.linalg.norm(source_to_target[:, 0])))


@given(affines, seeds, st.integers(2, 20))
def test_a_fit_recovers_the_similarity_that_made_the_points(source_to_target: Affine, seed: int, count: int) -> None:
    source = some_points(seed, count)
    target = apply(source_to_target, source)
    fitted = apply(fit_similarity(source, target), source)
    np.testing.assert_allclose(fitted, target, atol=1e-5 * (1 + np.abs(target).max()))


@given(seeds, st.integers(2, 20))
def test_a_fit_is_the_least_squares_solution(seed: int, count: int) -> None:
    source, target = some_points(seed, count), some_points(seed ^ 1, count)
    # Unknowns a, b, tx, ty of x' = ax - by + tx, y' = bx + ay + ty.
    one, zero = np.ones(count), np.zeros(count)
    x, y = source.T.astype(np.float64)
    equations = np.concatenate([np.stack([x, -y, one, zero], 1), np.stack([y, x, zero, one], 1)])
    a, b, tx, ty = np.linalg.lstsq(equations, target.T.astype(np.float64).reshape(-1), rcond=None)[0]
    np.testing.assert_allclose(fit_similarity(source, target), [[a, -b, tx], [b, a, ty]], rtol=1e-6, atol=1e-6)


@given(seeds, st.integers(2, 20))
def test_a_fit_never_reflects(seed: int, count: int) -> None:
    source = some_points(seed, count)
    mirrored = source * np.array([-1, 1], np.float32)
    assert np.linalg.det(fit_similarity(source, mirrored)[:, :2]) >= 0


def test_a_fit_to_points_that_coincide_is_refused() -> None:
    with pytest.raises(DegeneratePointsError):
        fit_similarity(np.full((5, 2), 7, np.float32), some_points(0, 5))


@pytest.mark.parametrize(("width", "resized"), [(40, 100), (100, 40), (64, 48), (48, 64)])
def test_scaling_puts_pixel_centres_where_resizing_puts_them(width: int, resized: int) -> None:
    ramp: NDArray[np.float32] = np.tile(np.arange(width, dtype=np.float32), (4, 1))
    shown = cv2.resize(ramp, (resized, 4), interpolation=cv2.INTER_LINEAR)[0]
    columns = np.stack([np.arange(resized), np.zeros(resized)], axis=1).astype(np.float32)
    expected = apply(invert(scaling(resized / width, 1)), columns)[:, 0]
    inside = (expected >= 0) & (expected <= width - 1)
    np.testing.assert_allclose(shown[inside], expected[inside], atol=1e-3)


@given(shifts, shifts, st.floats(1, 500), angles, st.integers(1, 512))
def test_a_square_is_laid_onto_the_edges_of_the_image(x: float, y: float, side: float, angle: float, size: int) -> None:
    square_to_chip = square_to_image((x, y), side, angle=angle, size=size)
    centre = complex(x, y)
    right, down = side / 2 * np.exp(1j * angle), side / 2 * np.exp(1j * (angle + np.pi / 2))
    corners = np.array([centre - right - down, centre + right - down, centre + right + down, centre - right + down])
    mapped = np.stack([corners.real, corners.imag, np.ones(4)], axis=1) @ square_to_chip.T
    low, high = -0.5, size - 0.5
    np.testing.assert_allclose(mapped, [[low, low], [high, low], [high, high], [low, high]], atol=1e-6 * size + 1e-9)


def test_a_translation_moves_by_what_it_says() -> None:
    points = some_points(3)
    np.testing.assert_allclose(apply(translation(3, -4), points), points + np.array([3, -4]), rtol=1e-6)
