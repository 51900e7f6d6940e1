"""Tombstones: which files a result folder is not to take up again, without saying which they were."""

import hashlib
import json
import secrets
import sqlite3

from faceloom.errors import StoreError

_KEY = "forgotten"
_SALT_BYTES = 16


class Tombstones:
    """Salted digests of the paths of forgotten files, in an open store."""

    def __init__(self, db: sqlite3.Connection) -> None:
        self._db = db
        row = db.execute("SELECT value FROM meta WHERE key = ?", (_KEY,)).fetchone()
        try:
            told = json.loads(row[0]) if row else {}
            self._salt = bytes.fromhex(told["salt"]) if told else secrets.token_bytes(_SALT_BYTES)
            self._files = frozenset(map(str, told.get("files", ())))
        except (AttributeError, LookupError, RecursionError, TypeError, ValueError) as error:
            raise StoreError(f"what the store says of forgotten files is damaged: {error}") from error

    def __contains__(self, path: bytes) -> bool:
        return bool(self._files) and self._digest(path) in self._files

    def add(self, path: bytes) -> None:
        """One more file. Call within a transaction."""
        self._files |= {self._digest(path)}
        text = json.dumps({"salt": self._salt.hex(), "files": sorted(self._files)})
        self._db.execute("INSERT OR REPLACE INTO meta VALUES (?, ?)", (_KEY, text))

    def _digest(self, path: bytes) -> str:
        return hashlib.sha256(self._salt + path).hexdigest()
