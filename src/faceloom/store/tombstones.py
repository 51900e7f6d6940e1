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
            self._others = {bytes.fromhex(salt): frozenset(map(str, files)) for salt, files in told.get("others", ())}
        except (AttributeError, LookupError, RecursionError, TypeError, ValueError) as error:
            raise StoreError(f"what the store says of forgotten files is damaged: {error}") from error

    def __contains__(self, path: bytes) -> bool:
        all_files = {self._salt: self._files, **self._others}
        return any(files and _digest(salt, path) in files for salt, files in all_files.items())

    def add(self, path: bytes) -> None:
        """One more file. Call within a transaction."""
        self._files |= {_digest(self._salt, path)}
        self._write()

    def absorb(self, other: "Tombstones") -> None:
        """Those of another store too, whose salts are its own. Call within a transaction."""
        for salt, files in {other._salt: other._files, **other._others}.items():
            if files and salt != self._salt:
                self._others[salt] = self._others.get(salt, frozenset()) | files
        if self._others:
            self._write()

    def _write(self) -> None:
        others = [[salt.hex(), sorted(files)] for salt, files in sorted(self._others.items())]
        told = {"salt": self._salt.hex(), "files": sorted(self._files), **({"others": others} if others else {})}
        self._db.execute("INSERT OR REPLACE INTO meta VALUES (?, ?)", (_KEY, json.dumps(told)))


def _digest(salt: bytes, path: bytes) -> str:
    return hashlib.sha256(salt + path).hexdigest()
