"""Average linkage of unit vectors: which of many are of one kind, in memory that grows with their number alone."""

import numpy as np
from numpy.typing import NDArray

_BLOCK_BYTES = 8 << 20
"""Of cosines that are held at a time, whatever may be held: how they are cut decides their last bits."""
_STEPS = 2.0**20
"""To which cosines are rounded, so that those of equal vectors are equal however they were added."""


def average_linkage(vectors: NDArray[np.float32], *, threshold: float) -> NDArray[np.intp]:
    """(N,) a label from 0 for each of the vectors (N, D) of unit length, in order of first appearance.

    Two clusters are one as long as the mean cosine over their pairs is `threshold` or more, the most alike first. That
    mean is the dot product of the clusters' means, so no matrix of all pairs is needed; and clusters that are each
    other's nearest can be merged at once, in any order, since this linkage is reducible: no other cluster comes nearer
    by a merger. So only clusters whose nearest is gone look again.

    Source: Murtagh 1983, The Computer Journal 26(4), "A survey of recent advances in hierarchical clustering
    algorithms", reciprocal nearest neighbours.
    """
    labels = np.arange(len(vectors))
    means = vectors.astype(np.float32, copy=True)
    sizes = np.ones(len(vectors))
    nearest, cosines = _nearest(means, np.arange(len(means)))
    while True:
        pairs = _pairs(nearest, cosines, threshold)
        if not len(pairs):
            return _in_order(labels)
        first, second = pairs.T
        total = sizes[first] + sizes[second]
        shares = (sizes[first] / total)[:, None], (sizes[second] / total)[:, None]
        means[first] = means[first] * shares[0] + means[second] * shares[1]
        sizes[first] = total
        into = np.arange(len(means))
        into[second] = first
        is_changed = np.zeros(len(means), np.bool_)
        is_changed[pairs] = True
        is_stale = is_changed | is_changed[nearest]
        # What is gone leaves the arrays, and all indexes become those of what stays.
        stays = into == np.arange(len(means))
        places = np.cumsum(stays) - 1
        labels = places[into][labels]
        means, sizes, is_stale = means[stays], sizes[stays], is_stale[stays]
        nearest, cosines = places[into[nearest]][stays], cosines[stays]
        again = np.flatnonzero(is_stale)
        nearest[again], cosines[again] = _nearest(means, again)


def _nearest(means: NDArray[np.float32], rows: NDArray[np.intp]) -> tuple[NDArray[np.intp], NDArray[np.float64]]:
    """The nearest other mean of some, and its cosine; where there is no other, itself at minus infinity."""
    nearest, cosines = np.zeros(len(rows), np.intp), np.full(len(rows), -np.inf)
    step = max(1, _BLOCK_BYTES // (4 * max(1, len(means))))
    for start in range(0, len(rows), step):
        block = rows[start : start + step]
        found = (means[block] * np.float32(_STEPS)) @ means.T
        np.rint(found, out=found)
        found[np.arange(len(block)), block] = -np.inf
        best = found.argmax(axis=1)
        nearest[start : start + step] = best
        cosines[start : start + step] = found[np.arange(len(block)), best] / _STEPS
    return nearest, cosines


def _pairs(nearest: NDArray[np.intp], cosines: NDArray[np.float64], threshold: float) -> NDArray[np.intp]:
    """(P, 2) clusters that are each other's nearest and alike enough, the lower index first."""
    everyone = np.arange(len(nearest))
    is_mutual = (nearest[nearest] == everyone) & (everyone < nearest) & (cosines >= threshold)
    if not is_mutual.any() and len(cosines) and cosines.max() >= threshold:  # three or more that are equally near
        best = int(cosines.argmax())
        return np.sort(np.array([[best, nearest[best]]], np.intp))
    return np.stack([everyone[is_mutual], nearest[is_mutual]], axis=1)


def _in_order(labels: NDArray[np.intp]) -> NDArray[np.intp]:
    _, firsts, found = np.unique(labels, return_index=True, return_inverse=True)
    ranks = np.empty(len(firsts), np.intp)
    ranks[np.argsort(firsts)] = np.arange(len(firsts))
    return np.asarray(ranks[found], np.intp)
