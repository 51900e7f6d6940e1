"""The persons of a result folder, with the face that shows each best."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from faceloom.errors import RequestError
from faceloom.review.table import FaceTable
from faceloom.suggestions import or_else

ORDERS = ("size", "name", "doubt", "time")
"""Of persons: most faces first, by name, the least alike first, as they appear."""


class PersonList:
    """Everybody who has a face that is not rejected."""

    def __init__(self, table: FaceTable) -> None:
        self._names = table.names
        self._ids = table.ids
        shown = np.flatnonzero(table.is_shown & (table.persons >= 0))
        self._rows, self._codes = shown, table.persons[shown]
        self._counts = np.bincount(self._codes, minlength=len(table.names))
        self._covers = self._first_by(_worth(table, shown))
        self._appear = self._first_by(np.arange(len(shown)))
        self._there = np.flatnonzero(self._counts)
        self._last: tuple[tuple[str, str], list[int]] | None = None

    def __len__(self) -> int:
        return len(self._there)

    def _first_by(self, keys: NDArray[Any]) -> NDArray[np.int64]:
        """Of each person the place of the face with the least key; -1 where there is none."""
        found = np.full(len(self._names), -1, np.int64)
        order = np.lexsort((keys, self._codes))[::-1]
        found[self._codes[order]] = self._rows[order]  # the last that is written stays
        return found

    def doubts_of(self, doubts: NDArray[np.float32]) -> NDArray[np.float32]:
        """The mean distance of each person's faces from their centre; 0 where that is not known."""
        values = np.nan_to_num(doubts[self._rows])
        sums = np.bincount(self._codes, weights=values, minlength=len(self._names))
        return np.asarray(sums / np.maximum(self._counts, 1), np.float32)

    def page(
        self, *, sort: str, search: str, first: int, count: int, doubts: NDArray[np.float32] | None = None
    ) -> dict[str, Any]:
        """Some persons in an order, with how many there are.

        Raises:
            RequestError: there is no such order.
        """
        if sort not in ORDERS:
            raise RequestError(f"there is no order {sort!r}; {or_else(sort, ORDERS)}")
        means = None if doubts is None else self.doubts_of(doubts)
        if self._last is None or self._last[0] != (sort, search):  # page after page of it is asked for
            wanted = search.casefold()
            there = [code for code in self._there.tolist() if wanted in self._names[code].casefold()]
            self._last = (sort, search), self._ordered(there, sort, means)
        ordered = self._last[1]
        some = ordered[max(0, first) : max(0, first) + count]
        return {"total": len(ordered), "first": max(0, first), "people": [self.told(code, means) for code in some]}

    def _ordered(self, codes: list[int], sort: str, means: NDArray[np.float32] | None) -> list[int]:
        if sort == "name":
            return sorted(codes, key=lambda code: _natural(self._names[code]))
        if sort == "time":
            return sorted(codes, key=lambda code: int(self._appear[code]))
        if sort == "doubt" and means is not None:
            return sorted(codes, key=lambda code: -float(means[code]))
        return sorted(codes, key=lambda code: (-int(self._counts[code]), _natural(self._names[code])))

    def told(self, code: int, means: NDArray[np.float32] | None = None) -> dict[str, Any]:
        """Gives what is shown of a person, by their place in the table's names."""
        return {
            "name": self._names[code],
            "faces": int(self._counts[code]),
            "cover": int(self._ids[self._covers[code]]),
            "doubt": None if means is None else round(float(means[code]), 4),
        }


def _worth(table: FaceTable, rows: NDArray[np.int64]) -> NDArray[np.float32]:
    """Less for faces that show more of whose they are; those without a chip come last."""
    numbers = table.numbers
    worth = np.nan_to_num(numbers["quality"][rows], nan=0.0) + np.nan_to_num(numbers["score"][rows]) / 1000
    return np.asarray(-worth + ~table.has_chip[rows] * 10, np.float32)


def _natural(name: str) -> tuple[tuple[int, int, str], ...]:
    """Numbers in names count as numbers: person 9 comes before person 10."""
    parts: list[tuple[int, int, str]] = []
    for word in name.casefold().split():
        is_number = word.isascii() and word.isdecimal() and len(word) < 19
        parts.append((0, int(word), "") if is_number else (1, 0, word))
    return tuple(parts)
