"""Laying out: chips under names that tell their place, as copies or links, with a list of them; or the list alone."""

import csv
import json
import os
import shutil
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TextIO

from faceloom.choices import Laid
from faceloom.errors import RequestError, StoreError
from faceloom.formats.csv import guarded
from faceloom.media.sources import printable
from faceloom.store.beside import entries_of, new_file, new_folder, refuse_full
from faceloom.store.copies import MARK, CopyKind, identity_of, note_made
from faceloom.store.database import connect
from faceloom.store.places import file_below
from faceloom.store.privacy import make_folder, opener

_SUFFIXES = (".jsonl", ".csv")
_LONGEST = 40
"""Characters of names, each of which may take four bytes of the 255 that there are."""


@dataclass(frozen=True, slots=True, kw_only=True)
class LaidFace:
    """A face in its place."""

    folder: str
    """Below the folder that is filled; empty for the folder itself."""
    name: str
    """Of the file, without its suffix."""
    chip: str | None
    """Path below the result folder."""
    told: Mapping[str, Any]
    """What the list says of it; the place of its file comes before that."""

    @property
    def file(self) -> str | None:
        """The path of its file below the folder."""
        if self.chip is None:
            return None
        return f"{self.folder}/".lstrip("/") + self.name + Path(self.chip).suffix


@dataclass(frozen=True, slots=True, kw_only=True)
class Laying:
    """Where faces are laid, and how."""

    out: Path
    laid: Laid
    list_name: str
    """The list in a folder, without its suffix."""
    replace: bool = False
    """Whether a folder goes that was made in the same way before."""
    share: bool = False


def file_stem(source: str, frame: int, index: int) -> str:
    """How the name of a chip's copy ends: readable, whatever the source is called."""
    return f"{printable(Path(source).stem)[:_LONGEST]}_{frame:06}_{index}"


def require_room(folder: Path, laying: Laying) -> None:
    """Refuses a place at which something is that is not to be replaced.

    Raises:
        RequestError: there is.
    """
    out = laying.out
    if laying.laid is Laid.LIST:
        if out.suffix not in _SUFFIXES:
            raise RequestError(f"a list is a file that ends in {' or '.join(_SUFFIXES)}, and not {out}")
        if os.path.lexists(out) and not (laying.replace and out.is_file() and not out.is_symlink()):
            raise RequestError(f"{out} is there already; name another, remove it, or add --replace")
        return
    if out.resolve() == folder.resolve():
        raise RequestError(f"{out} is the result folder itself; name another with --out")
    if os.path.lexists(out) and not out.is_dir():
        raise RequestError(f"{out} is no folder; name a new one with --out")
    if out.is_dir() and entries_of(out):
        if not laying.replace:
            raise RequestError(f"{out} is not empty; name a new folder with --out, or add --replace")
        _require_own(folder, laying)


def _require_own(folder: Path, laying: Laying) -> None:
    """Refuses a folder that holds anything besides what was laid there of this result folder before."""
    out = laying.out
    with connect(folder, read_only=True) as db:
        identity = identity_of(db)
    try:
        is_own = identity is not None and (out / MARK).read_text(encoding="utf-8").strip() == identity
        listed = next((out / f"{laying.list_name}{suffix}" for suffix in _SUFFIXES if is_own), None)
        lines = [] if listed is None else listed.read_text(encoding="utf-8").splitlines()
        known = {str(json.loads(line)["file"]) for line in lines} | {MARK, "" if listed is None else listed.name}
    except (OSError, ValueError, LookupError, TypeError):
        is_own, known = False, set()
    if not is_own:
        raise RequestError(f"{out} was not made of {folder} in this way, so it is not replaced; name a new folder")
    for above, _, names in os.walk(out):
        for name in names:
            place = (Path(above) / name).relative_to(out).as_posix()
            if place not in known:
                raise RequestError(f"{out} holds {place}, which is not of an earlier call, so it is not replaced")


def lay(folder: Path, places: Iterable[LaidFace], laying: Laying) -> int:
    """Lays faces out, in a folder or file that has its name only when it is whole; how many there are.

    Raises:
        RequestError: it cannot be written, or a face has no chip.
        StoreError: a chip cannot be read, or the disk is full.
    """
    try:
        if laying.laid is Laid.LIST:
            return _lay_list(folder, places, laying)
        return _lay_folder(folder, places, laying)
    except FileExistsError as error:
        raise RequestError(f"{laying.out} is there already; name another, or remove it") from error
    except OSError as error:
        refuse_full(error, laying.out)
        raise RequestError(f"{laying.out} cannot be written: {error.strerror}") from error


def write_lines(file: TextIO, lines: Iterable[Mapping[str, Any]]) -> int:
    """Writes lines of JSON; how many."""
    count = 0
    for count, line in enumerate(lines, start=1):  # noqa: B007  # it is the answer
        file.write(json.dumps(line, ensure_ascii=False, separators=(",", ":")) + "\n")
    return count


def _lay_list(folder: Path, places: Iterable[LaidFace], laying: Laying) -> int:
    if laying.replace:
        laying.out.unlink(missing_ok=True)
    with new_file(laying.out, share=laying.share) as part, part.open("w", encoding="utf-8", newline="") as file:
        lines = ({"chip": place.chip, **place.told} for place in places)
        count = write_rows(file, lines) if laying.out.suffix == ".csv" else write_lines(file, lines)
    note_made(folder, CopyKind.EXPORT, laying.out)  # which forgetting will name
    return count


def write_rows(file: TextIO, lines: Iterable[Mapping[str, Any]]) -> int:
    """Writes rows of CSV below the names of the first; how many."""
    writer = None
    count = 0
    for count, line in enumerate(lines, start=1):  # noqa: B007  # it is the answer
        if writer is None:
            writer = csv.writer(file, lineterminator="\n")
            writer.writerow(line)
        writer.writerow([_cell(value) for value in line.values()])
    return count


def _cell(value: Any) -> Any:
    if value is None:
        return ""
    return guarded(value) if isinstance(value, str) else value


def _lay_folder(folder: Path, places: Iterable[LaidFace], laying: Laying) -> int:
    out, share = laying.out, laying.share
    make_folder(out.parent, share=share)
    identity = note_made(folder, CopyKind.PEOPLE, out)  # before anything is there that forgetting would have to find
    with new_folder(out, share=share) as part:
        if identity is not None:  # else the result folder is another's, who cannot forget in here
            with open(part / MARK, "x", encoding="utf-8", opener=opener(share=share)) as mark:  # Path.open has none
                mark.write(f"{identity}\n")
        listed = part / f"{laying.list_name}.jsonl"
        with open(listed, "x", encoding="utf-8", opener=opener(share=share)) as file:
            count = write_lines(file, _laid(folder, places, laying, part))
        if laying.replace and out.is_dir():
            shutil.rmtree(out)
    return count


def _laid(folder: Path, places: Iterable[LaidFace], laying: Laying, part: Path) -> Iterator[dict[str, Any]]:
    """Lays one face after the other, and gives what the list says of it."""
    for place in places:
        if place.chip is None or place.file is None:
            raise RequestError(f"{folder} has no chips to lay out: it was made without them; add --as list")
        chip, to = file_below(folder, place.chip), part / place.file
        make_folder(to.parent, share=laying.share)
        if laying.laid is Laid.LINKS:
            target = (laying.out / place.file).parent.absolute()
            to.symlink_to(os.path.relpath(chip.resolve(), os.path.realpath(target)))
        else:
            _copy(folder, chip, to, share=laying.share)
        yield {"file": place.file, **place.told}


def _copy(folder: Path, chip: Path, to: Path, *, share: bool) -> None:
    try:
        file = chip.open("rb")
    except OSError as error:
        message = f"the chip {chip} cannot be read ({error.strerror}); faceloom check {folder} tells what is missing"
        raise StoreError(message, path=chip) from error
    with file, open(to, "xb", opener=opener(share=share)) as copied:
        shutil.copyfileobj(file, copied)
