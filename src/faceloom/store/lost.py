"""Lost faces: those that are to be forgotten, in the store, in the result folder, and in folders of persons."""

import json
import os
import sqlite3
import unicodedata
from collections.abc import Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from faceloom.errors import MediaError, RequestError, StoreError
from faceloom.media.chip_files import read_chip_metadata
from faceloom.store.beside import part_of
from faceloom.store.copies import MARK, PICKED, SORTED
from faceloom.store.folder import CHIPS, OVERLAYS, file_name
from faceloom.store.privacy import opener
from faceloom.store.spelling import spellings
from faceloom.store.view import looking_through

_FACES = (
    "SELECT face.id, name, frame_idx, idx, chip, x0, y0, x1, y1 FROM face JOIN source ON source.id = source_id WHERE"
)


@dataclass(frozen=True, slots=True, kw_only=True)
class LostFaces:
    """Faces of a result folder that are to be forgotten, with their source or of a person."""

    name: str = ""
    """Of the source; nothing where only faces go."""
    path: bytes = b""
    source_id: int | None = None
    frames: int = 0
    condition: str
    """SQL that holds for their rows in the table face."""
    values: tuple[Any, ...] = ()
    places: frozenset[tuple[str, int, int]] = frozenset()
    """Source, frame and index of each."""
    boxes: tuple[tuple[Any, ...], ...] = ()
    """Source, frame and box of each."""
    chips: frozenset[str] = frozenset()
    """Files below the result folder, or a folder of all of them, as the store tells them."""
    overlays: frozenset[str] = frozenset()
    links: frozenset[str] = frozenset()
    """How what links to their chips ends."""

    def are_told_of_in(self, told: dict[str, Any]) -> bool:
        """Whether the metadata of a chip is that of one of them."""
        if self.source_id is not None:
            return told.get("source") == self.name
        return (told.get("source"), told.get("frame"), told.get("index")) in self.places


def select_source(db: sqlite3.Connection, folder: Path, source: Path) -> LostFaces:
    """The faces of a source that is named as exports name it, or by the path of its file, however that is spelled.

    Raises:
        RequestError: there is none.
    """
    name = str(source)
    # Typed here with its accents in one form, named elsewhere in another.
    forms = unicodedata.normalize("NFC", name), unicodedata.normalize("NFD", name)
    query = "SELECT id, name, path FROM source WHERE name IN (?, ?, ?) OR path IN (?, ?) ORDER BY name != ? LIMIT 1"
    row = db.execute(query, (name, *forms, *spellings(source), name)).fetchone()
    if row is None:
        message = f"{folder} has no source {str(source)!r}; faceloom export {folder} --to jsonl --frames names them"
        raise RequestError(message)
    return _of_source(db, folder, *row)


def select_person(db: sqlite3.Connection, folder: Path, person: str) -> LostFaces:
    """The faces of a person, whose they are as they are corrected.

    Raises:
        RequestError: there is none of that name.
    """
    with looking_through(db):
        numbers = db.execute("SELECT id FROM face WHERE person = ? ORDER BY id", (person,)).fetchall()
        refusal = None if numbers else no_such_person(db, folder, person)
    numbers = sorted({*numbers, *_filling_gaps(db, numbers)})
    lost = _of_faces(folder, [row for number in numbers for row in db.execute(f"{_FACES} face.id = ?", number)])
    if lost is None:
        raise refusal or no_such_person(db, folder, person)
    return lost


def _filling_gaps(db: sqlite3.Connection, numbers: Sequence[tuple[int]]) -> set[tuple[int]]:
    """The faces that fill gaps of the tracks of these, and of which nothing else says whose they are."""
    of_face = "SELECT source_id, track FROM main.face WHERE id = ? AND track IS NOT NULL"
    tracks = {track for number in numbers for track in db.execute(of_face, number)}
    filling = "SELECT id FROM main.face WHERE source_id = ? AND track = ? AND mark IS NOT NULL AND person IS NULL"
    return {number for track in tracks for number in db.execute(filling, track)}


def no_such_person(db: sqlite3.Connection, folder: Path, person: str) -> RequestError:
    """What is said where somebody who is not there is to be forgotten, with some who are, as the store shows them."""
    names = [name for (name,) in db.execute("SELECT DISTINCT person FROM face WHERE person IS NOT NULL LIMIT 8")]
    there = f"there are {', '.join(names)}" if names else "faceloom group names them"
    return RequestError(f"{folder} has no person {person!r}; {there}")


def select_again(db: sqlite3.Connection, folder: Path, lost: LostFaces) -> LostFaces | None:
    """The same faces in a derived result folder; None if it has none of them."""
    if lost.source_id is not None:
        row = db.execute("SELECT id, name, path FROM source WHERE name = ?", (lost.name,)).fetchone()
        return None if row is None else _of_source(db, folder, *row)
    query = f"{_FACES} name = ? AND frame_idx = ? AND idx = ?"
    return _of_faces(folder, [row for place in sorted(lost.places) for row in db.execute(query, place)])


def _of_source(db: sqlite3.Connection, folder: Path, source_id: int, name: str, path: bytes) -> LostFaces:
    (frames,) = db.execute("SELECT count(*) FROM frame WHERE source_id = ?", (source_id,)).fetchone()
    below = file_name(name)
    return LostFaces(
        name=name,
        path=path,
        source_id=source_id,
        frames=frames,
        condition="source_id = ?",
        values=(source_id,),
        chips=frozenset([f"{CHIPS}/{below}"]),
        overlays=frozenset([f"{OVERLAYS}/{below}"]),
        links=frozenset([f"/{CHIPS}/{below}/"]),
    )


def _of_faces(folder: Path, rows: list[tuple[Any, ...]]) -> LostFaces | None:
    if not rows:
        return None
    overlays = [f"{OVERLAYS}/{file_name(name)}" for _, name, *_ in rows]
    of_frames = {f"{below}/{row[2]:06}.jpg" for below, row in zip(overlays, rows, strict=True)}
    of_chips = {f"{below}/{row[2]:06}_{row[3]}.jpg" for below, row in zip(overlays, rows, strict=True)}
    chips = [row[4] for row in rows if row[4] is not None]
    return LostFaces(
        condition=f"face.id IN ({', '.join(str(int(row[0])) for row in rows)})",
        places=frozenset((row[1], row[2], row[3]) for row in rows),
        boxes=tuple((row[1], row[2], *row[5:]) for row in rows),
        chips=frozenset(chips),
        overlays=frozenset(of_frames | of_chips),
        links=frozenset(f"/{chip}" for chip in chips),
    )


def forget_in_people(folder: Path, lost: LostFaces, identity: str | None) -> int:
    """Removes links to the chips of faces, and copies of them, from a folder of persons; how many went.

    Raises:
        StoreError: the folder is not there, or is not the one that was made.
    """
    found = [place for place in (folder, part_of(folder)) if _is_marked(place, identity)]
    if not found:
        why = "is another folder now" if folder.is_dir() else "is not there any more; if it was moved, it holds this"
        raise StoreError(f"the folder of persons {why}", path=folder)
    return sum(_remove_from(place, lost) for place in found)


def _is_marked(folder: Path, identity: str | None) -> bool:
    mark = folder / MARK
    try:
        return identity is not None and not mark.is_symlink() and mark.read_text().strip() == identity
    except (OSError, ValueError):
        return False


def _remove_from(folder: Path, lost: LostFaces) -> int:
    for name in (PICKED, SORTED):
        _remove_lines(folder / f"{name}.jsonl", lost)
    files = [path for path in _files_of(folder) if _tells_of(path, lost)]
    for path in files:
        path.unlink()
        with suppress(OSError):  # others are in it
            path.parent.rmdir()
    return len(files)


def _remove_lines(listed: Path, lost: LostFaces) -> None:
    """Removes the lines of faces from the list of a folder, if it has one."""
    if listed.is_symlink() or not listed.is_file():
        return
    with listed.open(encoding="utf-8") as file:
        kept = [line for line in file if not lost.are_told_of_in(json.loads(line))]
    part = listed.with_name(f"{listed.name}.part")
    with open(part, "w", encoding="utf-8", opener=opener()) as file:
        file.writelines(kept)
    part.chmod(listed.stat().st_mode & 0o777)
    part.rename(listed)


def _files_of(folder: Path) -> Iterator[Path]:
    for above, _, names in os.walk(folder):  # links to folders are not followed
        yield from (Path(above) / name for name in sorted(names))


def _tells_of(path: Path, lost: LostFaces) -> bool:
    if path.is_symlink():
        target = path.readlink().as_posix()
        return any(target.endswith(end) or (end.endswith("/") and end in target) for end in lost.links)
    try:
        return lost.are_told_of_in(read_chip_metadata(path))
    except (MediaError, OSError):
        return False
