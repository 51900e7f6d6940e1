"""Given folders: several result folders that are to become one, and whether they can."""

import json
import sqlite3
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from faceloom.errors import RequestError
from faceloom.media.shards import Shard
from faceloom.store.claims import Claim
from faceloom.store.configuration import SHARD, config_in, differences
from faceloom.store.database import connect
from faceloom.store.folder import PENDING
from faceloom.store.rows import Status
from faceloom.store.soundness import check_rows, sound

_TOLD = 8
_MOST_VERSIONS = 4096
"""Letters that the versions of a run take, at most."""


@dataclass(frozen=True, slots=True)
class GivenFolder:
    """A result folder that is open to be read; one state of it, whatever is written to it meanwhile."""

    path: Path
    db: sqlite3.Connection

    @property
    def sources(self) -> Iterator[Claim]:
        """Its sources, in no order."""
        for name, path, size_bytes, sha256 in self.db.execute("SELECT name, path, size_bytes, sha256 FROM source"):
            content = path if isinstance(path, bytes) else str(path).encode()
            yield Claim(name=name, path=content, size_bytes=size_bytes, sha256=sha256)

    def frames(self, name: str) -> int:
        """How many frames it has of a source."""
        query = "SELECT count(*) FROM frame WHERE source_id = (SELECT id FROM source WHERE name = ?)"
        return int(self.db.execute(query, (name,)).fetchone()[0])


@contextmanager
def opened(path: Path) -> Iterator[GivenFolder]:
    """Gives a result folder whose rows are what runs write.

    Raises:
        StoreError: it holds no store that can be read.
    """
    with connect(path, read_only=True) as db:
        db.execute("BEGIN")
        check_rows(db, path)
        yield GivenFolder(path, db)


@dataclass(frozen=True, slots=True, kw_only=True)
class FolderFacts:
    """What is to be known of a result folder before it is put together with others."""

    path: Path
    shard: Shard | None
    config: Mapping[str, Any]
    """But for the shard."""
    versions: Mapping[str, str]
    """Of the last run."""
    has_persons: bool


def facts_of(given: GivenFolder) -> FolderFacts:
    """What is to be known of a result folder.

    Raises:
        RequestError: it is not finished, or holds no results.
        StoreError: what it says of itself is damaged.
    """
    path, db = given.path, given.db
    (pending,) = db.execute("SELECT count(*) FROM frame WHERE status = ?", (Status.PENDING,)).fetchone()
    if pending or (path / PENDING).exists():
        left = f"{pending:,} of its frames are still to be done" if pending else "files are still to be put in place"
        raise RequestError(f"{path} is not finished, {left}; run its command again first")
    with sound(path):
        config = config_in(db)
        shard = config.pop(SHARD, None)
        if not config:
            raise RequestError(f"{path} holds no results yet: its first run has only begun")
        return FolderFacts(
            path=path,
            shard=None if shard is None else Shard.parse(shard),
            config=config,
            versions=_versions(db),
            has_persons=db.execute("SELECT 1 FROM face WHERE person IS NOT NULL LIMIT 1").fetchone() is not None,
        )


def _versions(db: sqlite3.Connection) -> dict[str, str]:
    row = db.execute("SELECT versions FROM run WHERE typeof(versions) = 'text' ORDER BY id DESC LIMIT 1").fetchone()
    told = json.loads(row[0]) if row and len(row[0]) <= _MOST_VERSIONS else {}
    return {str(name): str(version) for name, version in dict(told).items()}


def require_one_configuration(folders: Sequence[FolderFacts]) -> None:
    """Refuses folders that were made with several configurations.

    Raises:
        RequestError: the message shows where they differ.
    """
    first, *others = folders
    for other in others:
        found = differences(first.config, other.config)
        if found:
            lines = "\n".join(f"  {where}: {one} in {first.path}, {two} in {other.path}" for where, one, two in found)
            raise RequestError(f"these folders were made with other configurations, and one folder holds one:\n{lines}")


def missing_shards(folders: Sequence[FolderFacts]) -> list[Shard]:
    """The shards that would have to be there besides these; none where these are no shards.

    Raises:
        RequestError: a shard is there twice, or some are none, or of another number.
    """
    seen: dict[Shard | None, Path] = {}
    for one in folders:
        if one.shard is not None and one.shard in seen:
            raise RequestError(
                f"{seen[one.shard]} and {one.path} are both shard {one.shard}; leave out the one that is not wanted"
            )
        seen[one.shard] = one.path
    shards = [one.shard for one in folders if one.shard is not None]
    if shards and len(shards) < len(folders):
        raise RequestError(f"{seen[None]} is no shard, and {seen[shards[0]]} is shard {shards[0]}: merge those apart")
    counts = {shard.count: shard for shard in shards}
    if len(counts) > 1:
        told = " and ".join(f"{seen[shard]} is shard {shard}" for shard in list(counts.values())[:2])
        raise RequestError(f"{told}; the shards of one job are all of one number")
    return [shard for count in counts for i in range(1, count + 1) if (shard := Shard(count, i)) not in seen]


def in_words(shards: Sequence[Shard]) -> str:
    """Some shards, the first by their names."""
    told = ", ".join(map(str, shards[:_TOLD]))
    return told + (f" and {len(shards) - _TOLD:,} more" if len(shards) > _TOLD else "")
