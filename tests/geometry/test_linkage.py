"""SciPy's average linkage is the oracle, which takes a matrix of all pairs."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from faceloom.geometry import linkage, nearest
from faceloom.geometry.linkage import Ties, average_linkage


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


@given(st.integers(0, 100), st.integers(1, 7), st.integers(1, 4), st.floats(-1, 0.9))
def test_blocks_and_lists_of_any_size_give_the_same(seed: int, rows: int, kept: int, threshold: float) -> None:
    vectors = people(seed, count=5, each=5, spread=0.5)
    whole = average_linkage(vectors, threshold=threshold)
    with pytest.MonkeyPatch.context() as patch:
        for name, value in (("_TILE", rows), ("_SLAB", 2), ("_FOLD", 3 * rows), ("_SLICE", rows), ("_KEPT", kept)):
            patch.setattr(nearest, name, value)
        patch.setattr(linkage, "_DOTS", rows)
        np.testing.assert_array_equal(average_linkage(vectors, threshold=threshold), whole)


def test_equal_vectors_are_one_whatever_their_number() -> None:
    vectors = np.repeat(people(0, count=3, each=1, spread=0), 50, axis=0)
    assert average_linkage(vectors, threshold=0.999).tolist() == [0] * 50 + [1] * 50 + [2] * 50


def test_lists_that_are_short_are_those_of_scipy_too() -> None:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(nearest, "_KEPT", 2)
        test_clusters_are_those_of_scipy()


def test_labels_are_in_order_of_first_appearance() -> None:
    labels = average_linkage(people(1, count=6, each=4, spread=0.1), threshold=0.8)
    firsts = [labels.tolist().index(label) for label in range(labels.max() + 1)]
    assert firsts == sorted(firsts)


def test_nothing_has_no_labels() -> None:
    assert average_linkage(np.zeros((0, 8), np.float32), threshold=0.5).tolist() == []


def brute(vectors: NDArray[np.float32], threshold: float, ties: Ties) -> NDArray[np.intp] | None:
    """The most alike of the clusters that may be one become one, again and again; None where two are as alike."""
    numbers = range(len(vectors))
    clusters = [{i} for i in numbers if ties.together[i] < 0]
    clusters += [{i for i in numbers if ties.together[i] == bloc} for bloc in sorted({*ties.together.tolist()} - {-1})]
    apart = {(a, b) for pair in ties.apart.tolist() for a, b in (pair, pair[::-1])}
    apart -= {(a, b) for cluster in clusters for a in cluster for b in cluster}
    cosines = vectors.astype(np.float64) @ vectors.T
    while True:
        found = []
        for j, other in enumerate(clusters):
            for i, one in enumerate(clusters[:j]):
                colours = {int(ties.colours[k]) for k in one | other} - {-1}
                met = ties.frames is not None and bool({*ties.frames[[*one]]} & {*ties.frames[[*other]]} - {-1})
                if len(colours) < 2 and not met and not any((a, b) in apart for a in one for b in other):
                    found.append((float(cosines[np.ix_(sorted(one), sorted(other))].mean()), i, j))
        found.sort(reverse=True)
        if any(abs(mean - threshold) < 1e-4 for mean, *_ in found) or (
            len(found) > 1 and found[0][0] - found[1][0] < 1e-5
        ):
            return None
        if not found or found[0][0] < threshold:
            labels = np.empty(len(vectors), np.intp)
            for label, cluster in enumerate(clusters):
                labels[sorted(cluster)] = label
            return labels
        _, i, j = found[0]
        clusters[i] |= clusters.pop(j)


@given(st.data(), st.integers(0, 10**6), st.floats(0.3, 2), st.floats(-0.3, 0.95))
def test_what_is_told_beforehand_holds_and_the_rest_is_as_alike_as_it_was(
    data: st.DataObject, seed: int, spread: float, threshold: float
) -> None:
    vectors = people(seed, count=4, each=3, spread=spread)
    count = len(vectors)
    together = np.array(data.draw(st.lists(st.integers(-1, 2), min_size=count, max_size=count)))
    of_blocs = data.draw(st.lists(st.integers(-1, 1), min_size=3, max_size=3))
    alone = np.array(data.draw(st.lists(st.sampled_from([-1, -1, 0, 1]), min_size=count, max_size=count)))
    colours = np.where(together >= 0, np.array([*of_blocs, -1])[together], alone)
    place = st.integers(0, count - 1)
    pairs = [pair for pair in data.draw(st.lists(st.tuples(place, place), max_size=3)) if pair[0] != pair[1]]
    frames = np.array(data.draw(st.lists(st.integers(-1, 5), min_size=count, max_size=count)))
    ties = Ties(together=together, colours=colours, apart=np.array(pairs, np.intp).reshape(-1, 2), frames=frames)
    wanted = brute(vectors, threshold, ties)
    if wanted is not None:
        np.testing.assert_array_equal(same(average_linkage(vectors, threshold=threshold, ties=ties)), same(wanted))


def test_ties_that_tie_nothing_change_nothing() -> None:
    vectors = people(3, count=5, each=6, spread=0.7)
    none = np.full(len(vectors), -1)
    ties = Ties(together=none, colours=none, apart=np.zeros((0, 2), np.intp))
    np.testing.assert_array_equal(
        average_linkage(vectors, threshold=0.5, ties=ties), average_linkage(vectors, threshold=0.5)
    )


@given(st.data(), st.integers(0, 10**6), st.floats(0.3, 2), st.floats(-0.9, 0.9), st.integers(2, 12))
def test_two_of_one_frame_are_never_one(
    data: st.DataObject, seed: int, spread: float, threshold: float, number: int
) -> None:
    vectors = people(seed, count=4, each=4, spread=spread)
    none = np.full(len(vectors), -1)
    frames = np.array(data.draw(st.lists(st.integers(-1, number), min_size=16, max_size=16)))
    ties = Ties(together=none, colours=none, apart=np.zeros((0, 2), np.intp), frames=frames)
    labels = average_linkage(vectors, threshold=threshold, ties=ties)
    seats = [(label, frame) for label, frame in zip(labels.tolist(), frames.tolist(), strict=True) if frame >= 0]
    assert len(set(seats)) == len(seats)
    wanted = brute(vectors, threshold, ties)
    if wanted is not None:
        np.testing.assert_array_equal(same(labels), same(wanted))


@given(st.data(), st.integers(0, 10**6), st.floats(-0.9, 0.9))
def test_a_vector_may_have_several_frames(data: st.DataObject, seed: int, threshold: float) -> None:
    vectors = people(seed, count=3, each=3, spread=0.7)
    none, place = np.full(9, -1), st.integers(0, 8)
    pairs = data.draw(st.lists(st.tuples(place, st.integers(0, 3)), max_size=9))
    also = np.array(pairs, np.intp).reshape(-1, 2)
    ties = Ties(together=none, colours=none, apart=np.zeros((0, 2), np.intp), frames=none, also=also)
    apart = [(a, b) for a, frame in pairs for b, other in pairs if a < b and frame == other]
    same_ties = Ties(together=none, colours=none, apart=np.array(apart, np.intp).reshape(-1, 2))
    found, wanted = (average_linkage(vectors, threshold=threshold, ties=one) for one in (ties, same_ties))
    np.testing.assert_array_equal(same(found), same(wanted))


def test_equal_vectors_of_one_frame_are_as_many_as_its_faces() -> None:
    vectors = np.repeat(people(0, count=1, each=1, spread=0), 60, axis=0)
    none = np.full(60, -1)
    ties = Ties(together=none, colours=none, apart=np.zeros((0, 2), np.intp), frames=np.repeat(np.arange(30), 2))
    assert average_linkage(vectors, threshold=0.9, ties=ties).tolist() == [0, 1] * 30
