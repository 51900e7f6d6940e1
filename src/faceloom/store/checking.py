"""Checking: whether a result folder is whole, and what a run would make again."""

import os
import sqlite3
from collections.abc import Iterator
from contextlib import closing, suppress
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from faceloom.errors import DamagedStoreError, ForeignSchemaError, MediaError, StoreError
from faceloom.media.chip_files import is_whole, read_chip_metadata
from faceloom.options.outputs import CHIP_SIZE
from faceloom.options.stages import PathLike
from faceloom.store.chips import ChipPaths
from faceloom.store.configuration import SMOOTH, config_in
from faceloom.store.corrections import Verb, select_corrections, unsound_corrections
from faceloom.store.database import APPLICATION_ID, SCHEMA_VERSION, connect, create_schema
from faceloom.store.folder import DATABASE, LOCK, OVERLAYS, PENDING
from faceloom.store.places import file_below
from faceloom.store.scratch import SCRATCH
from faceloom.store.soundness import DAMAGE
from faceloom.store.view import found_again

_SIDE_FILES = frozenset([DATABASE, f"{DATABASE}-wal", f"{DATABASE}-shm", f"{DATABASE}-journal", LOCK, PENDING, SCRATCH])
_TOLERANCE_PX = 0.01  # chips say their boxes rounded


@dataclass(frozen=True, slots=True, kw_only=True)
class Flaw:
    """Something of a result folder that is not as it should be."""

    kind: str
    """database, schema, orphan, leftover, missing, damaged or other: a chip that tells of another face."""
    what: str
    """The file, below the folder."""
    detail: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Checked:
    """What checking a result folder has found."""

    flaws: tuple[Flaw, ...]
    chips: int
    """How many were looked at."""
    frames_again: int
    """Whose chips the same command would make again."""
    frames_pending: int
    """That the same command would do for the first time."""

    def to_json(self) -> dict[str, Any]:
        """Gives it as `check --json` prints it."""
        return asdict(self)


def check(folder: PathLike) -> Checked:
    """Verifies a result folder: its database and schema, its files, and what its chips say of themselves.

    Nothing is changed. Chips that are not there or not whole are made again by the command that made the folder.

    Args:
        folder: a result folder; a run that is writing to it is no reason not to check it, but may be a flaw.

    Raises:
        StoreError: the folder holds no results.
    """
    folder = Path(folder)
    try:
        with connect(folder, read_only=True) as db:
            return _checked(db, folder)
    except StoreError as error:
        if not _is_damage(error):
            raise
        kind = "schema" if isinstance(error, ForeignSchemaError) else "database"
        flaw = Flaw(kind=kind, what=DATABASE, detail=str(error))
        return Checked(flaws=(flaw,), chips=0, frames_again=0, frames_pending=0)


def _is_damage(error: StoreError) -> bool:
    cause = error.__cause__
    is_broken = isinstance(cause, sqlite3.DatabaseError) and not isinstance(cause, sqlite3.OperationalError)
    return is_broken or isinstance(error, DamagedStoreError)


def _checked(db: sqlite3.Connection, folder: Path) -> Checked:
    flaws = [*_of_database(db), *_of_schema(db)]
    if flaws:  # what its rows say counts for nothing
        return Checked(flaws=tuple(flaws), chips=0, frames_again=0, frames_pending=0)
    lost: set[tuple[str, int]] = set()
    paths, chips, odd = ChipPaths(db), 0, set[str]()
    for chip, flaw, number, frame in _of_chips(db, folder):
        chips += 1
        if paths.face(chip) != number:
            odd.add(chip)
        if flaw:
            flaws.append(flaw)
            if flaw.kind != "other" and not is_whole(folder / chip):
                lost.add(frame)
    flaws += sorted(_of_files(db, folder, odd), key=lambda flaw: (flaw.kind == "orphan", flaw.what))
    flaws += [Flaw(kind="database", what=DATABASE, detail=text) for text in unsound_corrections(db)]
    (pending,) = db.execute("SELECT count(*) FROM frame WHERE status = 'pending'").fetchone()
    return Checked(flaws=tuple(flaws), chips=chips, frames_again=len(lost), frames_pending=pending)


def _of_database(db: sqlite3.Connection) -> Iterator[Flaw]:
    for (answer,) in db.execute("PRAGMA integrity_check").fetchall():
        if answer != "ok":
            yield Flaw(kind="database", what=DATABASE, detail=str(answer))
    for table, row, parent, _ in db.execute("PRAGMA foreign_key_check").fetchall():
        yield Flaw(kind="database", what=DATABASE, detail=f"row {row} of {table} has no {parent}")


def _of_schema(db: sqlite3.Connection) -> Iterator[Flaw]:
    """What a new store has that this one lacks or has otherwise, and the reverse."""
    with closing(sqlite3.connect(":memory:", isolation_level=None)) as new:
        create_schema(new)
        expected = _shape_of(new)
    found = _shape_of(db)
    for name in sorted(expected.keys() | found.keys()):
        if name not in found:
            yield Flaw(kind="schema", what=DATABASE, detail=f"{name} is missing")
        elif name not in expected:
            yield Flaw(kind="schema", what=DATABASE, detail=f"{name} is none of ours")
        elif found[name] != expected[name]:
            yield Flaw(kind="schema", what=DATABASE, detail=f"{name} is not as faceloom makes it")
    marks = [db.execute(f"PRAGMA {mark}").fetchone()[0] for mark in ("application_id", "user_version")]
    if marks != [APPLICATION_ID, SCHEMA_VERSION]:
        yield Flaw(kind="schema", what=DATABASE, detail=f"its marks are {marks}")


def _shape_of(db: sqlite3.Connection) -> dict[str, Any]:
    """Kind, and columns with their types, of everything in a schema but what SQLite makes itself."""
    query = "SELECT type, name FROM sqlite_master WHERE name NOT LIKE 'sqlite_%'"
    there = db.execute(query).fetchall()
    return {
        f"{kind} {name}": sorted(
            (column, type_, required) for _, column, type_, required, *_ in db.execute(f'PRAGMA table_info("{name}")')
        )
        for kind, name in ((kind, str(name).replace('"', '""')) for kind, name in there)
    }


def _of_chips(db: sqlite3.Connection, folder: Path) -> Iterator[tuple[str, Flaw | None, int, tuple[str, int]]]:
    """Every chip that the store names, what is wrong with it, the row number of its face, and its frame."""
    query = (
        "SELECT face.id, chip, name, frame_idx, idx, x0, y0, x1, y1 FROM face JOIN source ON source.id = source_id"
        " WHERE chip IS NOT NULL ORDER BY name, frame_idx, idx"
    )
    moved = _moved_boxes(db)
    for number, chip, name, frame, index, *box in db.execute(query):
        boxes = [box, *moved.get(number, ())]
        yield chip, _flaw_of(folder, chip, (name, frame, index), boxes), number, (name, frame)


def _moved_boxes(db: sqlite3.Connection) -> dict[int, list[list[float]]]:
    """Where corrections put faces, and where they are steady, which chips tell that were cut since then."""
    moved: dict[int, list[list[float]]] = {}
    with suppress(*DAMAGE):  # told of as flaws of their own
        if config_in(db).get(SMOOTH):
            moved = {number: [box] for number, *box in db.execute("SELECT face_id, x0, y0, x1, y1 FROM steady")}
        for said in select_corrections(db):
            if said.verb is Verb.BOX:
                for number in found_again(db, said).values():
                    moved.setdefault(number, []).append(said.after)
    return moved


def _flaw_of(folder: Path, chip: str, place: tuple[str, int, int], boxes: list[list[float]]) -> Flaw | None:
    try:
        path = file_below(folder, chip)
    except StoreError as error:
        return Flaw(kind="other", what=str(chip), detail=str(error))
    if not path.is_file():
        return Flaw(kind="missing", what=chip, detail="is not there")
    if not is_whole(path):
        return Flaw(kind="damaged", what=chip, detail="is not whole")
    try:
        told = read_chip_metadata(path)
        _decode(path)
    except (MediaError, OSError, ValueError, SyntaxError) as error:
        return Flaw(kind="damaged", what=chip, detail=str(error))
    is_there = any(_is_near(told.get("box"), box) for box in boxes)
    if (told.get("source"), told.get("frame"), told.get("index")) != place or not is_there:
        return Flaw(kind="other", what=chip, detail="tells of another face than the store")
    return None


def _decode(path: Path) -> None:
    from PIL import Image as PillowImage

    with PillowImage.open(path) as picture:
        if max(picture.size) > CHIP_SIZE.most:
            raise MediaError(f"is {picture.width} x {picture.height} pixels, more than a chip has", path=path)
        picture.load()


def _is_near(told: Any, box: list[float]) -> bool:
    try:
        return all(abs(float(one) - other) <= _TOLERANCE_PX for one, other in zip(told, box, strict=True))
    except (TypeError, ValueError):
        return False


def _of_files(db: sqlite3.Connection, folder: Path, odd: set[str]) -> Iterator[Flaw]:
    """Files that no row names, and what runs that were killed have left; of some chips, the names are odd."""
    if (folder / PENDING).is_dir():
        yield Flaw(kind="leftover", what=PENDING, detail="of a run that was killed, or is going on")
    paths = ChipPaths(db)
    for below in _files_below(folder, Path()):
        top = below.parts[0]
        if top in _SIDE_FILES or str(below) in odd or paths.face(str(below)) is not None:
            continue
        if top != OVERLAYS or not paths.is_source(str(Path(*below.parts[1:-1]))):
            yield Flaw(kind="orphan", what=str(below), detail="no row names it")


def _files_below(folder: Path, below: Path) -> Iterator[Path]:
    """All that is no folder, one after the other, in no order: there may be a million."""
    with os.scandir(folder / below) as entries:
        for entry in entries:
            path = below / entry.name
            if entry.is_dir(follow_symlinks=False):
                if path.parts[0] not in _SIDE_FILES:
                    yield from _files_below(folder, path)
            else:
                yield path
