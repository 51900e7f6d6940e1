"""Intake: what another result folder holds of its sources becomes rows and files of an open store.

The other folder may have come from anybody: every value is held to the type that runs write, every file to the place
where runs lay it, and nothing that is here is overwritten.
"""

import os
import sqlite3
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import zip_longest
from pathlib import Path
from typing import Any

from faceloom.errors import RequestError, StoreError
from faceloom.store.columns import OF_FACES
from faceloom.store.database import transaction
from faceloom.store.file_intake import copy_files
from faceloom.store.folder import CHIPS, OVERLAYS, file_name
from faceloom.store.given_folders import GivenFolder
from faceloom.store.given_rows import (
    AGAIN,
    CHIP,
    FRAME,
    MASK_CONTENT,
    REMADE,
    check_chip,
    found_rows_of,
    passed_over_of,
    rows_of,
)
from faceloom.store.notes import read_notes
from faceloom.store.round import Round
from faceloom.store.soundness import sound
from faceloom.store.sources import lies_across
from faceloom.store.tombstones import Tombstones
from faceloom.store.track_rows import copy_tracks

_SOURCE = "name, path, kind, size_bytes, mtime_ns, sha256, time_base, reading_bytes, notes"

_LOST_TOLD = 3


@dataclass(frozen=True, slots=True, kw_only=True)
class Taken:
    """How much was taken in."""

    sources: int = 0
    frames: int = 0
    faces: int = 0
    files: int = 0
    """Chips and overlays."""
    known: int = 0
    """Sources that were here before, and are left as they are."""
    forgotten: int = 0
    """Sources that were forgotten here, and are left out."""
    lost: int = 0
    """Chips that were not there, or not whole."""
    first_lost: tuple[str, ...] = ()

    def __add__(self, other: "Taken") -> "Taken":
        sums = {name: getattr(self, name) + getattr(other, name) for name in self.__slots__}
        return Taken(**{**sums, "first_lost": sums["first_lost"][:_LOST_TOLD]})


class Intake:
    """What an open store takes in from other result folders."""

    def __init__(self, db: sqlite3.Connection, folder: Path, now: Round) -> None:
        self._db = db
        self._folder = folder
        self._round = now

    def take(
        self, given: GivenFolder, names: Iterable[str], pending: Path, number: int, *, overlays: bool, share: bool
    ) -> Taken:
        """Sources with their rows, in one transaction, and with their files, which wait in `pending` for it.

        Raises:
            RequestError: one is here with other results, or something lies where its chips would.
            StoreError: something there is not what a run could have written, or nothing can be written here.
        """
        tombstones, taken, wanted = Tombstones(self._db), Taken(), []
        for name in names:
            row = given.db.execute("SELECT id, path, size_bytes, sha256 FROM source WHERE name = ?", (name,)).fetchone()
            if row[1] in tombstones:
                taken += Taken(forgotten=1)
            elif self._has(given, name, *row):
                taken += Taken(known=1)
            else:
                wanted.append(name)
        for name in wanted:
            files, lost = copy_files(given, name, pending, overlays=overlays, share=share)
            taken += Taken(files=files, lost=len(lost), first_lost=lost)
        try:
            with transaction(self._db), sound(given.path):
                for name in wanted:
                    taken += self._write(given.db, name)
                done = (self._round.run_id, number, taken.frames, taken.faces, 0.0)
                self._db.execute("INSERT INTO chunk VALUES (?, ?, ?, ?, ?)", done)
        except sqlite3.Error as error:
            message = f"{given.path} cannot be taken into {self._folder}: {error}"
            raise StoreError(message, path=self._folder) from error
        return taken

    def take_notes(self, given: GivenFolder) -> None:
        """What another store has noted to be no source, and which files it is not to take up again.

        Call within a transaction.
        """
        with sound(given.path):
            rows = ((*row, self._round.run_id) for row in passed_over_of(given.db))
            self._db.executemany("INSERT OR REPLACE INTO passed_over VALUES (?, ?, ?, ?)", rows)
        self._db.execute("DELETE FROM passed_over WHERE path IN (SELECT path FROM source)")
        Tombstones(self._db).absorb(Tombstones(given.db))

    def _has(self, given: GivenFolder, name: str, there: int, path: bytes, size_bytes: int, sha256: str | None) -> bool:
        """Whether a source is here already, under whatever name, with all that another store holds of it."""
        here = self._db.execute("SELECT id FROM source WHERE name = ?", (name,)).fetchone()
        if here is not None:
            if not self._is_same(given, here[0], there):
                raise RequestError(
                    f"{self._folder} has {name!r} already, with other results than {given.path}, and nothing is"
                    " overwritten; choose another --out"
                )
            return True
        query = "SELECT 1 FROM source WHERE path = ? AND size_bytes = ? AND sha256 IS ?"
        if self._db.execute(query, (path, size_bytes, sha256)).fetchone() is not None:
            return True
        places = [self._folder / kind / file_name(name) for kind in (CHIPS, OVERLAYS)]
        taken = next((place for place in places if os.path.lexists(place)), None)
        if taken is not None or lies_across(self._db, name):
            raise RequestError(
                f"{name!r} of {given.path} would lie across another source of {self._folder}, or over"
                f" {taken or places[0]}; choose another --out"
            )
        return False

    def _is_same(self, given: GivenFolder, here: int, there: int) -> bool:
        with sound(given.path):
            if _content(self._db, here) != _content(given.db, there):
                return False
            pairs = zip_longest(found_rows_of(self._db, here), found_rows_of(given.db, there))
            return all(one == two for one, two in pairs)

    def _write(self, other: sqlite3.Connection, name: str) -> Taken:
        """The rows of a source."""
        there, *cells = other.execute(f"SELECT id, {_SOURCE} FROM source WHERE name = ?", (name,)).fetchone()
        read_notes(cells[-1])
        source_id = self._insert("source", f"{_SOURCE}, run_id", (*cells, self._round.run_id))
        frames = faces = 0
        (face_id,) = self._db.execute("SELECT coalesce(max(id), 0) FROM face").fetchone()
        for table, row in rows_of(other, there):
            if table == "frame":
                frames += 1
                self._insert(table, f"source_id, {FRAME}", (source_id, *row))
            elif table == "again":
                self._insert(table, f"source_id, {AGAIN}", (source_id, *row))
            elif table == "face":
                face_id, faces = face_id + 1, faces + 1
                check_chip(row[1 + CHIP], name)
                self._insert(table, f"id, source_id, frame_idx, {OF_FACES}", (face_id, source_id, *row))
            elif table in REMADE:
                self._insert(table, f"face_id, {REMADE[table]}", (face_id, *row))
            else:
                self._insert(table, f"face_id, name, size, {MASK_CONTENT[table]}", (face_id, *row))
        copy_tracks(other, there, self._db, source_id)
        return Taken(sources=1, frames=frames, faces=faces)

    def _insert(self, table: str, columns: str, cells: Sequence[Any]) -> int:
        query = f"INSERT INTO {table} ({columns}) VALUES ({', '.join('?' * len(cells))})"
        return int(self._db.execute(query, cells).lastrowid or 0)


def _content(db: sqlite3.Connection, source_id: int) -> tuple[Any, ...]:
    """What is known of a source's file, wherever that lies and whenever it was written."""
    query = "SELECT kind, size_bytes, sha256, time_base, notes FROM source WHERE id = ?"
    return tuple(db.execute(query, (source_id,)).fetchone())
