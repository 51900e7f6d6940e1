"""Lists of the nearest of many vectors, by the dot product, block by block and without a matrix of all pairs."""

from collections.abc import Callable, Iterator
from itertools import pairwise
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

Rows: TypeAlias = NDArray[np.intp]
Steps: TypeAlias = NDArray[np.int64]
"""Dot products in steps of 1 / GRID, so that those of equal vectors are equal however they were added."""
Keys: TypeAlias = NDArray[np.uint64]
"""Of neighbours, the nearest first: how far, which number, and in the last bit whether it may be farther than that."""
Forbidden: TypeAlias = Callable[[Rows, Rows], NDArray[np.bool_]]
"""Which pairs of vectors can be no neighbours, by their numbers."""

GRID = 1 << 20
MOST_ROWS = 1 << 20
"""Of which a row, the number of another, up to twice as high, and a product fit into 64 bits to be sorted by."""
_KEPT = 64
"""Neighbours in a list: with fewer everything is looked at more often, more take memory (measured)."""
_TILE = 1024
"""Rows and columns that are multiplied at a time: how they are cut decides the last bits of products."""
_SLAB = 128
"""Rows of a tile that are looked through at a time."""
_FOLD = 1 << 20
"""Neighbours that are found before they are sorted into lists."""
_SLICE = 1 << 12
"""Lists that are changed at a time."""
_FAR = 1 << 21
"""More steps than any two vectors of unit length are apart."""
NONE = np.uint64((1 << 64) - 1)
"""The key of no neighbour."""
_ONE = np.uint64(1)
_ABOVE_NUMBER = np.uint64(33)
_ABOVE_STEPS = np.uint64(43)
"""Where the row stands before 22 bits of steps and 21 of a number, while neighbours are sorted."""
_NUMBER = np.uint64((1 << 32) - 1)


def steps_of(keys: Keys) -> Steps:
    """How near neighbours are; where there is none, farther than any."""
    return _FAR - (keys >> _ABOVE_NUMBER).astype(np.int64)


def numbers_of(keys: Keys) -> Rows:
    """Which neighbours they are; where there is none, any number."""
    return ((keys >> _ONE) & _NUMBER).astype(np.intp)


def keys_of(steps: Steps, numbers: Rows) -> Keys:
    """The keys of neighbours that are as near as that."""
    return ((_FAR - steps).astype(np.uint64) << _ABOVE_NUMBER) | (numbers.astype(np.uint64) << _ONE)


class NearestLists:
    """For each of many rows the keys of some that are nearest to it, and a limit in steps that no other exceeds."""

    def __init__(self, count: int, *, least: int) -> None:
        """Lists of neighbours that are nearer than `least` steps; empty until they are filled."""
        self.keys: Keys = np.full((count, _KEPT), NONE)
        self.limits: Steps = np.full(count, least)
        self._least = least
        self._found: list[Keys] = []
        self._count = 0

    def fill(self, vectors: NDArray[np.float32], forbidden: Forbidden) -> None:
        """Looks at every pair of vectors once; the number of each is that of its row."""
        for top in range(0, len(vectors), _TILE):
            scaled = vectors[top : top + _TILE] * np.float32(GRID)
            for left in range(top, len(vectors), _TILE):
                products = scaled @ vectors[left : left + _TILE].T
                if left == top:
                    products[np.tri(len(products), dtype=np.bool_)] = -np.inf
                rows, columns = np.arange(top, top + len(products)), np.arange(left, left + products.shape[1])
                for i, j, steps in _hits(products, self.limits[rows], self.limits[columns]):
                    is_forbidden = forbidden(rows[i], columns[j])
                    self._note(rows[i], columns[j], steps, is_forbidden)
                    self._note(columns[j], rows[i], steps, is_forbidden)
        self._fold()

    def look_again(
        self, rows: Rows, among: Rows, numbers: Rows, vectors: NDArray[np.float32], forbidden: Forbidden
    ) -> None:
        """Fills the lists of some rows anew with the numbers of those among which they are."""
        self.keys[rows] = NONE
        self.limits[rows] = self._least
        for left in range(0, len(among), _TILE):
            columns = among[left : left + _TILE]
            others = vectors[columns].T
            for top in range(0, len(rows), _TILE):
                some = rows[top : top + _TILE]
                products = (vectors[some] * np.float32(GRID)) @ others
                products[some[:, None] == columns] = -np.inf
                for i, j, steps in _hits(products, self.limits[some], np.full(len(columns), _FAR)):
                    self._note(some[i], numbers[columns[j]], steps, forbidden(some[i], columns[j]))
        self._fold()

    def _note(self, rows: Rows, numbers: Rows, steps: Steps, is_forbidden: NDArray[np.bool_]) -> None:
        """Takes up neighbours of rows, as far as they are nearer than what the lists hold."""
        kept = (steps > self.limits[rows]) & ~is_forbidden
        far = (_FAR - steps[kept]).astype(np.uint64)
        places = (rows[kept].astype(np.uint64) << _ABOVE_STEPS) | numbers[kept].astype(np.uint64)
        self._found.append(places | (far << np.uint64(21)))
        self._count += len(far)
        if self._count >= _FOLD:
            self._fold()

    def _fold(self) -> None:
        """Sorts what was found into the lists."""
        if not self._count:
            return
        found = np.concatenate(self._found)
        self._found, self._count = [], 0
        found.sort()
        ends = np.arange(0, len(self.keys) + _SLICE, _SLICE).astype(np.uint64) << _ABOVE_STEPS
        for start, end in pairwise(np.searchsorted(found, ends).tolist()):
            if start < end:
                self._fold_some(found[start:end])

    def _fold_some(self, found: Keys) -> None:
        """Sorts neighbours that are sorted by row into the lists of these rows."""
        rows = (found >> _ABOVE_STEPS).astype(np.intp)
        firsts = np.flatnonzero(np.diff(rows, prepend=-1))
        places = np.cumsum(np.bincount(firsts, minlength=len(rows))) - 1
        ranks = np.arange(len(rows)) - firsts[places]
        kept = ranks < _KEPT
        far = (found[kept] >> np.uint64(21)) & np.uint64((1 << 22) - 1)
        fresh = np.full((len(firsts), _KEPT), NONE)
        fresh[places[kept], ranks[kept]] = (far << _ABOVE_NUMBER) | ((found[kept] & np.uint64((1 << 21) - 1)) << _ONE)
        self.put(rows[firsts], np.concatenate([self.keys[rows[firsts]], fresh], axis=1))

    def put(self, rows: Rows, keys: Keys) -> None:
        """Keeps the nearest of keys as the lists of rows; limits rise to the nearest of those that are left out."""
        keys = np.sort(keys, axis=1)
        self.keys[rows] = keys[:, :_KEPT]
        self.limits[rows] = np.maximum(self.limits[rows], steps_of(keys[:, _KEPT - 1]))


def _hits(products: NDArray[np.floating[Any]], by_row: Steps, by_column: Steps) -> Iterator[tuple[Rows, Rows, Steps]]:
    """Places and steps of products that are beyond the limit of their row or of their column, some at a time."""
    limits = by_column.astype(np.float32)
    for top in range(0, len(products), _SLAB):
        slab = products[top : top + _SLAB]
        is_near = (slab > by_row[top : top + _SLAB, None].astype(np.float32)) | (slab > limits)
        i, j = np.divmod(np.flatnonzero(is_near), slab.shape[1])
        if len(i):
            yield i + top, j, np.rint(slab[i, j]).astype(np.int64)
