"""Claims: which source of which of several result folders comes into one, and what cannot be in one together.

They are kept in a temporary file, so that memory does not grow with the number of sources.
"""

import sqlite3
from collections.abc import Iterator, Sequence
from contextlib import closing, contextmanager
from dataclasses import dataclass
from pathlib import Path

from faceloom.errors import RequestError
from faceloom.store.folder import file_name

_TABLES = """
CREATE TABLE claim (
    files TEXT PRIMARY KEY,     -- where its chips lie, which no two sources may have in common
    name TEXT NOT NULL,
    place BLOB NOT NULL,        -- sorts names as folders are searched
    path BLOB NOT NULL,
    size_bytes INTEGER NOT NULL,
    sha256 TEXT,
    folder INTEGER NOT NULL
) WITHOUT ROWID;
CREATE INDEX claim_path ON claim (path, place);
CREATE INDEX claim_folder ON claim (folder, place);
"""
_SAME_FILE = (
    "other.path = claim.path AND other.size_bytes = claim.size_bytes AND other.sha256 IS claim.sha256"
    " AND other.place < claim.place"
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Claim:
    """A source of a result folder, and the file that it was."""

    name: str
    path: bytes
    size_bytes: int
    sha256: str | None


@contextmanager
def open_claims(folders: Sequence[Path]) -> Iterator["Claims"]:
    """Gives the claims of these folders, which are none yet."""
    with closing(sqlite3.connect("", isolation_level=None)) as db:
        db.executescript(f"PRAGMA journal_mode = OFF; PRAGMA synchronous = OFF; {_TABLES}")
        yield Claims(db, folders)


class Claims:
    """The sources of several result folders, by the number of the folder."""

    def __init__(self, db: sqlite3.Connection, folders: Sequence[Path]) -> None:
        self._db = db
        self._folders = folders

    def add(self, folder: int, sources: Iterator[Claim]) -> None:
        """Takes up the sources of a folder.

        Raises:
            RequestError: another folder has one of the same name.
        """
        self._db.execute("BEGIN")
        for source in sources:
            row = (
                *(file_name(source.name), source.name, source.name.encode().replace(b"/", b"\0")),
                *(source.path, source.size_bytes, source.sha256, folder),
            )
            try:
                self._db.execute("INSERT INTO claim VALUES (?, ?, ?, ?, ?, ?, ?)", row)
            except sqlite3.IntegrityError:
                self._refuse_twice(row[0], source.name, folder)
        self._db.execute("COMMIT")

    def settle(self) -> None:
        """Leaves one source of each file, the one that a run over all of them would have come to first.

        A link and the file that it leads to may be in two folders: a run takes up the first, by the order of names.

        Raises:
            RequestError: the chips of one source would lie below those of another.
        """
        self._db.execute(f"DELETE FROM claim WHERE EXISTS (SELECT 1 FROM claim AS other WHERE {_SAME_FILE})")
        row = self._db.execute(
            "SELECT claim.name, claim.folder, other.name, other.folder FROM claim CROSS JOIN claim AS other"
            " ON other.files > claim.files || '/' AND other.files < claim.files || '0' LIMIT 1"
        ).fetchone()
        if row is not None:
            message = (
                f"{row[0]!r} of {self._folders[row[1]]} and {row[2]!r} of {self._folders[row[3]]} cannot be in one"
                " folder: one's chips would lie below the other's"
            )
            raise RequestError(message)

    def of(self, folder: int) -> Iterator[str]:
        """The names of the sources that come from a folder, in order; others may be asked for meanwhile."""
        query = "SELECT name FROM claim WHERE folder = ? ORDER BY place"
        return (name for (name,) in self._db.execute(query, (folder,)))

    def _refuse_twice(self, files: str, name: str, folder: int) -> None:
        query = "SELECT name, folder FROM claim WHERE files = ?"
        other, number = self._db.execute(query, (files,)).fetchone()
        which = f"{name!r} is" if other == name else f"{name!r} and {other!r}, whose chips lie at one place, are"
        raise RequestError(
            f"{which} in both {self._folders[number]} and {self._folders[folder]}; leave one folder out, or extract"
            " with all inputs named to every shard alike"
        )
