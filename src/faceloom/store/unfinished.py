"""Unfinished forgetting: what a kill has left to be done when the rows are gone, and not yet every byte of them."""

import hashlib
import json
import secrets
import sqlite3
from typing import Any

_KEY = "forgetting"
_SALT_BYTES = 16


class Unfinished:
    """The note of an open store; it says not who is forgotten, only a salted digest of the request."""

    def __init__(self, db: sqlite3.Connection) -> None:
        self._db = db

    def begin(self, request: str, went: dict[str, Any]) -> None:
        """Notes that the rows are gone. Call in the transaction that removes them."""
        salt = secrets.token_hex(_SALT_BYTES)
        told = {"salt": salt, "request": _digest(salt, request), "went": went}
        self._db.execute("INSERT OR REPLACE INTO meta VALUES (?, ?)", (_KEY, json.dumps(told)))

    def end(self) -> None:
        """Notes that nothing of them is left."""
        self._db.execute("DELETE FROM meta WHERE key = ?", (_KEY,))

    @property
    def is_there(self) -> bool:
        """Whether something is left to be done."""
        return self._told is not None

    def answer_to(self, request: str) -> dict[str, Any] | None:
        """What went, if it is this request that did not finish."""
        told = self._told
        if told is None or _digest(told["salt"], request) != told["request"]:
            return None
        return dict(told["went"])

    @property
    def _told(self) -> dict[str, Any] | None:
        row = self._db.execute("SELECT value FROM meta WHERE key = ?", (_KEY,)).fetchone()
        return None if row is None else dict(json.loads(row[0]))


def _digest(salt: str, request: str) -> str:
    return hashlib.sha256(f"{salt}{request}".encode()).hexdigest()
