"""Forgetting: what was found in a source, or of a person, really goes, from the store's file and the folder.

Rows are overwritten where they stood (`secure_delete`), the file is written anew without free pages, and the
write-ahead log is emptied. Files go before rows, so that an end at any moment leaves nothing that a second try does not
find.
"""

import json
import os
import sqlite3
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Unpack

from faceloom.errors import RequestError, StoreError
from faceloom.options.calls import ForgetOptions
from faceloom.options.keywords import takes
from faceloom.options.stages import PathLike
from faceloom.store.again import NEVER
from faceloom.store.database import connect
from faceloom.store.folder import CHIPS, OVERLAYS, file_name
from faceloom.store.places import place_below, remove_below
from faceloom.store.store import Store
from faceloom.store.tombstones import Tombstones


@dataclass(frozen=True, slots=True, kw_only=True)
class Forgotten:
    """What was removed from a result folder, in numbers."""

    sources: int = 0
    frames: int = 0
    faces: int = 0
    masks: int = 0
    embeddings: int = 0
    chips: int = 0
    overlays: int = 0

    def to_json(self) -> dict[str, int]:
        """Gives the numbers as `forget --json` prints them."""
        return asdict(self)


@takes(ForgetOptions)
def forget(folder: PathLike, **options: Unpack[ForgetOptions]) -> Forgotten:
    """Removes everything that a result folder holds of a source, or of a person; it cannot be undone.

    Args:
        folder: the result folder.
        options: as docs/options.md lists them.

    Raises:
        TypeError: there is no such keyword.
        RequestError: there is no such source or person, or not one of both was named.
        StoreError: the folder holds no results, a run is writing to it, or somebody is reading it.
    """
    folder, source, person = Path(folder), options["source"], options["person"]
    if (source is None) == (person is None):
        raise RequestError("name one to be forgotten: a source with --source, or a person with --person")
    with connect(folder, read_only=True):  # a folder that holds no results stays as it is
        pass
    # Opened for a run, so that files of chunks that a killed run left are in their places, or gone.
    with Store(folder), connect(folder, read_only=False) as db:
        db.execute("PRAGMA secure_delete = ON")
        db.execute("PRAGMA foreign_keys = ON")
        if source is not None:
            went = _forget_source(db, folder, str(source))
        else:
            assert person is not None
            went = _forget_person(db, folder, person)
        _wipe(db, folder)
    return went


def _forget_source(db: sqlite3.Connection, folder: Path, source: str) -> Forgotten:
    path = os.fsencode(Path(source).absolute())
    row = db.execute("SELECT id, name, path FROM source WHERE name = ? OR path = ?", (source, path)).fetchone()
    if row is None:
        message = f"{folder} has no source {source!r}; faceloom export {folder} --to jsonl --frames names them"
        raise RequestError(message)
    source_id, name, path = row
    (frames,) = db.execute("SELECT count(*) FROM frame WHERE source_id = ?", (source_id,)).fetchone()
    went = Forgotten(
        sources=1,
        frames=frames,
        **_count(db, "source_id = ?", (source_id,)),
        chips=_remove(folder, f"{CHIPS}/{file_name(name)}"),
        overlays=_remove(folder, f"{OVERLAYS}/{file_name(name)}"),
    )
    db.execute("BEGIN IMMEDIATE")
    Tombstones(db).add(path)
    db.execute("DELETE FROM known WHERE source = ?", (name,))
    db.execute("DELETE FROM source WHERE id = ?", (source_id,))
    _scrub(db, [name, Path(os.fsdecode(path)).name])
    db.execute("COMMIT")
    return went


def _forget_person(db: sqlite3.Connection, folder: Path, person: str) -> Forgotten:
    faces = db.execute(
        "SELECT name, frame_idx, chip, x0, y0, x1, y1 FROM face JOIN source ON source.id = source_id WHERE person = ?",
        (person,),
    ).fetchall()
    if not faces:
        names = [name for (name,) in db.execute("SELECT DISTINCT person FROM face WHERE person IS NOT NULL LIMIT 8")]
        there = f"there are {', '.join(names)}" if names else "faceloom group names them"
        raise RequestError(f"{folder} has no person {person!r}; {there}")
    overlays = {f"{OVERLAYS}/{file_name(name)}/{frame:06}.jpg" for name, frame, *_ in faces}
    went = Forgotten(
        **_count(db, "person = ?", (person,)),
        chips=sum(_remove(folder, chip) for _, _, chip, *_ in faces if chip is not None),
        overlays=sum(_remove(folder, overlay) for overlay in overlays),
    )
    db.execute("BEGIN IMMEDIATE")
    for name, frame, _, *box in faces:
        where = "source = ? AND frame_idx = ? AND abs(x0 - ?) + abs(y0 - ?) + abs(x1 - ?) + abs(y1 - ?) < 1"
        db.execute(f"DELETE FROM known WHERE {where}", (name, frame, *box))
    db.execute(
        f"UPDATE frame SET look = {NEVER} WHERE (source_id, idx) IN (SELECT source_id, frame_idx FROM face"
        " GROUP BY source_id, frame_idx HAVING sum(person IS NOT ?) = 0)",
        (person,),
    )
    db.execute("DELETE FROM face WHERE person = ?", (person,))
    db.execute("COMMIT")
    return went


def _count(db: sqlite3.Connection, where: str, values: tuple[object, ...]) -> dict[str, int]:
    query = f"SELECT count(*), count(embedding) FROM face WHERE {where}"
    faces, embeddings = db.execute(query, values).fetchone()
    (masks,) = db.execute(f"SELECT count(*) FROM mask JOIN face ON face.id = face_id WHERE {where}", values).fetchone()
    return {"faces": faces, "embeddings": embeddings, "masks": masks}


def _remove(folder: Path, told: str) -> int:
    """Removes a file, or a folder with all its files, and the folders that are empty then; says how many files went."""
    path = place_below(folder, told)
    try:
        removed = remove_below(folder, told)
        for parent in path.parents:
            if parent == folder or (parent.is_dir() and any(parent.iterdir())):
                break
            if parent.is_dir():
                parent.rmdir()
    except OSError as error:
        message = f"{path} cannot be removed ({error.strerror}); mend that and run the same command again"
        raise StoreError(message, path=path) from error
    return removed


def _scrub(db: sqlite3.Connection, names: Sequence[str]) -> None:
    """Takes the names out of what runs say of themselves."""
    for event_id, detail in db.execute("SELECT id, detail FROM event").fetchall():
        if any(name in _text(detail) for name in names):
            db.execute("DELETE FROM event WHERE id = ?", (event_id,))
    for run_id, outcome in db.execute("SELECT id, outcome FROM run WHERE outcome IS NOT NULL").fetchall():
        if any(name in str(outcome) for name in names):
            kind = str(outcome).partition(":")[0]
            db.execute("UPDATE run SET outcome = ? WHERE id = ?", (kind, run_id))


def _text(detail: str) -> str:
    try:
        told = json.loads(detail)
    except (RecursionError, TypeError, ValueError):  # nothing of ours
        return str(detail)
    return str(told.get("text", "")) if isinstance(told, dict) else detail


def _wipe(db: sqlite3.Connection, folder: Path) -> None:
    """Leaves nothing of deleted rows in the file or beside it."""
    db.execute("VACUUM")
    (is_busy, *_) = db.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchone()
    if is_busy:
        message = (
            f"the rows are gone, but another program is reading {folder}, and until it ends what they held"
            " stays in the log beside the store; end it, and run any faceloom command on the folder"
        )
        raise StoreError(message, path=folder)
