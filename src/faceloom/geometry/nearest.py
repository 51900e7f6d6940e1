"""Lists of the nearest of many vectors, by the dot product, block by block and without a matrix of all pairs.

Whole numbers tell which pairs may be near enough; of these alone the product is computed.
"""

from collections.abc import Callable, Iterator
from itertools import pairwise
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

from faceloom.geometry.rounded import Multiply, Products, RoundedVectors

Rows: TypeAlias = NDArray[np.intp]
Steps: TypeAlias = NDArray[np.int64]
"""Dot products in steps of 1 / GRID, so that those of equal vectors are equal however they were added."""
Keys: TypeAlias = NDArray[np.uint64]
"""Of neighbours, the nearest first: how far, which number, and in the last bit whether it may be farther than that."""
Near: TypeAlias = Callable[[Rows, Rows], tuple[Steps, NDArray[np.bool_]]]
"""How near pairs of rows are, and which of them can be neighbours."""

GRID = 1 << 20
MOST_ROWS = 1 << 20
"""Of which a row, the number of another, up to twice as high, and a product fit into 64 bits to be sorted by."""
_KEPT = 64
"""Neighbours in a list: with fewer everything is looked at more often, more take memory (measured)."""
_TILE = 1024
"""Rows and columns that are multiplied at a time."""
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
_NEVER = -(1 << 30)
"""Fewer than any product: of a vector with itself, which is no neighbour."""
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

    def __init__(self, vectors: RoundedVectors, near: Near, *, least: int, multiply: Multiply) -> None:
        """Lists of neighbours that are nearer than `least` steps; empty until they are filled."""
        count = len(vectors.whole)
        self.keys: Keys = np.full((count, _KEPT), NONE)
        self.limits: Steps = np.full(count, least)
        self._vectors, self._near, self._least, self._multiply = vectors, near, least, multiply
        self._found: list[Keys] = []
        self._count, self._most = 0, _FOLD

    def fill(self) -> None:
        """Looks at every pair of vectors once; the number of each is that of its row."""
        for left in range(0, len(self.keys), _TILE):
            columns = np.arange(left, min(left + _TILE, len(self.keys)))
            multiplied = self._multiply(self._vectors.whole[columns])
            for top in range(left, len(self.keys), _TILE):
                rows = np.arange(top, min(top + _TILE, len(self.keys)))
                products = multiplied(self._vectors.whole[rows])
                if left == top:
                    products[np.tri(len(products), dtype=np.bool_)] = _NEVER
                for i, j in self._hits(products, rows, columns, limits=self.limits[columns]):
                    steps, is_possible = self._near(i, j)
                    self._note(i[is_possible], j[is_possible], steps[is_possible])
                    self._note(j[is_possible], i[is_possible], steps[is_possible])
        self._fold()

    def look_again(self, rows: Rows, among: Rows, numbers: Rows) -> None:
        """Fills the lists of some rows anew with the numbers of those among which they are."""
        self.keys[rows] = NONE
        self.limits[rows] = self._least
        self._most = min(_FOLD, _KEPT * len(rows))
        for left in range(0, len(among), _TILE):
            columns = among[left : left + _TILE]
            multiplied = self._multiply(self._vectors.whole[columns])
            for top in range(0, len(rows), _TILE):
                some = rows[top : top + _TILE]
                products = multiplied(self._vectors.whole[some])
                products[some[:, None] == columns] = _NEVER
                for i, j in self._hits(products, some, columns, limits=None):
                    steps, is_possible = self._near(i, j)
                    self._note(i[is_possible], numbers[j[is_possible]], steps[is_possible])
        self._fold()

    def _hits(
        self, products: Products, rows: Rows, columns: Rows, *, limits: Steps | None
    ) -> Iterator[tuple[Rows, Rows]]:
        """Rows and columns of products that may be beyond the limit of the one or of the other, some at a time."""
        step = self._vectors.step * GRID
        of_rows, of_columns = self._vectors.margins[rows] * GRID, self._vectors.margins[columns] * GRID
        by_row = _whole((self.limits[rows] - of_rows - of_columns.max()) / step, products.dtype)[:, None]
        by_column = None
        if limits is not None:
            by_column = _whole((limits - of_columns - of_rows.max()) / step, products.dtype)
        for top in range(0, len(products), _SLAB):
            slab = products[top : top + _SLAB]
            is_near = slab > by_row[top : top + _SLAB]
            if by_column is not None:
                is_near |= slab > by_column
            i, j = np.divmod(np.flatnonzero(is_near), slab.shape[1])
            if len(i):
                yield rows[i + top], columns[j]

    def _note(self, rows: Rows, numbers: Rows, steps: Steps) -> None:
        """Takes up neighbours of rows, as far as they are nearer than what the lists hold."""
        kept = steps > self.limits[rows]
        far = (_FAR - steps[kept]).astype(np.uint64)
        places = (rows[kept].astype(np.uint64) << _ABOVE_STEPS) | numbers[kept].astype(np.uint64)
        self._found.append(places | (far << np.uint64(21)))
        self._count += len(far)
        if self._count >= self._most:
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


def _whole(limits: NDArray[np.float64], kind: np.dtype[Any]) -> NDArray[Any]:
    """What whole numbers have to exceed to exceed these, in the type of the numbers."""
    return np.clip(np.floor(limits), _NEVER, -_NEVER).astype(kind)
