"""Unit vectors rounded to whole numbers, whose dot products bound those of the vectors themselves.

What rounding takes from a vector has a length, which is known. So by the inequality of Cauchy and Schwarz the dot
product of two vectors is that of their whole numbers, give or take a margin of the one and of the other. Whole numbers
of eight bits are multiplied several times as fast as floats are, and their sums are exact: the same on every machine,
in whatever order they are added.

Before they are rounded all vectors are turned alike, at random. That changes no dot product, and spreads what stands in
a few of their numbers over all of them: one unit fits all, and rounding takes as little as it can.
"""

from collections.abc import Callable
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

Whole: TypeAlias = NDArray[np.int8]
"""(N, D) between -MOST and MOST."""
Products: TypeAlias = NDArray[np.int32] | NDArray[np.float32]
"""(N, M) sums of products, exact; until the next ones are asked for."""
Multiplied: TypeAlias = Callable[[Whole], Products]
Multiply: TypeAlias = Callable[[Whole], Multiplied]
"""Takes (M, D) numbers; what it gives multiplies any (N, D) by them."""

MOST = 90
"""Two products of one such number and one from 0 to twice it fit into 16 bits, where some processors add them up."""
_SAMPLE = 1 << 12
"""Vectors that are looked at for how large numbers are."""
_SLICE = 1 << 12
"""Vectors that are rounded at a time."""
_MARGIN = 2.0**-15
"""How far the dot product may be off that floats have, for each of two vectors of up to 2,048 numbers: half as far."""


def by_floats(others: Whole) -> Multiplied:
    """Multiplies in floats, which are exact for up to 2,048 numbers."""
    turned = others.T.astype(np.float32)
    return lambda some: np.asarray(some.astype(np.float32) @ turned)


class RoundedVectors:
    """Vectors as whole numbers, all of one unit, and what may be missing of a dot product for each."""

    def __init__(self, vectors: NDArray[np.float32]) -> None:
        """Of vectors (N, D) of unit length at most."""
        self._turning = _turning(vectors.shape[1])
        # What is larger elsewhere is cut off, and counts to what rounding takes.
        largest = float(np.abs(vectors[:_SAMPLE] @ self._turning).max(initial=0))
        self._unit = largest / MOST if largest > 0 else 1.0
        self.whole: Whole = np.empty(vectors.shape, np.int8)
        self.margins: NDArray[np.float64] = np.empty(len(vectors))
        """(N,) what a dot product may exceed that of the whole numbers by; of two vectors both."""
        for start in range(0, len(vectors), _SLICE):
            self.put(np.arange(start, min(start + _SLICE, len(vectors))), vectors[start : start + _SLICE])

    @property
    def step(self) -> float:
        """The dot product of two vectors is so many times that of their whole numbers."""
        return self._unit**2

    def put(self, rows: NDArray[np.intp], vectors: NDArray[np.float32]) -> None:
        """Rounds vectors (R, D) that are new in rows (R,)."""
        scaled = (vectors @ self._turning) * np.float32(1 / self._unit)
        whole = np.clip(np.rint(scaled), -MOST, MOST)
        missing = np.linalg.norm(scaled - whole, axis=1).astype(np.float64) * self._unit
        self.whole[rows] = whole
        self.margins[rows] = missing + missing**2 / 2 + _MARGIN


def _turning(numbers: int) -> NDArray[np.float32]:
    """(D, D) a rotation that is always the same."""
    drawn = np.random.default_rng(0).normal(size=(numbers, numbers))
    return np.asarray(np.linalg.qr(drawn)[0], np.float32)
