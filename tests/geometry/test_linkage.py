"""SciPy's average linkage is the oracle, which takes a matrix of all pairs."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from faceloom.geometry import linkage
from faceloom.geometry.linkage import average_linkage


def people(seed: int, *, count: int, each: int, spread: float) -> NDArray[np.float32]:
    """Unit vectors (N, 16) around some directions."""
    random = np.random.default_rng(seed)
    middles = random.normal(size=(count, 16))
    vectors = np.repeat(middles, each, axis=0) + random.normal(size=(count * each, 16)) * spread
    random.shuffle(vectors)
    return np.asarray(vectors / np.linalg.norm(vectors, axis=1, keepdims=True), np.float32)


def same(labels: NDArray[np.intp]) -> NDArray[np.bool_]:
    return np.asarray(labels[:, None] == labels[None])


@given(st.integers(0, 10**6), st.integers(1, 12), st.integers(1, 8), st.floats(0.1, 3), st.floats(-0.5, 0.999))
def test_clusters_are_those_of_scipy(seed: int, count: int, each: int, spread: float, threshold: float) -> None:
    hierarchy = pytest.importorskip("scipy.cluster.hierarchy")
    vectors = people(seed, count=count, each=each, spread=spread)
    found = average_linkage(vectors, threshold=threshold)
    if len(vectors) == 1:
        assert found.tolist() == [0]
        return
    distances = 1 - (vectors.astype(np.float64) @ vectors.T)[np.triu_indices(len(vectors), 1)]
    tree = hierarchy.linkage(distances, "average")
    if np.abs(tree[:, 2] - (1 - threshold)).min() < 1e-4:  # either is right
        return
    theirs = hierarchy.fcluster(tree, 1 - threshold, "distance")
    np.testing.assert_array_equal(same(found), same(theirs))


@given(st.integers(0, 100), st.integers(1, 7))
def test_blocks_of_any_size_give_the_same(seed: int, rows: int) -> None:
    vectors = people(seed, count=5, each=5, spread=0.5)
    whole = average_linkage(vectors, threshold=0.5)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(linkage, "_BLOCK_BYTES", rows * 4 * len(vectors))
        np.testing.assert_array_equal(average_linkage(vectors, threshold=0.5), whole)


def test_equal_vectors_are_one_whatever_their_number() -> None:
    vectors = np.repeat(people(0, count=3, each=1, spread=0), 50, axis=0)
    assert average_linkage(vectors, threshold=0.999).tolist() == [0] * 50 + [1] * 50 + [2] * 50


def test_labels_are_in_order_of_first_appearance() -> None:
    labels = average_linkage(people(1, count=6, each=4, spread=0.1), threshold=0.8)
    firsts = [labels.tolist().index(label) for label in range(labels.max() + 1)]
    assert firsts == sorted(firsts)


def test_nothing_has_no_labels() -> None:
    assert average_linkage(np.zeros((0, 8), np.float32), threshold=0.5).tolist() == []
