"""Copies: what was made of a result folder; folders have a mark that says of which."""

import json
import secrets
import sqlite3
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path

from faceloom.errors import StoreError
from faceloom.media.remote import is_remote
from faceloom.store.database import connect, transaction

MARK = ".faceloom"
"""The file of a folder of persons that says which result folder it was made of."""
PICKED, SORTED = "picked", "sorted"
"""The lists that stand in folders of chips that were picked or sorted, without their suffix."""
_LIST, _IDENTITY, _ORIGIN = "copies", "identity", "copy_of"
_IDENTITY_BYTES = 16


class CopyKind(StrEnum):
    """What a copy is."""

    PEOPLE = "people"
    """A folder of links to chips, or of copies of them, for each person."""
    DERIVED = "derived"
    """A result folder with other chips of the same faces."""
    EXPORT = "export"
    """A file or folder for other programs, or a frame that was drawn: nothing can be taken out of it again."""


@dataclass(frozen=True, slots=True)
class CopyNote:
    """What was made of a result folder, and where it was put."""

    kind: CopyKind
    path: Path | str
    """An address of an export is text."""


def note_copy(db: sqlite3.Connection, kind: CopyKind, path: Path | str) -> str:
    """Notes in an open store that this is made of it; the result folder's identity, for the copy's mark."""
    with transaction(db):
        told = [(one.kind.value, str(one.path)) for one in copies_of(db)]
        own = (kind.value, path if isinstance(path, str) else str(path.resolve()))
        identity = identity_of(db) or secrets.token_hex(_IDENTITY_BYTES)
        texts = [(_LIST, json.dumps(told if own in told else [*told, own])), (_IDENTITY, identity)]
        db.executemany("INSERT OR REPLACE INTO meta VALUES (?, ?)", texts)
    return identity


def note_made(folder: Path, kind: CopyKind, out: Path | str) -> str | None:
    """Notes in a result folder what was made of it; the folder's identity, or None where it cannot be written."""
    try:
        with connect(folder, read_only=False) as db:
            return note_copy(db, kind, out)
    except StoreError:
        return None


def copies_of(db: sqlite3.Connection) -> list[CopyNote]:
    """What was made of an open store's folder."""
    told = json.loads(_read(db, _LIST) or "[]")
    return [CopyNote(CopyKind(kind), path if is_remote(path) else Path(path)) for kind, path in told]


def identity_of(db: sqlite3.Connection) -> str | None:
    """What the marks of copies name an open store's folder by; None if there are none."""
    return _read(db, _IDENTITY)


def mark_derived(db: sqlite3.Connection, identity: str) -> None:
    """Says in an open store which result folder it was derived from."""
    with transaction(db):
        db.execute("INSERT OR REPLACE INTO meta VALUES (?, ?)", (_ORIGIN, identity))


def origin_of(db: sqlite3.Connection) -> str | None:
    """The identity of the result folder that an open store was derived from."""
    return _read(db, _ORIGIN)


def _read(db: sqlite3.Connection, key: str) -> str | None:
    row = db.execute("SELECT value FROM meta WHERE key = ?", (key,)).fetchone()
    return None if row is None else str(row[0])
