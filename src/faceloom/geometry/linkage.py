"""Average linkage of unit vectors: which of many are of one kind, in memory that grows with their number alone."""

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

_BLOCK_BYTES = 8 << 20
"""Of cosines that are held at a time, whatever may be held: how they are cut decides their last bits."""
_STEPS = 2.0**20
"""To which cosines are rounded, so that those of equal vectors are equal however they were added."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Ties:
    """What is known beforehand of which vectors are of one kind."""

    together: NDArray[np.intp]
    """(N,) vectors with the same number are in one cluster from the beginning; -1: alone."""
    colours: NDArray[np.intp]
    """(N,) of no cluster are two of different colours; -1: of none, and with any. One for all that are together."""
    apart: NDArray[np.intp]
    """(P, 2) indexes of two that are never in one cluster, unless they are together."""


def average_linkage(vectors: NDArray[np.float32], *, threshold: float, ties: Ties | None = None) -> NDArray[np.intp]:
    """(N,) a label from 0 for each of the vectors (N, D) of unit length, in order of first appearance.

    Two clusters are one as long as the mean cosine over their pairs is `threshold` or more, the most alike first. That
    mean is the dot product of the clusters' means, so no matrix of all pairs is needed; and clusters that are each
    other's nearest can be merged at once, in any order, since this linkage is reducible: no other cluster comes nearer
    by a merger. So only clusters whose nearest is gone look again. Ties forbid some mergers, and a merger forbids more:
    that too brings none nearer.

    Source: Murtagh 1983, The Computer Journal 26(4), "A survey of recent advances in hierarchical clustering
    algorithms", reciprocal nearest neighbours.
    """
    labels, means, sizes, bounds = _begun(vectors, ties)
    nearest, cosines = _nearest(means, np.arange(len(means)), bounds)
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
        bounds = bounds and bounds.merged(pairs, places[into], stays)
        means, sizes, is_stale = means[stays], sizes[stays], is_stale[stays]
        nearest, cosines = places[into[nearest]][stays], cosines[stays]
        again = np.flatnonzero(is_stale)
        nearest[again], cosines[again] = _nearest(means, again, bounds)


@dataclass(frozen=True, slots=True, eq=False)
class _Bounds:
    """Which clusters can be none with which."""

    colours: NDArray[np.intp]
    """(C,) of clusters; -1: of none."""
    apart: NDArray[np.intp]
    """(P, 2) clusters, both ways."""

    def merged(self, pairs: NDArray[np.intp], places: NDArray[np.intp], stays: NDArray[np.bool_]) -> "_Bounds":
        """After pairs have become one each, and all have moved to their places."""
        colours = self.colours.copy()
        colours[pairs[:, 0]] = np.maximum(colours[pairs[:, 0]], colours[pairs[:, 1]])
        return _Bounds(colours[stays], np.unique(places[self.apart], axis=0))

    def forbid(self, found: NDArray[np.floating[Any]], block: NDArray[np.intp]) -> None:
        """Has the cosines (B, C) of some rows say that what is forbidden is infinitely far."""
        own = self.colours[block]
        found[(own[:, None] >= 0) & (self.colours >= 0) & (own[:, None] != self.colours)] = -np.inf
        rows = np.full(len(self.colours), -1)
        rows[block] = np.arange(len(block))
        here = self.apart[rows[self.apart[:, 0]] >= 0]
        found[rows[here[:, 0]], here[:, 1]] = -np.inf


_Begun = tuple[NDArray[np.intp], NDArray[np.float32], NDArray[np.float64], _Bounds | None]


def _begun(vectors: NDArray[np.float32], ties: Ties | None) -> _Begun:
    """Labels, means and sizes of the clusters that there are from the beginning, and what may not be one."""
    alone = np.arange(len(vectors))
    if ties is None:
        return alone, vectors.astype(np.float32, copy=True), np.ones(len(vectors)), None
    firsts = np.full(ties.together.max(initial=-1) + 1, len(vectors))
    is_tied = ties.together >= 0
    np.minimum.at(firsts, ties.together[is_tied], alone[is_tied])
    labels = alone.copy()
    labels[is_tied] = firsts[ties.together[is_tied]]
    kept, labels = np.unique(labels, return_inverse=True)
    sizes = np.bincount(labels, minlength=len(kept)).astype(np.float64)
    means = np.zeros((len(kept), vectors.shape[1]), np.float32)
    np.add.at(means, labels, vectors)
    means /= sizes[:, None].astype(np.float32)
    apart = labels[ties.apart.reshape(-1, 2)]
    apart = apart[apart[:, 0] != apart[:, 1]]
    bounds = _Bounds(ties.colours[kept], np.concatenate([apart, apart[:, ::-1]]))
    return labels, means, sizes, bounds


def _nearest(
    means: NDArray[np.float32], rows: NDArray[np.intp], bounds: _Bounds | None
) -> tuple[NDArray[np.intp], NDArray[np.float64]]:
    """The nearest other mean of some, and its cosine; where there is no other, any at minus infinity."""
    nearest, cosines = np.zeros(len(rows), np.intp), np.full(len(rows), -np.inf)
    step = max(1, _BLOCK_BYTES // (4 * max(1, len(means))))
    for start in range(0, len(rows), step):
        block = rows[start : start + step]
        found = (means[block] * np.float32(_STEPS)) @ means.T
        np.rint(found, out=found)
        found[np.arange(len(block)), block] = -np.inf
        if bounds is not None:
            bounds.forbid(found, block)
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
