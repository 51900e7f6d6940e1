"""Sheets: chips side by side in one picture, and those of a result folder person by person."""

import heapq
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from faceloom.errors import FaceloomError, RequestError
from faceloom.faces import Image
from faceloom.results.pictures import read_small_chip
from faceloom.store.beside import new_file, refuse_full
from faceloom.store.copies import CopyKind, note_made
from faceloom.store.view import connect_corrected
from faceloom.thumbnails import to_jpeg, to_png

_NOTHING = 128
"""The grey of a place without a chip."""
_WHITE = 255
_ACROSS, _SIZE = 12, 96
_TITLE_PX, _TEXT_PX = 26, 16
_MOST_PEOPLE = 60
"""Rows of a sheet, which has 8.4 million pixels then, however many persons there are."""
_MOST_ROWS = 20
"""Of faces of which nobody knows whose they are, where there are no persons."""
_SUFFIXES = (".jpg", ".jpeg", ".png")
_LONGEST = 60
_SHOWN = "FROM face WHERE rejected IS NULL"


@dataclass(slots=True)
class _Row:
    """Some faces under a title."""

    title: str
    most: int
    """How many of them are shown."""
    best: list[tuple[float, int, str]] = field(default_factory=list)
    """Quality, the row number less than 0, and the chip, the poorest first: a heap."""

    def take(self, quality: float, number: int, chip: str) -> None:
        """Takes a face up if it is among the best."""
        push = heapq.heappush if len(self.best) < self.most else heapq.heappushpop
        push(self.best, (quality, -number, chip))

    @property
    def chips(self) -> list[str]:
        """The best first."""
        return [chip for _, _, chip in sorted(self.best, reverse=True)]


def tiled(folder: Path, chips: Sequence[str | None], *, across: int, size: int, empty: int = _NOTHING) -> Image:
    """Chips in rows of `across`, each scaled down to a square of `size` pixels; grey, or white, where there is none."""
    tiles = np.full((-(-max(1, len(chips)) // across), across, size, size, 3), empty, np.uint8)
    for place, chip in enumerate(chips):
        if chip is None:
            continue
        try:
            small = read_small_chip(folder, chip, longest=size)
        except FaceloomError:  # of one that is shown alone the reason is told
            continue
        tiles[place // across, place % across, : small.shape[0], : small.shape[1]] = small
    rows = tiles.shape[0]
    return np.ascontiguousarray(tiles.transpose(0, 2, 1, 3, 4)).reshape(rows * size, across * size, 3)


def write_sheet(folder: Path, out: Path, *, raw: bool = False, share: bool = False) -> Path:
    """Writes a contact sheet of a result folder to a new picture: a row of the best faces of each person.

    The persons with most faces come first, up to 60 of them; then those that are nobody's. Where there are no persons,
    there are up to 240 of all faces. It takes the same memory whatever the folder holds.

    Args:
        folder: a result folder with chips.
        out: a new file that ends in .jpg or .png.
        raw: whether corrections are left out.
        share: whether the umask decides who may read it; otherwise only you may.

    Raises:
        RequestError: the file is there already, has another suffix, or cannot be written; or there are no chips.
        StoreError: the folder holds no results that can be read, or the disk is full.
    """
    if out.suffix.lower() not in _SUFFIXES:
        raise RequestError(f"a sheet is a picture that ends in {', '.join(_SUFFIXES)}, and not {out}")
    picture = sheet_of(folder, most_people=_MOST_PEOPLE, raw=raw)
    if picture is None:
        raise RequestError(f"{folder} has no chips to show: it has no faces, or was made without chips")
    content = to_png(picture) if out.suffix.lower() == ".png" else to_jpeg(picture)
    try:
        with new_file(out, share=share) as part:
            part.write_bytes(content)
    except FileExistsError as error:
        raise RequestError(f"{out} is there already; name another, or remove it") from error
    except OSError as error:
        refuse_full(error, out)
        raise RequestError(f"{out} cannot be written: {error.strerror}") from error
    note_made(folder, CopyKind.EXPORT, out)  # which forgetting will name
    return out


def sheet_of(folder: Path, *, most_people: int, raw: bool = False) -> Image | None:
    """A contact sheet as a picture (H, 1152, 3), of so many persons at most; None where there is no chip.

    Raises:
        StoreError: the folder holds no results that can be read.
    """
    rows = [row for row in _rows(folder, most_people=most_people, raw=raw) if row.best]
    if not rows:
        return None
    return np.concatenate([part for row in rows for part in (_title(row.title), _faces(folder, row))])


def _rows(folder: Path, *, most_people: int, raw: bool) -> list[_Row]:
    """What is shown of a result folder, of which the faces are gone through once."""
    with connect_corrected(folder, raw=raw) as db:
        db.execute("BEGIN")  # one state of the store, whatever a run writes meanwhile
        query = f"SELECT person, count(*) {_SHOWN} GROUP BY person ORDER BY count(*) DESC, length(person), person"
        counts = [(str(person) if person else None, int(count)) for person, count in db.execute(query)]
        people = [(name, count) for name, count in counts if name is not None]
        rows: dict[str | None, _Row] = {
            name: _Row(f"{name}: {_faces_in_words(count)}", _ACROSS) for name, count in people[:most_people]
        }
        others = sum(count for name, count in counts if name is None)
        rows[None] = _Row(
            f"{'nobody: ' * bool(people)}{_faces_in_words(others)}",
            _ACROSS if people else _ACROSS * min(most_people, _MOST_ROWS),
        )
        _take_best(db.execute(f"SELECT id, person, coalesce(quality, score), chip {_SHOWN} AND chip IS NOT NULL"), rows)
    return list(rows.values())


def _take_best(found: Iterable[tuple[Any, ...]], rows: Mapping[str | None, _Row]) -> None:
    for number, person, quality, chip in found:
        row = rows.get(person or None)
        if row is not None:
            row.take(float(quality), int(number), str(chip))


def _faces_in_words(count: int) -> str:
    return f"{count:,} face{'s' * (count != 1)}"


def _faces(folder: Path, row: _Row) -> Image:
    return tiled(folder, row.chips, across=_ACROSS, size=_SIZE, empty=_WHITE)


def _title(text: str) -> Image:
    """A line of text as a picture as wide as a row."""
    from PIL import Image as PillowImage
    from PIL import ImageDraw, ImageFont

    line = PillowImage.new("RGB", (_ACROSS * _SIZE, _TITLE_PX), "white")
    short = text if len(text) <= _LONGEST else f"...{text[-_LONGEST:]}"
    ImageDraw.Draw(line).text((6, 3), short, fill="black", font=ImageFont.load_default(_TEXT_PX))
    return np.asarray(line, np.uint8)
