"""Sorting: the faces of a result folder in an order, laid out under names that begin with their places."""

import functools
import sqlite3
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Unpack

import numpy as np
from numpy.typing import NDArray

from faceloom.choices import Laid, SortKey
from faceloom.errors import BudgetError, RequestError
from faceloom.memory.budget import budget_bytes_of
from faceloom.memory.usage import held_bytes
from faceloom.options.calls import SortOptions
from faceloom.options.keywords import takes
from faceloom.options.stages import PathLike
from faceloom.picking.choosing import bin_of, edges_of
from faceloom.picking.columns import (
    COLUMN_BYTES,
    FaceColumns,
    Rows,
    embedding_length,
    number_or_none,
    read_chips,
    read_columns,
    read_embeddings_of,
    read_placed_points,
    read_points,
)
from faceloom.picking.features import on_mean_face
from faceloom.picking.keys import looks_of, values_of
from faceloom.picking.laying import LaidFace, Laying, file_stem, lay, require_room
from faceloom.picking.looks import Looks
from faceloom.picking.ordering import chain
from faceloom.picking.pick import filter_of
from faceloom.store.copies import SORTED
from faceloom.store.places import file_below
from faceloom.store.view import connect_corrected
from faceloom.units import MIB, format_bytes

_ALIKE = frozenset({SortKey.HISTOGRAM, SortKey.LANDMARKS, SortKey.SHAPE, SortKey.IDENTITY})
"""Keys by which faces stand beside those that are like them."""
_POINT_BYTES = 16
"""RAM that a number of a face takes in a chain: as read, less the mean, and halved now and then (measured)."""
_HISTOGRAM, _LANDMARKS = 64, 136


@dataclass(frozen=True, slots=True, kw_only=True)
class SortedFaces:
    """What was sorted."""

    faces: int
    unknown: int
    """Faces among them of which the key is not known: they come last."""
    lost: int
    """Faces that were left out since they have no chip, or it is gone."""
    out: Path

    def to_json(self) -> dict[str, Any]:
        """Gives what was sorted as `sort --json` prints it."""
        return {"faces": self.faces, "unknown": self.unknown, "lost": self.lost, "out": str(self.out)}


@takes(SortOptions)
def sort(folder: PathLike, out: PathLike, **options: Unpack[SortOptions]) -> SortedFaces:
    """Lays the faces of a result folder out in an order, the least first.

    Faces of which the key is not known come last. Faces that somebody rejected are left out.

    Args:
        folder: a result folder.
        out: a new or empty folder for chips and `sorted.jsonl`; or a list.
        options: as docs/options.md lists them.

    Raises:
        TypeError: there is no such keyword.
        RequestError: an argument is wrong, or the folder has nothing of what the key needs.
        BudgetError: so many faces do not fit into the memory; the message says what would do.
        StoreError: the folder cannot be read, or the disk is full.
    """
    folder, key = Path(folder), SortKey(options["by"])
    laying = Laying(
        out=Path(out),
        laid=Laid(options["as_"]),
        list_name=SORTED,
        replace=options["replace"],
        share=options["share"],
    )
    require_room(folder, laying)
    asked = filter_of(folder, options["person"], raw=options["raw"])
    with connect_corrected(folder, raw=options["raw"]) as db:
        db.execute("BEGIN")  # one state of the store, whatever a run writes meanwhile
        columns = read_columns(db, asked)
        _require_memory(db, columns, key, budget_bytes_of(options["memory"]))
        order, values = _in_order(folder, db, columns, key)
        sorting = _Sorting(folder=folder, db=db, columns=columns, key=key, values=values, bins=options["bins"])
        if options["descending"]:
            is_known = np.isfinite(values[order]) | (key in _ALIKE) | (key is SortKey.NAME)
            order = np.concatenate([order[is_known][::-1], order[~is_known]])
        count = lay(folder, sorting.places(order, laying.laid, descending=options["descending"]), laying)
    return SortedFaces(faces=count, unknown=sorting.unknown, lost=sorting.lost, out=laying.out)


@dataclass(slots=True, kw_only=True, eq=False)
class _Sorting:
    """Faces in their order, as they are laid out."""

    folder: Path
    db: sqlite3.Connection
    columns: FaceColumns
    key: SortKey
    values: NDArray[np.float64]
    """(N): the key's; of an order of the like how far each is from the one before it."""
    bins: int | None
    lost: int = 0
    unknown: int = 0

    def places(self, order: Rows, laid: Laid, *, descending: bool) -> Iterator[LaidFace]:
        """One face after the other."""
        if laid is not Laid.LIST and len(self.columns) and not self.columns.has_chip.any():
            raise RequestError(f"{self.folder} has no chips to lay out: it was made without; add --as list")
        folders = self._folders(order, descending=descending)
        digits = len(str(len(order)))
        place = 0
        for row, chip, below in zip(order, read_chips(self.db, self.columns.ids[order]), folders, strict=True):
            if laid is not Laid.LIST and not self._is_there(chip):
                self.lost += 1
                continue
            place += 1
            value = number_or_none(self.values[row])
            self.unknown += value is None and self.key is not SortKey.NAME
            told = {"place": place, "key": self.key.value, "value": value, **self.columns.line(int(row))}
            shown = "" if self.key in {*_ALIKE, SortKey.NAME} else f"{_short(value)}_"
            stem = file_stem(told["source"], told["frame"], told["index"])
            yield LaidFace(folder=below, name=f"{place:0{digits}}_{shown}{stem}", chip=chip, told=told)

    def _is_there(self, chip: str | None) -> bool:
        return chip is not None and file_below(self.folder, chip).is_file()

    def _folders(self, order: Rows, *, descending: bool) -> list[str]:
        """The folder of each face in its place."""
        count = len(order)
        if self.bins is None:
            return [""] * count
        digits = len(str(self.bins + 1))
        if self.key in {*_ALIKE, SortKey.NAME}:
            return [f"{place * self.bins // count + 1:0{digits}}" for place in range(count)]
        edges = edges_of(self.values, self.bins)
        names = [f"{low:.4g} to {high:.4g}" for low, high in zip(edges[:-1].tolist(), edges[1:].tolist(), strict=True)]
        ranks = range(self.bins, 0, -1) if descending else range(1, self.bins + 1)
        folders = [f"{rank:0{digits}}_{name}" for rank, name in zip(ranks, names, strict=True)]
        folders.append(f"{self.bins + 1:0{digits}}_unknown")
        return [folders[one] for one in bin_of(self.values[order], edges).tolist()]


def _short(value: float | None) -> str:
    return "unknown" if value is None else f"{value:.3f}"


def _in_order(
    folder: Path, db: sqlite3.Connection, columns: FaceColumns, key: SortKey
) -> tuple[Rows, NDArray[np.float64]]:
    """The rows in their order, the least first, and the number (N) of each row by which they stand there."""
    if key is SortKey.NAME:
        return np.arange(len(columns)), np.full(len(columns), np.nan)
    looks = functools.cache(lambda: looks_of(folder, db, columns))
    if key not in _ALIKE:
        values = values_of(key.value, db, columns, looks)
        return np.argsort(values, kind="stable"), values  # NaN comes last
    points = _points(folder, db, columns, key, looks)
    is_known = np.isfinite(points).all(axis=1)
    rows = np.flatnonzero(is_known)
    order, lengths = chain(points[rows])
    values = np.full(len(columns), np.nan)
    values[rows[order]] = lengths
    return np.concatenate([rows[order], np.flatnonzero(~is_known)]), values


def _points(
    folder: Path, db: sqlite3.Connection, columns: FaceColumns, key: SortKey, looks: Callable[[], Looks]
) -> NDArray[np.float32]:
    """Faces as points (N, D) whose distances say how unlike they are; NaN where nobody knows.

    Raises:
        RequestError: the folder holds nothing of it.
    """
    if key is SortKey.HISTOGRAM:
        return looks().histograms
    if key is SortKey.IDENTITY:
        length = embedding_length(db)
        if not length and len(columns):
            raise RequestError(
                f"{folder} holds no embeddings of one identifier, by which faces are like each other; add them with"
                f" faceloom extend {folder} --identify NAME"
            )
        return read_embeddings_of(db, columns.ids, length=length)
    found = np.full((len(columns), _LANDMARKS), np.nan, np.float32)
    faces = read_placed_points(db, columns.ids) if key is SortKey.LANDMARKS else _shapes(db, columns)
    for row, points in enumerate(faces):
        if points is not None:
            found[row] = points.ravel()
    if len(columns) and not np.isfinite(found).any():
        raise RequestError(f"the faces of {folder} have no landmarks to be sorted by; extract with an aligner")
    return found


def _shapes(db: sqlite3.Connection, columns: FaceColumns) -> Iterator[NDArray[np.float32] | None]:
    for points in read_points(db, columns.ids):
        yield None if points is None else on_mean_face(points)


def _require_memory(db: sqlite3.Connection, columns: FaceColumns, key: SortKey, budget_bytes: int | None) -> None:
    numbers = 0
    if key in _ALIKE:
        numbers = {SortKey.HISTOGRAM: _HISTOGRAM, SortKey.IDENTITY: embedding_length(db)}.get(key, _LANDMARKS)
    needed = held_bytes() + len(columns) * (COLUMN_BYTES + numbers * _POINT_BYTES)
    if budget_bytes is not None and needed > budget_bytes:
        message = (
            f"sorting {len(columns):,} faces by {key} does not fit into {format_bytes(budget_bytes)}; the smallest"
            f" budget that would do is {-(-needed // MIB):,} MiB: raise --memory"
        )
        raise BudgetError(message, stage="sort", needed_bytes=needed, budget_bytes=budget_bytes)
