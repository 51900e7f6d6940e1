"""Choosing: the greedy pick of good faces that are far from each other, as arithmetic."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from faceloom.picking.columns import Rows

STEPS = 1 << 12
"""Gains are compared in steps of 1 / STEPS: the last bits of sums depend on how they were added."""


@dataclass(frozen=True, slots=True)
class PickedRow:
    """A face that was chosen, by its row."""

    row: int
    nearest: int | None
    """The row of the one that is nearest to it of those chosen before; None for the first."""
    distance: float | None
    """How far that is."""


CopiesOf = Callable[[int], NDArray[np.bool_]]
"""Of a face that was picked, which it stands for, as (N)."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Chosen:
    """What was chosen, the first first, and what never could be."""

    choices: tuple[PickedRow, ...]
    copies: int
    """Faces that were left out since they are near duplicates of one that was chosen."""


def choose(
    points: NDArray[np.float32], qualities: NDArray[np.float64], *, count: int, cells: Rows, copies_of: CopiesOf
) -> Chosen:
    """Picks faces one after the other: each time the one of the greatest quality times distance to those picked.

    The first is the best. With equal qualities this is the farthest-point traversal, whose picks leave no face more
    than twice as far from the nearest of them as the best picks of so many would. Each pick is of a cell from which
    fewest have been picked, of those that have any left. Of equals the first row is taken.

    Args:
        points: (N, D), distances of which count.
        qualities: (N), 0 to 1.
        count: how many are picked at most.
        cells: (N) numbers from 0.
        copies_of: which faces a face that was picked stands for, as (N).

    Source:
        Gonzalez 1985, "Clustering to minimize the maximum intercluster distance", Theoretical Computer Science 38.
    """
    is_left = np.ones(len(points), np.bool_)
    nearest = np.full(len(points), -1, np.intp)
    apart = np.full(len(points), np.inf)
    picked = np.zeros(int(cells.max(initial=-1)) + 1, np.int64)
    squares = np.einsum("nd,nd->n", points, points, dtype=np.float64)
    choices: list[PickedRow] = []
    copies = 0
    while len(choices) < count and is_left.any():
        gains = qualities if not choices else qualities * apart
        row = _best(np.rint(gains * STEPS), is_left, cells, picked)
        before = None if not choices else int(nearest[row])
        choices.append(PickedRow(row, before, None if before is None else float(apart[row])))
        picked[cells[row]] += 1
        is_left[row] = False
        is_copy = copies_of(row) & is_left
        copies += int(is_copy.sum())
        is_left &= ~is_copy
        distances = np.sqrt(np.maximum(squares + squares[row] - 2.0 * (points @ points[row]), 0))
        nearest[distances < apart] = row
        np.minimum(apart, distances, out=apart)
    return Chosen(choices=tuple(choices), copies=copies)


def _best(gains: NDArray[np.float64], is_left: NDArray[np.bool_], cells: Rows, picked: NDArray[np.int64]) -> int:
    fewest = picked[cells[is_left]].min()
    may_be = is_left & (picked[cells] == fewest)
    return int(np.argmax(np.where(may_be, gains, -1.0)))


def cells_of(values: Mapping[str, NDArray[np.float64]], bins: Mapping[str, int]) -> tuple[Rows, list[str]]:
    """The cell (N) of each face, and what each is called: bins as wide as each other from the least to the most.

    Faces of which a number is not known are in a bin of their own.
    """
    count = len(next(iter(values.values()))) if values else 0
    cells = np.zeros(count, np.intp)
    names = [""]
    for key, number in bins.items():
        edges = edges_of(values[key], number)
        places = bin_of(values[key], edges)
        labels = [f"{key} {low:.4g} to {high:.4g}" for low, high in pairwise(edges.tolist())]
        cells = cells * (number + 1) + places
        names = [", ".join(filter(None, (one, two))) for one in names for two in [*labels, f"{key} unknown"]]
    return cells, names


def edges_of(values: NDArray[np.float64], bins: int) -> NDArray[np.float64]:
    """Where bins (bins + 1) begin and end that are as wide as each other and hold all values that are known."""
    known = values[np.isfinite(values)]
    least, most = (float(known.min()), float(known.max())) if len(known) else (0.0, 1.0)
    return np.linspace(least, most, bins + 1)


def bin_of(values: NDArray[np.float64], edges: NDArray[np.float64]) -> Rows:
    """The bin (N) of each value, from 0; that of values that are not known is one more than the last."""
    places = np.clip(np.searchsorted(edges[1:-1], values, side="right"), 0, len(edges) - 2)
    return np.where(np.isfinite(values), places, len(edges) - 1)
