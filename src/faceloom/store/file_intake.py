"""Files of another result folder: chips and overlays are copied from where runs lay them, and from nowhere else."""

import os
import shutil
import stat
from collections.abc import Iterator
from pathlib import Path, PurePosixPath

from faceloom.errors import StoreError
from faceloom.media.chip_files import is_whole
from faceloom.store.beside import refuse_full
from faceloom.store.folder import OVERLAYS, file_name
from faceloom.store.given_folders import GivenFolder
from faceloom.store.given_rows import check_chip, typed
from faceloom.store.places import file_below
from faceloom.store.privacy import make_folders_below, opener
from faceloom.store.soundness import sound
from faceloom.units import MIB

_LONGEST_BYTES = 512 * MIB
"""Of a chip or an overlay; a frame of the most pixels that are read takes less."""


def copy_files(
    given: GivenFolder, name: str, pending: Path, *, overlays: bool, share: bool
) -> tuple[int, tuple[str, ...]]:
    """Copies the files of a source to below `pending`, at the places that they have below their result folder.

    Returns:
        How many there were, and the chips that are not there, or not whole, and were not copied.

    Raises:
        StoreError: one is no file, or is told to lie elsewhere than runs lay it; or it cannot be written.
    """
    copied, lost = 0, []
    try:
        for chip in _chips(given, name):
            if is_whole(file_below(given.path, chip)):
                copied += _copy(given.path, chip, pending, share=share)
            else:
                lost.append(chip)
        for overlay in _overlays(given, name) if overlays else ():
            copied += _copy(given.path, overlay, pending, share=share)
    except OSError as error:
        refuse_full(error, pending)
        raise StoreError(f"the files of {given.path} cannot be copied: {error}", path=given.path) from error
    return copied, tuple(lost)


def files_of(given: GivenFolder, name: str, *, overlays: bool) -> Iterator[str]:
    """The places of the files of a source: chips as the store tells them, overlays where they would lie.

    Raises:
        StoreError: a chip is told to lie elsewhere than runs lay it.
    """
    yield from _chips(given, name)
    if overlays:
        yield from _overlays(given, name)


def _chips(given: GivenFolder, name: str) -> Iterator[str]:
    query = "SELECT chip FROM face WHERE source_id = (SELECT id FROM source WHERE name = ?) AND chip IS NOT NULL"
    for row in given.db.execute(query, (name,)):
        with sound(given.path):
            (chip,) = typed(row, (("TEXT", True),))
            check_chip(chip, name)
        yield chip


def _overlays(given: GivenFolder, name: str) -> Iterator[str]:
    """Where those of frames and of faces would lie; no row says which there are."""
    above = f"{OVERLAYS}/{file_name(name)}"
    of_source = "source_id = (SELECT id FROM source WHERE name = ?)"
    for (index,) in given.db.execute(f"SELECT idx FROM frame WHERE {of_source}", (name,)):
        yield f"{above}/{index:06}.jpg"
    for row in given.db.execute(f"SELECT frame_idx, idx FROM face WHERE {of_source}", (name,)):
        with sound(given.path):
            index, face = typed(row, (("INTEGER", True), ("INTEGER", True)))
        yield f"{above}/{index:06}_{face}.jpg"


def _copy(folder: Path, told: str, pending: Path, *, share: bool) -> int:
    """Copies a file, if there is one; whether there is."""
    place = file_below(folder, told)
    try:
        # Not to wait for ever, nor to follow a link, if it has become a pipe or a link since it was looked at.
        handle = os.open(place, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK)
    except (FileNotFoundError, NotADirectoryError):
        return 0
    with os.fdopen(handle, "rb") as file:
        state = os.fstat(handle)
        if not stat.S_ISREG(state.st_mode) or state.st_size > _LONGEST_BYTES:
            raise StoreError(f"{told!r} in {folder} is no file of a size that runs write", path=place)
        make_folders_below(pending, PurePosixPath(told).parent, share=share)
        with open(pending / told, "xb", opener=opener(share=share)) as copy:
            shutil.copyfileobj(file, copy)
    return 1
