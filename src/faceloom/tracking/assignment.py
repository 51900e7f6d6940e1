"""Assignment: the cheapest way to pair rows with columns where few pairs are possible, solved exactly."""

import heapq
from collections.abc import Mapping, Sequence


def assign(costs: Sequence[Mapping[int, int]], *, unpaired: int) -> list[int | None]:
    """For each row its column, or None, so that the sum of all costs is the least there is; each column at most once.

    Of several that cost as much, always the same is taken.

    Args:
        costs: of each row what it costs to pair it with a column, for the columns that it can have; whole numbers from
            0 on, so that sums are exact.
        unpaired: what a row costs that has no column.

    Source:
        Jonker and Volgenant 1987, Computing 38, shortest augmenting paths, over lists in place of a matrix.
    """
    pairing = _Pairing(costs, unpaired)
    for row in range(len(costs)):
        pairing.augment(row)
    columns: list[int | None] = [None] * len(costs)
    for column, row in pairing.row_of.items():
        if column >= 0:
            columns[row] = column
    return columns


class _Pairing:
    """Rows that are paired so far; each row has a column of its own, numbered below 0, that stands for none."""

    def __init__(self, costs: Sequence[Mapping[int, int]], unpaired: int) -> None:
        self._edges = [[*sorted(row.items()), (-1 - i, unpaired)] for i, row in enumerate(costs)]
        self.row_of: dict[int, int] = {}
        self._column_of: dict[int, int] = {}
        self._row_prices = [0] * len(costs)
        self._column_prices: dict[int, int] = {}

    def augment(self, start: int) -> None:
        """Pairs one row more, along the cheapest path of changes to those that are paired."""
        lengths: dict[int, int] = {}
        before: dict[int, int] = {}
        heap: list[tuple[int, int]] = []
        done: dict[int, int] = {}
        row, length = start, 0
        while True:
            for column, cost in self._edges[row]:
                through = length + cost - self._row_prices[row] - self._column_prices.get(column, 0)
                if column not in done and through < lengths.get(column, through + 1):
                    lengths[column], before[column] = through, row
                    heapq.heappush(heap, (through, column))
            while heap[0][1] in done:
                heapq.heappop(heap)
            length, column = heapq.heappop(heap)
            done[column] = length
            if column not in self.row_of:
                break
            row = self.row_of[column]
        self._set_prices(start, done, length)
        self._take(start, column, before)

    def _set_prices(self, start: int, done: Mapping[int, int], length: int) -> None:
        self._row_prices[start] += length
        for column, reached in done.items():
            if column in self.row_of:
                self._row_prices[self.row_of[column]] += length - reached
            self._column_prices[column] = self._column_prices.get(column, 0) - (length - reached)

    def _take(self, start: int, column: int, before: Mapping[int, int]) -> None:
        while True:
            row = before[column]
            self.row_of[column] = row
            other = self._column_of.get(row)
            self._column_of[row] = column
            if row == start:
                return
            assert other is not None
            column = other
