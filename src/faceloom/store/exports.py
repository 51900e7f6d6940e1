"""What is written from a store, in any format."""

import itertools
import os
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any, TextIO

from faceloom.attributes import ATTRIBUTES, Kind, Part
from faceloom.errors import RequestError, StoreError
from faceloom.formats import csv, jsonl
from faceloom.formats.record import Format, Piece
from faceloom.formats.registry import format_to_write
from faceloom.media.sources import SourceKind
from faceloom.media.stored_xmp import orientation_of_file
from faceloom.store.beside import new_file, new_folder
from faceloom.store.places import file_below, place_below
from faceloom.store.privacy import make_folder, opener
from faceloom.store.reading import read_frames, stored_frames
from faceloom.store.view import connect_corrected
from faceloom.units import MIB, format_bytes

_FRAME_FORMATS: Mapping[str, Callable[[Iterator[dict[str, Any]]], Iterator[Piece]]] = {
    "jsonl": jsonl.write_lines,
    "csv": csv.write_rows,
}
_QUESTIONS: Mapping[Part, str] = {
    Part.TIMES: "SELECT 1 FROM frame WHERE ticks IS NOT NULL LIMIT 1",
    Part.SIZES: "SELECT 1 FROM frame WHERE width IS NOT NULL LIMIT 1",
    Part.EMPTY: "SELECT 1 FROM frame WHERE status = 'done'"
    " AND NOT EXISTS (SELECT 1 FROM face WHERE face.source_id = frame.source_id AND frame_idx = frame.idx) LIMIT 1",
    **{
        one.part: "SELECT 1 FROM (SELECT 1 FROM mask UNION ALL SELECT 1 FROM drawn_mask) LIMIT 1"
        if one.kind is Kind.MASKS
        else f"SELECT 1 FROM face WHERE {one.columns[0]} IS NOT NULL LIMIT 1"
        for one in ATTRIBUTES
        if one.part is not None
    },
}
"""Whether a store has any of it."""
_MOST_CHIP_BYTES = 256 * MIB


def export(
    folder: Path,
    out: TextIO,
    *,
    to: str,
    frames: bool,
    rejected: bool = False,
    found_only: bool = False,
    smooth: bool = False,
    raw: bool = False,
) -> None:
    """Writes the faces of a result folder in a format of text, or its frames as JSON lines or CSV.

    On demand those that were rejected are among them, marked as that, or those that fill gaps of tracks are not; and
    all are as they were found.

    Raises:
        RequestError: an unknown format, or not one for this.
        StoreError: the folder holds no store that can be read.
    """
    if frames:
        if to not in _FRAME_FORMATS:
            raise RequestError(f"frames can be written as {' or '.join(_FRAME_FORMATS)}, not as {to!r}")
        for _, piece in _FRAME_FORMATS[to](read_frames(folder, raw=raw)):
            out.write(piece.decode())
        return
    chosen = _format_of(to, rejected=rejected)
    if chosen.is_folder or not chosen.is_text:
        raise RequestError(f"{chosen.title} cannot be written as text; name a place to write to with --out")
    with stored_frames(folder, rejected=rejected, found_only=found_only, smooth=smooth, raw=raw) as stored:
        for _, piece in chosen.write(stored):
            out.write(piece.decode())


def export_to(
    folder: Path,
    target: Path,
    *,
    to: str,
    layout: str | None = None,
    rejected: bool = False,
    found_only: bool = False,
    smooth: bool = False,
    raw: bool = False,
    share: bool = False,
) -> None:
    """Writes the faces of a result folder to a new file, or a new folder where the format is many files.

    On demand those that were rejected are among them, marked as that, or those that fill gaps of tracks are not; and
    all are as they were found.

    Raises:
        RequestError: an unknown format or layout, or a format that cannot mark faces.
        StoreError: the folder holds no store that can be read.
        OSError: the target is there already, or cannot be written.
    """
    with opened_pieces(
        folder, to=to, layout=layout, rejected=rejected, found_only=found_only, smooth=smooth, raw=raw
    ) as (chosen, whole):
        if not chosen.is_folder:
            with new_file(target, share=share) as part, part.open("wb") as file:
                file.writelines(piece for _, piece in whole)
            return
        if os.path.lexists(target):
            raise FileExistsError(target)
        with new_folder(target, share=share) as part:
            for _ in fill(part, whole, share=share):
                pass


@contextmanager
def opened_pieces(
    folder: Path, *, to: str, layout: str | None, rejected: bool, found_only: bool, smooth: bool, raw: bool
) -> Iterator[tuple[Format, Iterator[Piece]]]:
    """A format, and the pieces of its files, one after another; whatever forbids this is raised before the first."""
    chosen = _format_of(to, rejected=rejected)
    write = chosen.writer(layout)
    with stored_frames(folder, rejected=rejected, found_only=found_only, smooth=smooth, raw=raw) as stored:
        if chosen.takes_orientations:
            paths = read_paths(folder)
            pieces = chosen.write_with_orientations(stored, lambda source: orientation_of_file(paths[source]))
        else:
            pieces = write(stored, lambda chip: _content(folder, chip))
        first = next(pieces, ("", b""))
        yield chosen, itertools.chain([first], pieces)


def read_paths(folder: Path) -> dict[str, Path]:
    """Where the pictures of a result folder are, by their sources' names.

    Raises:
        StoreError: the folder holds no store that can be read.
    """
    with connect_corrected(folder, raw=True) as db:
        rows = db.execute("SELECT name, path FROM source WHERE kind = ?", (SourceKind.PICTURE,)).fetchall()
        return {name: Path(os.fsdecode(path)) for name, path in rows}


def _content(folder: Path, chip: str) -> bytes:
    """What a chip file holds.

    Raises:
        StoreError: it is not there, or too large to be a chip.
    """
    path = file_below(folder, chip)
    try:
        with path.open("rb") as file:
            content = file.read(_MOST_CHIP_BYTES + 1)
    except OSError as error:
        message = f"the chip {chip} cannot be read ({error.strerror}); faceloom check {folder} tells what is missing"
        raise StoreError(message, path=path) from error
    if len(content) > _MOST_CHIP_BYTES:
        raise StoreError(f"{chip} has more than {format_bytes(_MOST_CHIP_BYTES)}, and is no chip", path=path)
    return content


def fill(folder: Path, pieces: Iterator[Piece], *, share: bool) -> Iterator[str]:
    """Writes the files of an export below a folder; gives the name of each that is written."""
    for name, same in itertools.groupby(pieces, key=lambda piece: piece[0]):
        if not name:  # a folder of nothing
            continue
        path = place_below(folder, name)
        make_folder(path.parent, share=share)
        with open(path, "wb", opener=opener(share=share)) as file:  # Path.open has no opener
            file.writelines(piece for _, piece in same)
        yield name


def read_lost(folder: Path, to: Format, *, raw: bool = False) -> list[Part]:
    """What there is in a result folder that a format does not hold."""
    with connect_corrected(folder, raw=raw) as db:
        there = {part for part, question in _QUESTIONS.items() if db.execute(question).fetchone()}
    return [part for part in Part if part in there and part not in to.keeps]


def _format_of(to: str, *, rejected: bool) -> Format:
    chosen = format_to_write(to)
    if rejected and Part.REJECTED not in chosen.keeps:
        raise RequestError(f"{chosen.title} cannot mark faces as rejected, and there they would pass for others")
    return chosen
