"""Chips by their paths: which face of a store is on a chip, without going through all of them."""

import re
import sqlite3
from collections.abc import Mapping
from functools import cached_property
from pathlib import PurePosixPath

from faceloom.store.folder import CHIPS, LONGEST_NAME_BYTES, file_name

_NAME = re.compile(r"(\d{6,15})_(\d{1,9})\.[a-z]+", re.ASCII)
_CUT = "SELECT name FROM source WHERE length(CAST(name AS BLOB)) > ? OR name LIKE '/%'"
_OF_PLACE = (
    "SELECT face.id FROM main.face JOIN source ON source.id = source_id"
    " WHERE name = ? AND frame_idx = ? AND face.idx = ? AND chip = ?"
)


class ChipPaths:
    """The chips of an open store, as runs name them: by source, frame and face."""

    def __init__(self, db: sqlite3.Connection) -> None:
        self._db = db

    def face(self, chip: str) -> int | None:
        """The row number of the face whose chip has this path below the result folder.

        None: there is none, or it has another name than runs give chips.
        """
        path = PurePosixPath(chip)
        found = _NAME.fullmatch(path.name)
        if not found or path.parts[0] != CHIPS:
            return None
        folder = str(PurePosixPath(*path.parts[1:-1]))
        for source in filter(None, (folder, self._cut.get(folder))):
            row = self._db.execute(_OF_PLACE, (source, int(found[1]), int(found[2]), chip)).fetchone()
            if row is not None:
                return int(row[0])
        return None

    def is_source(self, folder: str) -> bool:
        """Whether this is the folder of a source, below that of the chips or overlays."""
        query = "SELECT 1 FROM source WHERE name = ?"
        return folder in self._cut or self._db.execute(query, (folder,)).fetchone() is not None

    @cached_property
    def _cut(self) -> Mapping[str, str]:
        """The sources whose folders have other names than they, by these."""
        names = (str(name) for (name,) in self._db.execute(_CUT, (LONGEST_NAME_BYTES,)))
        return {file_name(name): name for name in names}


def face_of_chip(db: sqlite3.Connection, chip: str) -> int | None:
    """The row number of the face whose chip has this path below the result folder, whatever it is called."""
    number = ChipPaths(db).face(chip)
    if number is None:  # every row is looked at
        row = db.execute("SELECT id FROM main.face WHERE chip = ?", (chip,)).fetchone()
        return None if row is None else int(row[0])
    return number
