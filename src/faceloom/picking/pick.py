"""Picking: the best faces of a result folder, spread over what they differ in, laid out with the reasons."""

import functools
import itertools
import sqlite3
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Unpack

import numpy as np
from numpy.typing import NDArray

from faceloom.choices import Each, Laid
from faceloom.errors import BudgetError, RequestError
from faceloom.memory.budget import budget_bytes_of
from faceloom.memory.usage import held_bytes
from faceloom.options.calls import PickOptions
from faceloom.options.keywords import takes
from faceloom.options.stages import PathLike
from faceloom.people.folders import folder_names
from faceloom.picking.choosing import Chosen, PickedRow, cells_of, choose
from faceloom.picking.columns import (
    COLUMN_BYTES,
    FaceColumns,
    Rows,
    embedding_length,
    number_or_none,
    read_chips,
    read_columns,
    read_embeddings_of,
    read_points,
)
from faceloom.picking.features import Features, expressions, features_of
from faceloom.picking.keys import all_values, looks_of, require_binned
from faceloom.picking.laying import LaidFace, Laying, file_stem, lay, require_room
from faceloom.picking.looks import Looks, differing_bits
from faceloom.results.filters import FaceFilter, size_of
from faceloom.results.results import open as open_results
from faceloom.store.copies import PICKED
from faceloom.store.view import connect_corrected
from faceloom.units import MIB, format_bytes

SAME_BITS = 48
"""Of 256 bits of hashes, in which near duplicates differ at most. Of 79,200 pairs of different pictures of LFW none
differs in fewer than 66; of copies with 60 % of the side, 90 to 95 of 100 are found (docs/picking.md).
"""
SAME_BITS_NOW, NOW_S = 64, 1.0
"""The same in one video, within so many seconds."""
_FEATURE_BYTES = 9
"""RAM that a number of a face takes: as read, scaled, and while distances are taken (measured)."""
_OTHER_FEATURES = 3 + 3 + 5 + 1
"""Numbers of pose, light, expression and time."""


@dataclass(frozen=True, slots=True, kw_only=True)
class PickedFaces:
    """What was picked."""

    picked: Mapping[str, int]
    """How many faces, by the person or source that they were picked of; by "all" where they were picked of all."""
    candidates: int
    """Faces that met the conditions."""
    duplicates: int
    """Faces among them that were left out since they are near duplicates of one that was picked."""
    lost: int
    """Faces among them that were left out since their chips are gone."""
    out: Path

    def to_json(self) -> dict[str, Any]:
        """Gives what was picked as `pick --json` prints it."""
        told = {"picked": dict(self.picked), "candidates": self.candidates}
        return told | {"duplicates": self.duplicates, "lost": self.lost, "out": str(self.out)}


@takes(PickOptions)
def pick(folder: PathLike, out: PathLike, **options: Unpack[PickOptions]) -> PickedFaces:
    """Picks the best faces of a result folder, far apart in identity, pose, light, expression and time.

    The best comes first; each other one is that of the greatest quality times distance to the nearest of those before
    it. Faces that somebody rejected are none, and persons are whose faces somebody said they are. The same faces are
    picked each time.

    Args:
        folder: a result folder.
        out: a new or empty folder for chips and `picked.jsonl`, which says why each was picked; or a list.
        options: as docs/options.md lists them.

    Raises:
        TypeError: there is no such keyword.
        RequestError: an argument is wrong, or the folder has no chips, or no persons to pick of.
        BudgetError: so many faces do not fit into the memory; the message says what would do.
        StoreError: the folder cannot be read, or the disk is full.
    """
    folder = Path(folder)
    laying = Laying(
        out=Path(out),
        laid=Laid(options["as_"]),
        list_name=PICKED,
        replace=options["replace"],
        share=options["share"],
    )
    require_room(folder, laying)
    require_binned(options["bins"])
    asked = replace(filter_of(folder, options["person"], raw=options["raw"]), min_size=size_of(options["min_size"]))
    asked = replace(asked, min_quality=options["min_quality"] or None)
    budget = budget_bytes_of(options["memory"])
    with connect_corrected(folder, raw=options["raw"]) as db:
        db.execute("BEGIN")  # one state of the store, whatever a run writes meanwhile
        picking = _Picking.of(folder, db, read_columns(db, asked), options, budget_bytes=budget)
        lay(folder, picking.places(), laying)
    return picking.told(laying.out)


def filter_of(folder: Path, persons: Iterable[str], *, raw: bool) -> FaceFilter:
    """Which faces are meant.

    Raises:
        RequestError: there is no such person.
    """
    names = tuple(persons)
    if not names:
        return FaceFilter()
    with open_results(folder, raw=raw) as results:
        results.faces(person=names)  # refuses names that nobody has
    return FaceFilter(persons=names)


@dataclass(slots=True, kw_only=True, eq=False)
class _Picking:
    """What is picked of a result folder, group by group."""

    folder: Path
    db: sqlite3.Connection
    columns: FaceColumns
    options: PickOptions
    groups: Mapping[str, Rows]
    looks: Looks | None
    cells: Rows
    cell_names: list[str]
    length: int
    """Of embeddings; 0 without any."""
    lost: int
    picked: dict[str, int]
    duplicates: int = 0

    @classmethod
    def of(
        cls,
        folder: Path,
        db: sqlite3.Connection,
        columns: FaceColumns,
        options: PickOptions,
        *,
        budget_bytes: int | None,
    ) -> "_Picking":
        """Looks at every candidate.

        Raises:
            RequestError: there are no chips, or no persons.
            BudgetError: it does not fit.
        """
        groups = _groups(folder, columns, Each(options["each"]))
        length = embedding_length(db)
        largest = max((len(rows) for rows in groups.values()), default=0)
        _require_memory(len(columns), largest, length, budget_bytes)
        is_list = options["as_"] == Laid.LIST
        has_looks = bool(columns.has_chip.any()) or not is_list
        looks = functools.cache(lambda: looks_of(folder, db, columns))
        cells, names = cells_of(all_values(options["bins"], db, columns, looks), options["bins"])
        cells = cells if options["bins"] else np.zeros(len(columns), np.intp)
        is_there = looks().are_known if has_looks and not is_list else np.ones(len(columns), np.bool_)
        return cls(
            folder=folder,
            db=db,
            columns=columns,
            options=options,
            groups={name: rows[is_there[rows]] for name, rows in groups.items()},
            looks=looks() if has_looks else None,
            cells=cells,
            cell_names=names,
            length=length,
            lost=int((~is_there).sum()),
            picked={},
        )

    def places(self) -> Iterator[LaidFace]:
        """The faces that are picked of each group, the first first."""
        folders = folder_names(self.groups)
        is_one = self.options["each"] == Each.ALL
        for name, rows in self.groups.items():
            features = features_of(self._blocks(rows))
            chosen = self._choose(rows, features)
            self.picked[name] = len(chosen.choices)
            self.duplicates += chosen.copies
            chips = read_chips(self.db, self.columns.ids[rows[[one.row for one in chosen.choices]]])
            names = [self._name(rows, one, number) for number, one in enumerate(chosen.choices, start=1)]
            for number, (one, chip) in enumerate(zip(chosen.choices, chips, strict=True)):
                told = self._told(rows, one, features, chosen)
                below = "" if is_one else folders[name]
                yield LaidFace(folder=below, name=names[number], chip=chip, told={"rank": number + 1} | told)

    def told(self, out: Path) -> PickedFaces:
        """The summary."""
        return PickedFaces(
            picked=self.picked, candidates=len(self.columns), duplicates=self.duplicates, lost=self.lost, out=out
        )

    def _choose(self, rows: Rows, features: Features) -> Chosen:
        return choose(
            features.points,
            self._qualities(rows),
            count=self.options["best"],
            cells=self.cells[rows],
            copies_of=self._copies_of(rows),
        )

    def _qualities(self, rows: Rows) -> NDArray[np.float64]:
        """Of each face its quality, or its score where nobody knows that."""
        quality, score = self.columns.numbers["quality"][rows], self.columns.numbers["score"][rows]
        return np.nan_to_num(np.where(np.isfinite(quality), quality, score))

    def _blocks(self, rows: Rows) -> dict[str, NDArray[Any]]:
        numbers, ids = self.columns.numbers, self.columns.ids[rows]
        blocks: dict[str, NDArray[Any]] = {}
        if self.length:
            blocks["identity"] = read_embeddings_of(self.db, ids, length=self.length)
        blocks["pose"] = np.stack([numbers[name][rows] for name in ("pitch", "yaw", "roll")], axis=1)
        if self.looks is not None:
            blocks["light"] = self.looks.light[rows]
        blocks["expression"] = expressions(read_points(self.db, ids))
        blocks["time"] = numbers["time"][rows, None]
        return blocks

    def _copies_of(self, rows: Rows) -> Callable[[int], NDArray[np.bool_]]:
        looks = self.looks
        if looks is None or self.options["duplicates"]:
            return lambda _: np.zeros(len(rows), np.bool_)
        hashes, is_known = looks.hashes[rows], looks.are_known[rows]
        times, sources = self.columns.numbers["time"][rows], self.columns.sources[rows]

        def copies_of(row: int) -> NDArray[np.bool_]:
            bits = differing_bits(hashes, hashes[row])
            is_now = (sources == sources[row]) & (np.abs(times - times[row]) <= NOW_S)
            is_same = (bits <= SAME_BITS) | (is_now & (bits <= SAME_BITS_NOW))
            return np.asarray(is_same & is_known & is_known[row])

        return copies_of

    def _name(self, rows: Rows, one: PickedRow, number: int) -> str:
        told = self.columns.line(int(rows[one.row]))
        digits = len(str(self.options["best"]))
        return f"{number:0{digits}}_{file_stem(told['source'], told['frame'], told['index'])}"

    def _told(self, rows: Rows, one: PickedRow, features: Features, chosen: Chosen) -> dict[str, Any]:
        told = self.columns.line(int(rows[one.row]))
        quality = float(self._qualities(rows)[one.row])
        if one.nearest is None or one.distance is None:
            return told | {
                "because": f"the best: quality {quality:.2f}",
                "distance": None,
                "mostly": None,
                "nearest": None,
            }
        part = features.part(one.row, one.nearest)
        before = next(i for i, other in enumerate(chosen.choices) if other.row == one.nearest)
        because = f"quality {quality:.2f}, {one.distance:.2f} from the nearest before it, mostly in {part or 'nothing'}"
        if self.options["bins"]:
            because += f"; {self.cell_names[int(self.cells[rows[one.row]])]}"
        distance = number_or_none(one.distance)
        return told | {"because": because, "distance": distance, "mostly": part or None, "nearest": before + 1}


def _groups(folder: Path, columns: FaceColumns, each: Each) -> Mapping[str, Rows]:
    """The rows of each group, by its name; those that are nobody's are in no group of persons."""
    if each is Each.ALL:
        return {Each.ALL.value: np.arange(len(columns))}
    codes, names = _codes(columns, each)
    if each in {Each.PERSON, Each.TRACK} and len(columns) and not names:
        how = "group" if each is Each.PERSON else "track"
        raise RequestError(f"{folder} has no {each}s to pick faces of; run faceloom {how} {folder}")
    rows = np.argsort(codes, kind="stable")
    starts = np.searchsorted(codes[rows], np.arange(len(names) + 1)).tolist()
    return {name: rows[starts[code] : starts[code + 1]] for name, code in sorted(zip(names, itertools.count()))}


def _codes(columns: FaceColumns, each: Each) -> tuple[NDArray[np.integer], tuple[str, ...]]:
    """The place (N) of each face's group among the names of groups; -1: it is in none."""
    if each is Each.PERSON:
        return columns.persons, columns.person_names
    if each is Each.SOURCE:
        return columns.sources, columns.source_names
    codes, known = np.full(len(columns), -1, np.int64), np.flatnonzero(columns.tracks >= 0)
    pairs = np.stack([columns.sources[known].astype(np.int64), columns.tracks[known]], axis=1)
    tracks, codes[known] = np.unique(pairs, axis=0, return_inverse=True)
    return codes, tuple(f"{columns.source_names[source]} track {track}" for source, track in tracks.tolist())


def _require_memory(faces: int, largest: int, length: int, budget_bytes: int | None) -> None:
    needed = held_bytes() + faces * COLUMN_BYTES + largest * (length + _OTHER_FEATURES) * _FEATURE_BYTES
    if budget_bytes is not None and needed > budget_bytes:
        message = (
            f"picking of {faces:,} faces does not fit into {format_bytes(budget_bytes)}; the smallest budget that would"
            f" do is {-(-needed // MIB):,} MiB: raise --memory, or pick of each source or person"
        )
        raise BudgetError(message, stage="pick", needed_bytes=needed, budget_bytes=budget_bytes)
