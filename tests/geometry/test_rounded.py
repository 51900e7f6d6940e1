"""Whole numbers bound dot products; whoever multiplies them, the sums are exact."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from faceloom.engines.whole_numbers import by_runtime
from faceloom.geometry.linkage import average_linkage
from faceloom.geometry.rounded import MOST, Multiply, RoundedVectors, by_floats

BOTH = pytest.mark.parametrize("multiply", [by_floats, by_runtime])


@given(st.integers(0, 10**6), st.integers(1, 200), st.integers(1, 300), st.floats(0.1, 20))
def test_no_dot_product_is_outside_of_the_margins(seed: int, count: int, numbers: int, tail: float) -> None:
    random = np.random.default_rng(seed)
    drawn = np.sign(random.normal(size=(count, numbers))) * random.random((count, numbers)) ** tail  # few are large
    lengths = np.linalg.norm(drawn, axis=1, keepdims=True)
    vectors = (random.random((count, 1)) * drawn / np.where(lengths > 0, lengths, 1)).astype(np.float32)
    vectors[0] = 0
    rounded = RoundedVectors(vectors)
    rounded.put(np.arange(count // 2), vectors[: count // 2])
    exact = vectors.astype(np.float64) @ vectors.T
    whole = rounded.whole.astype(np.int64) @ rounded.whole.T.astype(np.int64)
    assert (np.abs(exact - rounded.step * whole) <= rounded.margins[:, None] + rounded.margins).all()


def test_margins_of_vectors_of_unit_length_are_small() -> None:
    vectors = np.random.default_rng(0).normal(size=(500, 512)).astype(np.float32)
    for some in (vectors, vectors * (np.arange(512) < 16), np.eye(500, 512, dtype=np.float32)):
        rounded = RoundedVectors(some / np.linalg.norm(some, axis=1, keepdims=True))
        assert rounded.margins.max() < 0.025


@BOTH
@pytest.mark.parametrize("numbers", [1, 63, 128, 512, 2048])
def test_sums_are_exact_however_large_they_are(multiply: Multiply, numbers: int) -> None:
    random = np.random.default_rng(numbers)
    for some in (random.integers(-MOST, MOST + 1, (70, numbers)), random.choice([-MOST, MOST], (70, numbers))):
        whole = some.astype(np.int8)
        whole[0], whole[1] = MOST, -MOST
        np.testing.assert_array_equal(
            multiply(whole[:33])(whole), whole.astype(np.int64) @ whole[:33].T.astype(np.int64)
        )


def test_groups_are_the_same_whoever_multiplies() -> None:
    random = np.random.default_rng(5)
    drawn = np.repeat(random.normal(size=(40, 64)), 60, axis=0) + random.normal(size=(2400, 64)) * 0.9
    vectors = (drawn / np.linalg.norm(drawn, axis=1, keepdims=True)).astype(np.float32)
    one, other = (average_linkage(vectors, threshold=0.3, multiply=multiply) for multiply in (by_floats, by_runtime))
    np.testing.assert_array_equal(one, other)
    assert 1 < one.max() < 2000
