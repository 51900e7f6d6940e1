"""Keys: the numbers of faces by which they are sorted and put into bins, each known by its name."""

import sqlite3
from collections.abc import Callable, Collection, Mapping
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from faceloom.choices import SortKey
from faceloom.errors import GeometryError, RequestError
from faceloom.geometry.pose import distance_to_mean_head
from faceloom.picking.columns import NUMBERS, FaceColumns, read_chips, read_points
from faceloom.picking.looks import MEASURES, Looks, look_at
from faceloom.suggestions import or_else

OF_COLUMNS = frozenset(NUMBERS)
"""Keys that the store knows."""
OF_CHIPS = frozenset(MEASURES)
"""Keys for which chips are looked at."""
BINNED = tuple(sorted({*OF_COLUMNS, *OF_CHIPS, SortKey.MEAN_FACE.value}))
"""Every key that is a number."""


def require_binned(keys: Collection[str]) -> None:
    """Refuses keys that are no numbers.

    Raises:
        RequestError: there is one.
    """
    for key in keys:
        if key not in BINNED:
            raise RequestError(f"there are no bins of {key!r}; {or_else(key, BINNED)}")


def values_of(
    key: str, db: sqlite3.Connection, columns: FaceColumns, looks: Callable[[], Looks]
) -> NDArray[np.float64]:
    """The number (N) of each face; NaN where nobody knows."""
    if key in OF_COLUMNS:
        return columns.numbers[key]
    if key in OF_CHIPS:
        return looks().measures[:, MEASURES.index(key)].astype(np.float64)
    return np.array([_distance(points) for points in read_points(db, columns.ids)], np.float64)


def looks_of(folder: Path, db: sqlite3.Connection, columns: FaceColumns) -> Looks:
    """What the chips of faces look like.

    Raises:
        RequestError: there are faces, and none has a chip.
    """
    if len(columns) and not columns.has_chip.any():
        raise RequestError(f"{folder} has no chips to look at: it was made without them; faceloom derive cuts some")
    return look_at(folder, read_chips(db, columns.ids), count=len(columns))


def all_values(
    keys: Collection[str], db: sqlite3.Connection, columns: FaceColumns, looks: Callable[[], Looks]
) -> Mapping[str, NDArray[np.float64]]:
    """The numbers of each key."""
    return {key: values_of(key, db, columns, looks) for key in keys}


def _distance(points: NDArray[np.float32] | None) -> float:
    try:
        return float("nan") if points is None else distance_to_mean_head(points)
    except GeometryError:
        return float("nan")
