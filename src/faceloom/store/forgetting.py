"""Forgetting: what was found in a source, or of a person, really goes, from the store's file and the folder.

Rows are overwritten where they stood (`secure_delete`), the file is written anew without free pages, and the
write-ahead log is emptied. Files go before rows, so that an end at any moment leaves nothing that a second try does not
find.
"""

import json
import os
import sqlite3
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any, Unpack

from faceloom.errors import FaceloomError, RequestError, StoreError
from faceloom.options.calls import ForgetOptions
from faceloom.options.keywords import takes
from faceloom.options.stages import PathLike
from faceloom.store.again import NEVER
from faceloom.store.columns import MASK_TABLES
from faceloom.store.copies import CopyKind, copies_of, identity_of, origin_of
from faceloom.store.corrections import select_corrections
from faceloom.store.database import connect, transaction
from faceloom.store.folder import DATABASE
from faceloom.store.forgotten_corrections import forget_corrections
from faceloom.store.lost import LostFaces, forget_in_people, select_again, select_person, select_source
from faceloom.store.places import place_below, remove_below
from faceloom.store.soundness import sound
from faceloom.store.spelling import true_path
from faceloom.store.store import Store
from faceloom.store.tombstones import Tombstones
from faceloom.store.unfinished import Unfinished


@dataclass(frozen=True, slots=True, kw_only=True)
class Forgotten:
    """What was removed from a result folder and its copies, in numbers, and what could not be reached."""

    sources: int = 0
    frames: int = 0
    faces: int = 0
    masks: int = 0
    embeddings: int = 0
    chips: int = 0
    overlays: int = 0
    corrections: int = 0
    """Said of nothing else."""
    copied_files: int = 0
    """Chips and overlays in folders of persons, and in derived result folders."""
    unreachable: tuple[str, ...] = ()
    """Exports, and copies that could not be looked into, and why."""

    def to_json(self) -> dict[str, Any]:
        """Gives it as `forget --json` prints it."""
        return {**asdict(self), "unreachable": list(self.unreachable)}


@takes(ForgetOptions)
def forget(folder: PathLike, **options: Unpack[ForgetOptions]) -> Forgotten:
    """Removes everything that a result folder holds of a source, or of a person; it cannot be undone.

    It goes from the copies too that were made of the folder: folders of persons, and derived result folders. Killed at
    any moment, the same call finishes it.

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
    request = _request(source, person)
    with connect(folder, read_only=True):  # a folder that holds no results stays as it is
        pass
    with _opened(folder) as db:
        answer = _finish(db, folder, request)
        if answer is not None:
            return answer
        if source is not None:
            lost = select_source(db, folder, Path(source))
        else:
            assert person is not None
            with sound(folder):
                lost = select_person(db, folder, person)
        return _forget(db, folder, lost, request)


def _request(source: PathLike | None, person: str | None) -> str:
    return f"source {source}" if source is not None else f"person {person}"


def is_half_done(folder: Path, *, person: str) -> bool:
    """Whether this person was being forgotten when something ended it, so that only what is left has to go.

    Raises:
        StoreError: the folder holds no results.
    """
    with connect(folder, read_only=True) as db:
        return Unfinished(db).answer_to(_request(None, person)) is not None


@contextmanager
def _opened(folder: Path) -> Iterator[sqlite3.Connection]:
    """The store as for a run, so that files of chunks that a killed run left are in their places, or gone."""
    with Store(folder), connect(folder, read_only=False) as db:
        db.execute("PRAGMA secure_delete = ON")
        db.execute("PRAGMA foreign_keys = ON")
        yield db


def _finish(db: sqlite3.Connection, folder: Path, request: str) -> Forgotten | None:
    """Ends what a kill has left to be done; what went, if it was this request."""
    unfinished = Unfinished(db)
    if not unfinished.is_there:
        return None
    answer = unfinished.answer_to(request)
    _wipe(db, folder)
    unfinished.end()
    if answer is None:
        return None
    return Forgotten(**{**answer, "unreachable": tuple(answer["unreachable"])})


def _forget(
    db: sqlite3.Connection, folder: Path, lost: LostFaces, request: str, *, within: tuple[Path, ...] = ()
) -> Forgotten:
    """Removes what is selected from the copies, then from the folder, then from the store."""
    with sound(folder):  # before anything goes
        for _ in select_corrections(db):
            pass
    removed, unreachable = _forget_copies(db, folder, lost, request, (*within, folder.resolve()))
    went = Forgotten(
        sources=int(lost.source_id is not None),
        frames=lost.frames,
        **_count(db, lost.condition, lost.values),
        chips=sum(_remove(folder, path) for path in lost.chips),
        overlays=sum(_remove(folder, path) for path in lost.overlays),
        copied_files=removed,
        unreachable=tuple(unreachable),
    )
    with transaction(db):
        with sound(folder):
            went = replace(went, corrections=forget_corrections(db, lost))
        if lost.source_id is not None:
            _delete_source(db, lost)
        else:
            _delete_faces(db, lost)
        Unfinished(db).begin(request, went.to_json())
    _wipe(db, folder)
    Unfinished(db).end()
    return went


def _delete_source(db: sqlite3.Connection, lost: LostFaces) -> None:
    tombstones = Tombstones(db)
    for path in {lost.path, os.fsencode(true_path(Path(os.fsdecode(lost.path))))}:
        tombstones.add(path)
    db.execute("DELETE FROM known WHERE source = ?", (lost.name,))
    db.execute("DELETE FROM source WHERE id = ?", (lost.source_id,))
    _scrub(db, [lost.name, Path(os.fsdecode(lost.path)).name])


def _delete_faces(db: sqlite3.Connection, lost: LostFaces) -> None:
    for name, frame, *box in lost.boxes:
        where = "source = ? AND frame_idx = ? AND abs(x0 - ?) + abs(y0 - ?) + abs(x1 - ?) + abs(y1 - ?) < 1"
        db.execute(f"DELETE FROM known WHERE {where}", (name, frame, *box))
    db.execute(
        f"UPDATE frame SET look = {NEVER} WHERE (source_id, idx) IN (SELECT source_id, frame_idx FROM face"
        f" GROUP BY source_id, frame_idx HAVING sum(NOT coalesce({lost.condition}, 0)) = 0)",
        lost.values,
    )
    db.execute(f"DELETE FROM face WHERE {lost.condition}", lost.values)


def _forget_copies(
    db: sqlite3.Connection, folder: Path, lost: LostFaces, request: str, within: tuple[Path, ...]
) -> tuple[int, list[str]]:
    """Removes what is selected from every copy that can be reached: how many files went, and what cannot be."""
    removed = 0
    unreachable: list[str] = []
    identity = identity_of(db)
    for copy in copies_of(db):
        if copy.path in within:
            continue
        try:
            if isinstance(copy.path, str):
                unreachable.append(f"{copy.path}: this was made of it and may hold it; remove it, and make it again")
            elif copy.kind is CopyKind.EXPORT:
                unreachable.append(_of_export(copy.path))
            elif copy.kind is CopyKind.PEOPLE:
                removed += forget_in_people(copy.path, lost, identity)
            else:
                went = _forget_in_derived(copy.path, lost, identity, request, within)
                removed += went.chips + went.overlays + went.copied_files
                unreachable += went.unreachable
        except (FaceloomError, OSError) as error:
            unreachable.append(f"{copy.path}: {error}")
    return removed, unreachable


def _of_export(path: Path) -> str:
    """What is said of what other programs read."""
    if os.path.lexists(path):
        return f"{path}: this was made of it and may hold it; remove it, and make it again"
    return f"{path}: this was made of it and is not there any more; if it was moved, it may hold it"


def _forget_in_derived(
    path: Path, lost: LostFaces, identity: str | None, request: str, within: tuple[Path, ...]
) -> Forgotten:
    if not (path / DATABASE).is_file():
        raise StoreError("the derived folder is not there any more; if it was moved, it still holds this", path=path)
    with connect(path, read_only=True) as db:
        if identity is None or origin_of(db) != identity:
            raise StoreError("this is another folder now than the one that was derived", path=path)
    with _opened(path) as db:
        _finish(db, path, request)
        again = select_again(db, path, lost)
        return Forgotten() if again is None else _forget(db, path, again, request, within=within)


def _count(db: sqlite3.Connection, where: str, values: tuple[object, ...]) -> dict[str, int]:
    query = f"SELECT count(*), count(embedding) FROM face WHERE {where}"
    faces, embeddings = db.execute(query, values).fetchone()
    masks = 0
    for table in MASK_TABLES:
        query = f"SELECT count(*) FROM {table} JOIN face ON face.id = face_id WHERE {where}"
        masks += db.execute(query, values).fetchone()[0]
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
