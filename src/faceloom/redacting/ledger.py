"""The ledger: what a redaction has written and what was found in it, so that it is gone on with where it ended."""

import json
import os
import sqlite3
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from faceloom.errors import RequestError, StoreError
from faceloom.media.sources import REDACTION_MARK
from faceloom.redacting.messages import FoundBox, Redacted
from faceloom.redacting.summary import StillFound
from faceloom.store.privacy import opener

LEDGER = REDACTION_MARK
_APPLICATION_ID = 0x46414C52
_SCHEMA = (
    "CREATE TABLE IF NOT EXISTS meta (key TEXT PRIMARY KEY, value TEXT NOT NULL) WITHOUT ROWID",
    "CREATE TABLE IF NOT EXISTS item (name TEXT PRIMARY KEY, size_bytes INTEGER NOT NULL, told TEXT NOT NULL,"
    " covered TEXT NOT NULL, rounds TEXT NOT NULL, found TEXT, is_proven INTEGER NOT NULL) WITHOUT ROWID",
)
_ROUNDS = "rounds"
"""Once part of the settings: with more of them a redaction goes on."""
_DAMAGE = (KeyError, TypeError, ValueError)


@dataclass(frozen=True, slots=True, kw_only=True)
class Entry:
    """A source that was written."""

    name: str
    size_bytes: int
    """Of the file that was written."""
    redacted: Redacted
    covered: tuple[FoundBox, ...] = ()
    """Faces that were found in what was written before, and are covered too."""
    rounds: tuple[int, ...] = ()
    """How many faces were found each time that it was looked at."""
    found: tuple[StillFound, ...] | None = None
    """Faces that are found in it; None: nobody has looked at it yet."""
    is_proven: bool = False
    """Whether it lies where files lie that are done with."""


class Ledger:
    """What was written."""

    def __init__(self, db: sqlite3.Connection, path: Path) -> None:
        self._db = db
        self._path = path

    def use(self, settings: dict[str, Any]) -> None:
        """Holds the folder to these settings.

        Raises:
            RequestError: it was made with others.
        """
        told = json.dumps(settings, sort_keys=True)
        row = self._db.execute("SELECT value FROM meta WHERE key = 'settings'").fetchone()
        if row is None:
            self._db.execute("INSERT INTO meta VALUES ('settings', ?)", (told,))
            return
        before, now = json.loads(row[0]), json.loads(told)
        before.pop(_ROUNDS, None)
        if before != now:
            names = sorted(key for key in {*before, *now} if before.get(key) != now.get(key))
            different = "; ".join(f"{name} was {before.get(name)!r} and is {now.get(name)!r}" for name in names)
            raise RequestError(f"{self._path.parent} was made by another redaction: {different}; name another --out")

    def entry(self, name: str) -> Entry | None:
        """What was written of a source; None: nothing was, or nobody can tell any more."""
        query = "SELECT size_bytes, told, covered, rounds, found, is_proven FROM item WHERE name = ?"
        row = self._db.execute(query, (name,)).fetchone()
        if row is None:
            return None
        try:
            size, told, covered, rounds, found, is_proven = row
            boxes = ((frame, (x0, y0, x1, y1), *more) for frame, (x0, y0, x1, y1), *more in json.loads(covered))
            still = None if found is None else tuple(_still(one) for one in json.loads(found))
            return Entry(
                name=name,
                size_bytes=size,
                redacted=Redacted.from_json(json.loads(told)),
                covered=tuple(boxes),
                rounds=tuple(json.loads(rounds)),
                found=still,
                is_proven=bool(is_proven),
            )
        except _DAMAGE:
            return None

    def note(self, entry: Entry) -> None:
        """Notes what became of a source."""
        found = None if entry.found is None else json.dumps([_told(one) for one in entry.found])
        row = (
            entry.name,
            entry.size_bytes,
            json.dumps(entry.redacted.to_json()),
            json.dumps(entry.covered),
            json.dumps(entry.rounds),
            found,
            int(entry.is_proven),
        )
        self._db.execute("INSERT OR REPLACE INTO item VALUES (?, ?, ?, ?, ?, ?, ?)", row)

    def names(self) -> Sequence[str]:
        """Every source that was written."""
        return [name for (name,) in self._db.execute("SELECT name FROM item ORDER BY name")]


def _told(one: StillFound) -> list[Any]:
    return [one.frame, one.time_s, list(one.box), one.score, one.detector]


def _still(told: list[Any]) -> StillFound:
    frame, time_s, (x0, y0, x1, y1), score, detector = told
    return StillFound(frame=frame, time_s=time_s, box=(x0, y0, x1, y1), score=score, detector=detector)


@contextmanager
def open_ledger(folder: Path, *, share: bool) -> Iterator[Ledger]:
    """The ledger of a folder.

    Raises:
        StoreError: it is none of ours, or cannot be used.
    """
    path = folder / LEDGER
    os.close(opener(share=share)(str(path), os.O_WRONLY | os.O_CREAT))
    db = sqlite3.connect(path, isolation_level=None)
    try:
        (application,) = db.execute("PRAGMA application_id").fetchone()
        (tables,) = db.execute("SELECT count(*) FROM sqlite_master").fetchone()
        if tables and application != _APPLICATION_ID:
            raise StoreError(f"{path} is a database of another program", path=path)
        db.execute(f"PRAGMA application_id = {_APPLICATION_ID}")
        for text in _SCHEMA:
            db.execute(text)
        yield Ledger(db, path)
    except sqlite3.Error as error:
        raise StoreError(f"{path} cannot be used: {error}", path=path) from error
    finally:
        db.close()
