"""Whether a store is what runs of ours write: tables and nothing in their place, and rows of the types that they have.

A store may have come from anybody, and SQLite runs what a schema says: views and triggers can do anything to rows, and
go on for ever. So the schema is looked at before anything else is asked of a file.
"""

import os
import re
import sqlite3
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from functools import lru_cache
from pathlib import Path
from typing import Any

from faceloom.errors import ForeignSchemaError, StoreError
from faceloom.media.sources import SourceKind
from faceloom.store.rows import Status
from faceloom.store.times import seconds_a_tick
from faceloom.units import MIB

DAMAGE = (ArithmeticError, AttributeError, LookupError, RecursionError, TypeError, ValueError)
"""What reading a row raises that holds something else than was once written there."""
_LONGEST_BYTES = 512 * MIB
"""Of a text or blob, which functions in a schema could otherwise make as long as 2 GB."""
_JOURNAL_MARK = bytes.fromhex("d9d505f920a163d7")
"""SQLite's file format 3: how a journal begins, and ends if it has the name of a super-journal before that."""
_LONGEST_PATTERN = 64
_CHECK = re.compile(r"CHECK \((?:[^()]|\([^()]*\))*\)")
_FRAME = (
    "typeof(idx) = 'integer' AND idx BETWEEN 0 AND 9007199254740992 AND typeof(ticks) IN ('integer', 'null')"
    " AND typeof(seek_ticks) IN ('integer', 'null') AND typeof(height) IN ('integer', 'null')"
    " AND typeof(width) IN ('integer', 'null') AND typeof(reason) IN ('text', 'null') AND typeof(look) = 'integer'"
    f" AND status IN ({', '.join(repr(status.value) for status in Status)})"
)


def refuse_super_journal(path: Path) -> None:
    """Refuses a rollback journal that names another file: SQLite would remove that file, wherever it lies.

    It is written only by transactions over several files, of which our stores have none.

    Raises:
        StoreError: it is one.
    """
    if not path.name.endswith("-journal") or not path.is_file():
        return
    with path.open("rb") as file:
        file.seek(max(0, path.stat().st_size - len(_JOURNAL_MARK)))
        if file.read() == _JOURNAL_MARK:
            raise StoreError(f"{path} names another file, as no journal of our stores does; remove it", path=path)


def harden(db: sqlite3.Connection) -> None:
    """Has SQLite trust nothing that a schema says more than it needs to."""
    db.execute("PRAGMA trusted_schema = OFF")
    db.execute("PRAGMA cell_size_check = ON")
    db.setlimit(sqlite3.SQLITE_LIMIT_LENGTH, _LONGEST_BYTES)
    db.setlimit(sqlite3.SQLITE_LIMIT_LIKE_PATTERN_LENGTH, _LONGEST_PATTERN)


def check_schema(db: sqlite3.Connection, path: Path, make: Callable[[sqlite3.Connection], None]) -> None:
    """Holds what there is under the names of our tables to tables, without conditions, defaults or rules but ours.

    Args:
        db: an open store, of any version.
        path: where it is, for messages.
        make: makes the tables of this version in an empty database.

    Raises:
        StoreError: there is something else, or anything that acts by itself.
    """
    expected = _tables(make)
    for kind, name, table, text in db.execute("SELECT type, name, tbl_name, sql FROM sqlite_master").fetchall():
        where = f"{name!r:.80} in {path}"
        if kind == "trigger":
            raise ForeignSchemaError(f"{where} is a rule that acts by itself, of which our stores have none", path=path)
        if name in expected and (kind != "table" or not str(text).startswith("CREATE TABLE")):
            raise ForeignSchemaError(f"{where} is no table but a {kind}, so its rows could be anything", path=path)
        if name in expected:
            _check_table(db, path, name, str(text), expected[name])
        elif kind == "index" and table in expected and text and "(" in str(text).partition("(")[2]:
            raise ForeignSchemaError(f"{where} is an index over an expression; our stores have none", path=path)


@lru_cache(maxsize=2)
def _tables(make: Callable[[sqlite3.Connection], None]) -> Mapping[str, tuple[str, Mapping[str, Any]]]:
    """The tables of this version: the text that makes each, and the default of each column."""
    db = sqlite3.connect(":memory:", isolation_level=None)
    try:
        make(db)
        made = db.execute("SELECT name, sql FROM sqlite_master WHERE type = 'table'").fetchall()
        return {name: (text, {row[1]: row[4] for row in _columns(db, name)}) for name, text in made}
    finally:
        db.close()


def _columns(db: sqlite3.Connection, table: str) -> list[tuple[Any, ...]]:
    return db.execute(f"PRAGMA table_xinfo({table})").fetchall()


def _check_table(
    db: sqlite3.Connection, path: Path, name: str, text: str, expected: tuple[str, Mapping[str, Any]]
) -> None:
    known, defaults = set(_CHECK.findall(expected[0])), expected[1]
    if text.upper().count("CHECK") != sum(text.count(one) for one in known):
        raise ForeignSchemaError(f"{path} is damaged: the table {name} has conditions that are not ours", path=path)
    for _, column, _, _, default, _, hidden in _columns(db, name):
        if hidden or (default is not None and default != defaults.get(column)):
            raise ForeignSchemaError(f"{path} is damaged: {column!r:.80} of {name} has values of its own", path=path)


def check_rows(db: sqlite3.Connection, path: Path) -> None:
    """Holds the rows of sources and frames, by which files are read and written, to what runs write.

    Raises:
        StoreError: one is something else.
    """
    with sound(path):
        for name, place, kind, time_base, *numbers, sha256 in db.execute(
            "SELECT name, path, kind, time_base, size_bytes, mtime_ns, run_id, reading_bytes, sha256 FROM source"
        ):
            _check_source(name, place, kind, time_base)
            if not all(type(number) is int or number is None for number in numbers):
                raise ValueError(f"the source {name!r:.80} has numbers that are none")
            if not isinstance(sha256, str | None):
                raise ValueError(f"the source {name!r:.80} has a digest that is none")
        row = db.execute(f"SELECT source_id, idx FROM frame WHERE ({_FRAME}) IS NOT 1 LIMIT 1").fetchone()
        if row is not None:
            raise ValueError(f"the frame {row[1]!r:.40} of source {row[0]!r:.40} is no frame")


def _check_source(name: object, place: object, kind: Any, time_base: object) -> None:
    if not isinstance(name, str) or not name or "\0" in name or ".." in name.split("/"):
        raise ValueError(f"{name!r:.80} is no name of a source")
    if not isinstance(place, bytes | str) or "\0" in os.fsdecode(place):
        raise ValueError(f"the source {name!r:.80} has a path that is none")
    SourceKind(kind)
    if time_base is not None:
        seconds_a_tick(time_base)


@contextmanager
def sound(path: Path) -> Iterator[None]:
    """What goes wrong within for what rows hold is said of the store that holds them."""
    try:
        yield
    except DAMAGE as error:
        if isinstance(error, StoreError):
            raise
        raise StoreError(f"the store {path} is damaged: {error or type(error).__name__}", path=path) from error
