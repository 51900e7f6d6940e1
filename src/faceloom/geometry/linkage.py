"""Average linkage of unit vectors: which of many are of one kind, exactly, in memory that grows with their number.

Two clusters are one as long as the mean cosine over their pairs is a threshold or more, the most alike first. That mean
is the dot product of the clusters' means, so no matrix of all pairs is needed. And it is reducible: no third cluster
comes nearer to two by their merger. Two things follow from that.

Clusters that are each other's nearest can be merged at once, in any order. And what is known of the nearest of a
cluster holds on: each keeps a list of some that are nearest to it, and a limit that no other exceeds, now or ever. A
cosine in a list may be one of before a merger, so at most too high, until it is the first of its list and somebody has
to know; then it is computed. Where all of a list have fallen below the limit, all clusters are looked at again, when
nothing else can be done and there are fewer.

Source: Murtagh 1983, The Computer Journal 26(4), "A survey of recent advances in hierarchical clustering algorithms",
reciprocal nearest neighbours; the lists are ours.
"""

import hashlib
import math
from collections import Counter
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from faceloom.geometry.nearest import GRID, NONE, Keys, NearestLists, Steps, keys_of, numbers_of, steps_of
from faceloom.geometry.rounded import Multiply, RoundedVectors, by_floats

_DOTS = 1 << 8
"""Pairs whose vectors are held at a time."""
_AT_ONCE = 8
"""Of a list whose first is older, so many are computed together, since the next are soon first."""
_MARGIN = 64
"""Steps by which the square of a vector of unit length may miss 1."""
_DIGEST_BYTES = 16


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Ties:
    """What is known beforehand of which vectors are of one kind."""

    together: NDArray[np.intp]
    """(N,) vectors with the same number are in one cluster from the beginning; -1: alone."""
    colours: NDArray[np.intp]
    """(N,) of no cluster are two of different colours; -1: of none, and with any. One for all that are together."""
    apart: NDArray[np.intp]
    """(P, 2) indexes of two that are never in one cluster, unless they are together."""
    frames: NDArray[np.intp] | None = None
    """(N,) two with the same number are never in one cluster, unless they are together; -1: with any."""
    also: NDArray[np.intp] | None = None
    """(P, 2) index of a vector, and another number of `frames` that it has."""


def average_linkage(
    vectors: NDArray[np.float32], *, threshold: float, ties: Ties | None = None, multiply: Multiply = by_floats
) -> NDArray[np.intp]:
    """(N,) a label from 0 for each of the vectors (N, D) of unit length, in order of first appearance.

    Ties forbid some mergers, and a merger forbids more: that too brings none nearer. Whoever multiplies, since sums of
    whole numbers are exact, labels are the same.
    """
    least = math.ceil(threshold * GRID)
    labels, means, sizes, bounds = _begun(vectors, ties, least)
    clusters = _Clusters(means, sizes, bounds, least=least, multiply=multiply)
    while len(pairs := clusters.pairs()):
        clusters.merge(pairs)
    return _in_order(clusters.ends()[labels])


class _Bounds:
    """Which clusters can be none with which."""

    def __init__(self, colours: NDArray[np.intp], apart: NDArray[np.intp], meetings: "_Meetings | None") -> None:
        """Of clusters the colours (C,), -1 for none, pairs (P, 2) that stay apart, and where they are."""
        self._colours = colours
        self._apart = apart
        self._keys = self._sorted()
        self._meetings = meetings

    def _sorted(self) -> NDArray[np.intp]:
        low, high = np.sort(self._apart, axis=1).T
        return np.unique(low * len(self._colours) + high)

    def merge(self, names: NDArray[np.intp], others: NDArray[np.intp]) -> None:
        """Others have become one with these, one each."""
        self._colours[names] = np.maximum(self._colours[names], self._colours[others])
        if self._meetings is not None:
            self._meetings.merge(names, others)
        if len(self._apart):
            into = np.arange(len(self._colours))
            into[others] = names
            self._apart = into[self._apart]
            self._keys = self._sorted()

    def forbid(self, first: NDArray[np.intp], second: NDArray[np.intp]) -> NDArray[np.bool_]:
        """Which pairs can be none."""
        one, other = self._colours[first], self._colours[second]
        is_forbidden = (one >= 0) & (other >= 0) & (one != other)
        if self._meetings is not None:
            is_forbidden |= self._meetings.between(first, second)
        if len(self._keys):
            keys = np.minimum(first, second) * len(self._colours) + np.maximum(first, second)
            places = np.minimum(np.searchsorted(self._keys, keys), len(self._keys) - 1)
            is_forbidden |= self._keys[places] == keys
        return np.asarray(is_forbidden)


class _Meetings:
    """In which frames clusters are: those that are in one at the same time are two.

    Kept by cluster and not by pair, since a crowd of a thousand has half a million pairs.
    """

    def __init__(self, labels: NDArray[np.intp], frames: NDArray[np.intp], count: int) -> None:
        """Of vectors the cluster (N,) and the frame (N,), -1 for none, and the number of clusters."""
        is_bound = frames >= 0
        _, numbers = np.unique(frames[is_bound], return_inverse=True)
        self._width = int(numbers.max(initial=0)) + 1
        self._keys = np.unique(labels[is_bound] * self._width + numbers)
        clusters, firsts, counts = np.unique(self._keys // self._width, return_index=True, return_counts=True)
        self._first = np.full(count, -1)
        """Of each cluster one of its frames."""
        self._first[clusters] = self._keys[firsts] % self._width
        self._counts = np.zeros(count, np.intp)
        self._counts[clusters] = counts

    def merge(self, names: NDArray[np.intp], others: NDArray[np.intp]) -> None:
        """Others have become one with these, one each."""
        places, counts = self._places(others)
        moved = np.sort(self._keys[places] + np.repeat((names - others) * self._width, counts))
        rest = np.delete(self._keys, places)
        self._keys = np.insert(rest, np.searchsorted(rest, moved), moved)
        self._first[names] = np.where(self._first[names] < 0, self._first[others], self._first[names])
        self._counts[names] += self._counts[others]

    def between(self, first: NDArray[np.intp], second: NDArray[np.intp]) -> NDArray[np.bool_]:
        """Which pairs have a frame in common."""
        one, other = self._first[first], self._first[second]
        found = (one == other) & (one >= 0)
        more = np.flatnonzero(
            ((self._counts[first] > 1) | (self._counts[second] > 1)) & ~found & (one >= 0) & (other >= 0)
        )
        for start in range(0, len(more), _DOTS):
            some = more[start : start + _DOTS]
            found[some] = self._meet(first[some], second[some])
        return np.asarray(found)

    def _meet(self, first: NDArray[np.intp], second: NDArray[np.intp]) -> NDArray[np.bool_]:
        """The same, looked up: each frame of the one that is in fewer."""
        is_less = self._counts[first] <= self._counts[second]
        less, more = np.where(is_less, first, second), np.where(is_less, second, first)
        places, counts = self._places(less)
        wanted = self._keys[places] % self._width + np.repeat(more * self._width, counts)
        found = self._keys[np.minimum(np.searchsorted(self._keys, wanted), len(self._keys) - 1)] == wanted
        pairs = np.repeat(np.arange(len(first)), counts)
        return np.bincount(pairs[found], minlength=len(first)) > 0

    def _places(self, clusters: NDArray[np.intp]) -> tuple[NDArray[np.intp], NDArray[np.intp]]:
        """Where the frames of clusters stand, those of the first one first, and how many there are of each."""
        counts = self._counts[clusters]
        starts = np.searchsorted(self._keys, clusters * self._width)
        ends = np.cumsum(counts)
        return np.arange(counts.sum()) + np.repeat(starts - ends + counts, counts), counts


class _Clusters:
    """Clusters that can still grow. Each has the row of the first of its vectors, and a number that is new with each
    merger: a neighbour whose number is no more is at most as near as it was.
    """

    def __init__(
        self,
        means: NDArray[np.float32],
        sizes: NDArray[np.float64],
        bounds: _Bounds | None,
        *,
        least: int,
        multiply: Multiply,
    ) -> None:
        count = len(means)
        self._rounded = RoundedVectors(means)
        self._means, self._sizes, self._bounds, self._least = means, sizes, bounds, least
        self._rows = np.arange(count)
        self._numbers = np.arange(count)
        """Of rows."""
        self._now = np.arange(2 * count)
        """Of numbers, those that they have become."""
        self._places = np.arange(2 * count)
        """Of numbers, their rows."""
        self._next = count
        self._merged = np.zeros(0, np.intp)
        """Rows that have become what they are just now."""
        self._lists = NearestLists(self._rounded, self._steps, least=least - 1, multiply=multiply)
        self._lists.fill()

    def ends(self) -> NDArray[np.intp]:
        """Of each row of the beginning the number of the cluster that it is in."""
        while not np.array_equal(further := self._now[self._now], self._now):
            self._now = further
        return self._now[: len(self._means)]

    def pairs(self) -> NDArray[np.intp]:
        """(P, 2) rows of clusters that are each other's nearest and alike enough, the first before the second.

        Not all there are: only what the nearest of some depends on is computed. From one to its nearest, and on to that
        one's, cosines grow until two are each other's.
        """
        self._compute(self._merged)
        while True:
            firsts, limits = self._lists.keys[self._rows, 0], self._lists.limits[self._rows]
            steps = steps_of(firsts)
            is_near = steps >= np.maximum(self._least, limits)
            is_short = (steps < limits) & (limits >= self._least)
            is_older = self._is_older(firsts, limits)
            older, short = self._rows[is_older], self._rows[is_short]
            known = self._rows[is_near & ~is_older]
            # Who has nobody left who is alike enough will never have, and takes no part any more.
            self._rows = self._rows[is_near | is_short]
            pairs = self._mutual(self._followed(known))
            if len(pairs):
                return pairs
            if len(older):
                self._compute(older)
            elif len(short):  # when nothing else can be done, and there are fewer to look at
                self._lists.look_again(short, self._rows, self._numbers)
            elif len(known):  # three or more that are equally near
                best = known[steps_of(self._lists.keys[known, 0]).argmax()]
                return np.sort(np.array([[best, self._nearest(best)]], np.intp))
            else:
                return np.zeros((0, 2), np.intp)

    def _followed(self, known: NDArray[np.intp]) -> NDArray[np.intp]:
        """Rows whose nearest are known, and all to which one comes from them, as far as that is known."""
        found = [known]
        while len(known):
            others = np.unique(self._nearest(known))
            known = others[self._is_older(self._lists.keys[others, 0], self._lists.limits[others])]
            self._compute(known)
            steps = steps_of(self._lists.keys[known, 0])
            known = known[steps >= np.maximum(self._least, self._lists.limits[known])]
            found.append(known)
        return np.concatenate(found)

    def _nearest(self, rows: NDArray[np.intp]) -> NDArray[np.intp]:
        return np.asarray(self._places[numbers_of(self._lists.keys[rows, 0])])

    def _mutual(self, known: NDArray[np.intp]) -> NDArray[np.intp]:
        nearest = np.full(len(self._means), -1)
        nearest[known] = self._nearest(known)
        rows = np.unique(known)
        others = nearest[rows]
        is_mutual = (nearest[others] == rows) & (rows < others)
        return np.stack([rows[is_mutual], others[is_mutual]], axis=1)

    def _compute(self, rows: NDArray[np.intp]) -> None:
        """Has the first of each list be as near as it says, where that is alike enough."""
        while len(rows := rows[self._is_older(self._lists.keys[rows, 0], self._lists.limits[rows])]):
            for start in range(0, len(rows), _DOTS):
                some = rows[start : start + _DOTS]
                lists = self._lists.keys[some]
                firsts = lists[:, :_AT_ONCE]
                known = self._once(firsts)
                i, j = np.nonzero(self._is_older(firsts, self._lists.limits[some, None]))
                steps, is_possible = self._steps(some[i], self._places[known[i, j]])
                firsts[i, j] = np.where(is_possible, keys_of(steps, known[i, j]), NONE)
                self._lists.keys[some] = np.sort(lists, axis=1)

    def _once(self, keys: Keys) -> NDArray[np.intp]:
        """Leaves of several keys (R, K) that have become of one cluster the one that is exact, or else the nearest.

        Gives the numbers of clusters, where there are any.
        """
        is_there = keys != NONE
        numbers = np.where(is_there, numbers_of(keys), 0)
        known = self._latest(numbers)
        is_exact = (keys & np.uint64(1) == 0) & (known == numbers)
        ranks = np.where(is_there, 2 * known + ~is_exact, -1)
        order = np.argsort(ranks, axis=1, kind="stable")
        ordered = np.take_along_axis(ranks, order, axis=1) // 2
        is_double = np.zeros(keys.shape, np.bool_)
        np.put_along_axis(is_double, order[:, 1:], ordered[:, 1:] == ordered[:, :-1], axis=1)
        keys[is_double] = NONE
        return known

    def _is_older(self, keys: Keys, limits: Steps) -> NDArray[np.bool_]:
        """Which neighbours may be farther than they were, of those that are near enough to matter."""
        is_near = steps_of(keys) >= np.maximum(self._least, limits)
        numbers = np.where(is_near, numbers_of(keys), 0)
        return np.asarray(is_near & ((keys & np.uint64(1) == 1) | (self._now[numbers] != numbers)))

    def _latest(self, numbers: NDArray[np.intp]) -> NDArray[np.intp]:
        """What numbers have become."""
        now = self._now[numbers]
        while (further := self._now[now]).tobytes() != now.tobytes():
            now = further
        self._now[numbers] = now
        return np.asarray(now)

    def _steps(self, first: NDArray[np.intp], second: NDArray[np.intp]) -> tuple[Steps, NDArray[np.bool_]]:
        """The cosines of pairs of rows, and which of them can be one."""
        found = np.empty(len(first), np.float32)
        for start in range(0, len(first), _DOTS):
            some = slice(start, start + _DOTS)
            found[some] = np.einsum("ij,ij->i", self._means.take(first[some], 0), self._means.take(second[some], 0))
        steps = np.rint(found * np.float32(GRID)).astype(np.int64)
        return steps, (first != second) & ~self._forbidden(first, second)

    def _forbidden(self, first: NDArray[np.intp], second: NDArray[np.intp]) -> NDArray[np.bool_]:
        return np.zeros(len(first), np.bool_) if self._bounds is None else self._bounds.forbid(first, second)

    def merge(self, pairs: NDArray[np.intp]) -> None:
        """Makes one of each pair of rows."""
        for start in range(0, len(pairs), _DOTS):
            some = pairs[start : start + _DOTS]
            shares = self._sizes[some] / self._sizes[some].sum(axis=1, keepdims=True)
            self._join(some, shares)
            one, other = self._means[some[:, 0]], self._means[some[:, 1]]
            self._means[some[:, 0]] = one * shares[:, :1] + other * shares[:, 1:]
            self._rounded.put(some[:, 0], self._means[some[:, 0]])
        first, second = pairs.T
        self._merged = first
        self._sizes[first] += self._sizes[second]
        if self._bounds is not None:
            self._bounds.merge(first, second)
        is_gone = np.zeros(len(self._means), np.bool_)
        is_gone[second] = True
        self._rows = self._rows[~is_gone[self._rows]]

    def _join(self, pairs: NDArray[np.intp], shares: NDArray[np.float64]) -> None:
        """Gives pairs a new number and one list each: all whom one of the two knows, as near as they can be at most."""
        numbers = np.arange(self._next, self._next + len(pairs))
        self._next += len(pairs)
        self._now[self._numbers[pairs]] = numbers[:, None]
        self._numbers[pairs[:, 0]] = numbers
        self._places[numbers] = pairs[:, 0]
        keys = self._lists.keys[pairs].reshape(len(pairs), -1)
        is_there = keys != NONE
        known = self._latest(np.where(is_there, numbers_of(keys), 0))
        steps = np.where(is_there, steps_of(keys), 0)
        is_other = is_there & (known != numbers[:, None])
        keys = np.where(is_other, keys_of(steps, known) | np.uint64(1), NONE)
        limits = (self._lists.limits[pairs] * shares).sum(axis=1)
        self._lists.limits[pairs[:, 0]] = np.ceil(limits).astype(np.int64)
        self._lists.put(pairs[:, 0], _each_once(keys))


def _each_once(keys: Keys) -> Keys:
    """Lists (P, K) in which each neighbour is as near as it was in one of its places."""
    keys = np.sort(keys, axis=1)
    numbers = np.where(keys == NONE, -1, numbers_of(keys))
    order = np.argsort(numbers, axis=1, kind="stable")
    ordered = np.take_along_axis(numbers, order, axis=1)
    is_double = np.zeros(keys.shape, np.bool_)
    np.put_along_axis(is_double, order[:, 1:], ordered[:, 1:] == ordered[:, :-1], axis=1)
    return np.where(is_double, NONE, keys)


_Begun = tuple[NDArray[np.intp], NDArray[np.float32], NDArray[np.float64], _Bounds | None]


def _begun(vectors: NDArray[np.float32], ties: Ties | None, least: int) -> _Begun:
    """Labels, means and sizes of the clusters that there are from the beginning, and what may not be one."""
    labels = _copies(vectors, least) if ties is None else _tied(vectors, ties, least)
    kept, labels = np.unique(labels, return_inverse=True)
    sizes = np.bincount(labels, minlength=len(kept)).astype(np.float64)
    if ties is None:
        return labels, vectors[kept].astype(np.float32), sizes, None
    means = np.zeros((len(kept), vectors.shape[1]), np.float32)
    np.add.at(means, labels, vectors)
    means /= sizes[:, None].astype(np.float32)
    apart = labels[ties.apart.reshape(-1, 2)]
    meetings = None if ties.frames is None else _met(labels, ties.frames, ties.also, count=len(kept))
    return labels, means, sizes, _Bounds(ties.colours[kept], apart[apart[:, 0] != apart[:, 1]], meetings)


def _met(labels: NDArray[np.intp], frames: NDArray[np.intp], also: NDArray[np.intp] | None, *, count: int) -> _Meetings:
    if also is not None:
        labels, frames = np.concatenate([labels, labels[also[:, 0]]]), np.concatenate([frames, also[:, 1]])
    return _Meetings(labels, frames, count)


def _tied(vectors: NDArray[np.float32], ties: Ties, least: int) -> NDArray[np.intp]:
    """(N,) the first vector that each is together with; copies that nothing was said of are together too."""
    is_tied = ties.together >= 0
    is_free = ~is_tied & (ties.colours < 0)
    is_free[ties.apart.ravel()] = False
    free = np.flatnonzero(is_free)
    labels = np.arange(len(vectors))
    labels[free] = free[_copies(vectors[free], least, None if ties.frames is None else ties.frames[free])]
    firsts = np.full(ties.together.max(initial=-1) + 1, len(vectors))
    np.minimum.at(firsts, ties.together[is_tied], np.flatnonzero(is_tied))
    labels[is_tied] = firsts[ties.together[is_tied]]
    return labels


def _copies(vectors: NDArray[np.float32], least: int, frames: NDArray[np.intp] | None = None) -> NDArray[np.intp]:
    """(N,) the first vector that is the same, bit for bit; itself where that is not alike enough to itself.

    Of those that are in one frame, one each.
    """
    firsts, places = np.arange(len(vectors)), dict[tuple[bytes, int], int]()
    seen: Counter[tuple[bytes, int]] = Counter()
    for place, vector in enumerate(vectors):
        square = round(float(vector @ vector) * GRID)
        if square >= least and abs(square - GRID) <= _MARGIN:
            digest = hashlib.blake2b(vector.tobytes(), digest_size=_DIGEST_BYTES).digest()
            there = 0
            if frames is not None and frames[place] >= 0:
                there = seen[digest, int(frames[place])]
                seen[digest, int(frames[place])] += 1
            firsts[place] = places.setdefault((digest, there), place)
    return firsts


def _in_order(labels: NDArray[np.intp]) -> NDArray[np.intp]:
    _, firsts, found = np.unique(labels, return_index=True, return_inverse=True)
    ranks = np.empty(len(firsts), np.intp)
    ranks[np.argsort(firsts)] = np.arange(len(firsts))
    return np.asarray(ranks[found], np.intp)
