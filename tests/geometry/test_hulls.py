from itertools import combinations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from faceloom.geometry.hulls import fill_hull

SIZE = 64
BLUR = 1.75
"""Pixels by which OpenCV's smooth edges and whole thicknesses may miss where an edge should be."""
seeds = st.integers(0, 2**32 - 1)
counts = st.integers(3, 10)
grows = st.floats(0, 8)


def some_points(seed: int, count: int) -> NDArray[np.float32]:
    return np.random.default_rng(seed).uniform(-10, SIZE + 10, (count, 2)).astype(np.float32)


def distances(points: NDArray[np.float32]) -> NDArray[np.float64]:
    """How far each pixel's centre is outside the hull of the points (negative: inside), by brute force.

    The hull lies on one side of every line through two points that has all points on one side; from outside,
    the nearest of all the segments between two points is on its edge.
    """
    centres = np.stack(np.meshgrid(np.arange(SIZE), np.arange(SIZE)), axis=2).astype(np.float64)
    inside = np.full((SIZE, SIZE), -np.inf)
    outside = np.full((SIZE, SIZE), np.inf)
    for start, end in combinations(points.astype(np.float64), 2):
        length = np.linalg.norm(end - start)
        along = (end - start) / length
        normal = np.array([along[1], -along[0]])
        foot = np.clip((centres - start) @ along, 0, length)[..., None] * along + start
        outside = np.minimum(outside, np.linalg.norm(centres - foot, axis=2))
        for side in (1, -1):
            if (side * (points - start) @ normal <= 1e-6).all():
                inside = np.maximum(inside, side * (centres - start) @ normal)
    return np.where(inside <= 0, inside, outside)


@given(seeds, counts, grows)
def test_a_hull_covers_what_is_within_it_or_as_near_as_it_grows(seed: int, count: int, grow: float) -> None:
    points = some_points(seed, count)
    mask = fill_hull(points, grow=grow, size=SIZE)
    assert (mask[distances(points) < grow - BLUR] >= 128).all()


@given(seeds, counts, grows)
def test_a_hull_leaves_what_is_farther_than_it_grows(seed: int, count: int, grow: float) -> None:
    points = some_points(seed, count)
    mask = fill_hull(points, grow=grow, size=SIZE)
    assert (mask[distances(points) > grow + BLUR] < 128).all()


@given(seeds, counts)
def test_a_hull_is_smooth_at_its_edge_only(seed: int, count: int) -> None:
    points = some_points(seed, count)
    away = np.abs(distances(points)) > 3
    assert set(np.unique(fill_hull(points, grow=0, size=SIZE)[away])) <= {0, 255}


@given(seeds, counts, grows)
def test_growing_never_takes_coverage_away(seed: int, count: int, grow: float) -> None:
    points = some_points(seed, count)
    before, after = fill_hull(points, grow=0, size=SIZE), fill_hull(points, grow=grow, size=SIZE)
    assert (after >= before).all()


def test_points_far_outside_the_mask_do_not_wrap_around() -> None:
    far = np.array([[-1e6, -1e6], [1e6, -1e6], [1e6, 1e6], [-1e6, 1e6]], np.float32)
    assert (fill_hull(far, grow=40, size=1024) == 255).all()
