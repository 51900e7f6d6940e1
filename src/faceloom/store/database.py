"""The SQLite file: opening it, its marks and versions, its schema."""

import os
import sqlite3
from collections.abc import Iterator
from contextlib import closing, contextmanager
from importlib import resources
from pathlib import Path

from faceloom.attributes import ATTRIBUTES
from faceloom.errors import DamagedStoreError, FaceloomError, StoreError
from faceloom.store.columns import TABLES
from faceloom.store.folder import DATABASE, locked
from faceloom.store.places import file_below
from faceloom.store.soundness import DAMAGE, check_schema, harden, refuse_super_journal

_ENDINGS = ("", "-wal", "-shm", "-journal")
"""Of the files that SQLite keeps of one database."""
APPLICATION_ID = 0x46414C4D
"""Marks our files among SQLite's, in `PRAGMA application_id`."""
_TABLES_VERSION = 12
"""The last version that changed more than columns of attributes; the steps to it are in `migrations`."""
SCHEMA_VERSION = max(_TABLES_VERSION, *(attribute.since for attribute in ATTRIBUTES))


@contextmanager
def connect(folder: Path, *, read_only: bool) -> Iterator[sqlite3.Connection]:
    """An open store of the present version; one that an older faceloom made is brought up to it.

    Raises:
        StoreError: there is none, it is not one of ours, or a newer faceloom made it.
    """
    path = folder / DATABASE
    if read_only and not path.is_file():
        raise StoreError(f"{folder} holds no results of faceloom (no {DATABASE})", path=path)
    for ending in _ENDINGS:
        refuse_super_journal(file_below(folder, DATABASE + ending))
    try:
        if read_only:
            _bring_up_to_date(folder, path)
        connection = _open(path, read_only=read_only)
        try:
            tables, version = _check_version(connection, path)
            if read_only and not tables:
                raise StoreError(f"{folder} holds no results yet: its first run has only begun", path=path)
            if tables and version == SCHEMA_VERSION:
                _check_columns(connection, path)
            connection.execute("PRAGMA foreign_keys = ON")
            connection.execute("PRAGMA query_only = " + ("ON" if read_only else "OFF"))
            yield connection
        finally:
            connection.close()
    except sqlite3.Error as error:
        raise StoreError(f"the store {path} cannot be used: {error}", path=path) from error
    except FaceloomError:
        raise
    except DAMAGE as error:
        if not read_only:
            raise
        # What a row holds is not what was once written there.
        raise DamagedStoreError(f"the store {path} is damaged: {error or type(error).__name__}", path=path) from error


@contextmanager
def transaction(connection: sqlite3.Connection) -> Iterator[None]:
    """All or nothing of what is written within."""
    connection.execute("BEGIN IMMEDIATE")
    try:
        yield
    except BaseException:
        if connection.in_transaction:  # a full disk has rolled back already
            connection.execute("ROLLBACK")
        raise
    connection.execute("COMMIT")


def _open(path: Path, *, read_only: bool) -> sqlite3.Connection:
    """A write-ahead log needs a file beside it even to be read; where none can be made, nobody writes either."""
    if not read_only or os.access(path.parent, os.W_OK):
        connection = sqlite3.connect(path, isolation_level=None)
    else:
        connection = sqlite3.connect(f"{path.absolute().as_uri()}?immutable=1", uri=True, isolation_level=None)
    harden(connection)
    return connection


def _bring_up_to_date(folder: Path, path: Path) -> None:
    """Migrates a store that is to be read only, where it is older.

    Raises:
        StoreError: it cannot be written.
    """
    with closing(_open(path, read_only=True)) as connection:
        tables, found = _check_version(connection, path)
    if not tables or found == SCHEMA_VERSION:
        return
    if not os.access(folder, os.W_OK):
        message = (
            f"{path} was made by an older faceloom (schema {found}, this one knows {SCHEMA_VERSION}), and cannot be"
            " brought up to date where it lies: copy its folder to where it can be written"
        )
        raise StoreError(message, path=path, found=found, expected=SCHEMA_VERSION)
    with locked(folder), closing(_open(path, read_only=False)) as connection:
        create_schema(connection)


def _check_version(connection: sqlite3.Connection, path: Path) -> tuple[int, int]:
    """How many tables there are, if they are ours, and of which version."""
    (application,) = connection.execute("PRAGMA application_id").fetchone()
    (found,) = connection.execute("PRAGMA user_version").fetchone()
    (tables,) = connection.execute("SELECT count(*) FROM sqlite_master").fetchone()
    if tables and application != APPLICATION_ID:
        raise StoreError(f"{path} is a database of another program", path=path)
    if found > SCHEMA_VERSION:
        message = (
            f"{path} was made by a newer faceloom (schema {found}, this one knows {SCHEMA_VERSION}); update faceloom"
        )
        raise StoreError(message, path=path, found=found, expected=SCHEMA_VERSION)
    if tables:
        check_schema(connection, path, create_schema)
    return int(tables), int(found)


def create_schema(connection: sqlite3.Connection) -> None:
    """Makes the tables of a new file, or brings those of an older version up to this one, in one transaction."""
    (found,) = connection.execute("PRAGMA user_version").fetchone()
    if found != SCHEMA_VERSION:
        texts = [*(_steps(connection, found) if found else [_text("schema.sql")]), _text("indexes.sql")]
        pragmas = f"PRAGMA application_id = {APPLICATION_ID}; PRAGMA user_version = {SCHEMA_VERSION};"
        connection.executescript(f"BEGIN; {' '.join(texts)} {pragmas} COMMIT;")


def _steps(connection: sqlite3.Connection, found: int) -> Iterator[str]:
    """What leads from an older version to this one: its tables, and the columns of attributes that it does not have."""
    yield from (_text(f"migrations/{version}.sql") for version in range(found, _TABLES_VERSION))
    for table, columns in TABLES.items():
        there = _columns_of(connection, table)
        if there:  # else a step has made the table with all of them
            missing = [line for name, line in columns.definitions.items() if name not in there]
            yield from (f"ALTER TABLE {table} ADD COLUMN {line};" for line in missing)


def _text(name: str) -> str:
    """SQL of the package, with the columns of attributes where it names them."""
    text = resources.files("faceloom.store").joinpath(name).read_text(encoding="utf-8")
    for table, columns in TABLES.items():
        text = text.replace(f"{{{table}}}", ",\n    ".join(columns.definitions.values()))
    return text


def _columns_of(connection: sqlite3.Connection, table: str) -> dict[str, tuple[str, bool]]:
    """Name, type, and whether it is never null, of each column of a table; none if there is no such table."""
    rows = connection.execute(f"PRAGMA table_info({table})")
    return {name: (type_, bool(is_required)) for _, name, type_, is_required, *_ in rows}


def _check_columns(connection: sqlite3.Connection, path: Path) -> None:
    """Holds a store of the present version to the columns that the attributes of faces have.

    Raises:
        StoreError: another program has changed them.
    """
    for table, columns in TABLES.items():
        there = _columns_of(connection, table)
        for name, expected in columns.types.items():
            if there.get(name) != expected:
                found = _in_words(*there[name]) if name in there else "missing"
                message = f"{path} is damaged: the column {table}.{name} is {found}, not {_in_words(*expected)}"
                raise DamagedStoreError(message, path=path)


def _in_words(type_: str, is_required: bool) -> str:
    return f"{type_ or 'without a type'}{' NOT NULL' * is_required}"
