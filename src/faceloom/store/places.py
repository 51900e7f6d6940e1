"""Places in a result folder: what a store, a chip or a file names lies below the folder, and no link leads to it.

A result folder may have come from anybody. Whatever in it names a file is looked at here before that file is read,
written, linked or removed.
"""

import os
import shutil
import stat
from pathlib import Path, PurePosixPath

from faceloom.errors import StoreError


def place_below(folder: Path, told: object) -> Path:
    """The place that a path below a folder names; a link may lie there, but none on the way.

    So it can be written anew, renamed to and removed, none of which follow a link that lies there.

    Raises:
        StoreError: it does not lie below the folder.
    """
    text = str(told) if isinstance(told, str | Path) else ""
    parts = PurePosixPath(text).parts
    if not parts or parts[0].startswith("/") or ".." in parts or "\0" in text:
        raise StoreError(f"{told!r} does not lie below {folder}, so it is left alone", path=folder)
    # Not Path.resolve, which raises errors of its own where links go round in a circle.
    above = os.path.realpath(folder.joinpath(*parts[:-1]))
    if above != os.path.join(os.path.realpath(folder), *parts[:-1]):  # noqa: PTH118  # as texts
        raise StoreError(f"a link leads from {folder} to {told!r}, and links in it are not followed", path=folder)
    return folder.joinpath(*parts)


class WorkPlaces:
    """Places below one folder for the files of one piece of work; each folder on the way is looked at once.

    Asking the system for every file anew takes as long as a small file itself.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._ways: dict[str, Path] = {}
        """Of what stands before the last slash, the folder that it names."""

    def place(self, told: object) -> Path:
        """The place that a path below the folder names, as `place_below` gives it.

        Raises:
            StoreError: it does not lie below the folder.
        """
        way, _, name = told.rpartition("/") if isinstance(told, str) else ("", "", "")
        if name in {"", ".", ".."} or "\0" in name:
            return place_below(self._folder, told)
        if way not in self._ways:
            self._ways[way] = place_below(self._folder, told).parent
        return self._ways[way] / name


def file_below(folder: Path, told: object) -> Path:
    """The file that a path below a folder names, which is no link either: it can be read, copied and linked to.

    There may be none. What else could lie there, like a pipe, would have whoever reads it wait for ever.

    Raises:
        StoreError: it does not lie below the folder, or is something else than a file.
    """
    place = place_below(folder, told)
    try:
        mode = place.lstat().st_mode  # asked once: files of SQLite come and go
    except (FileNotFoundError, NotADirectoryError):
        return place
    if stat.S_ISLNK(mode):
        raise StoreError(f"{told!r} in {folder} is a link, and links in it are not followed", path=place)
    if not stat.S_ISREG(mode):
        raise StoreError(f"{told!r} in {folder} is no regular file, and is not read", path=place)
    return place


def remove_below(folder: Path, told: object) -> int:
    """Removes a file, a link, or a folder with everything in it; how many files went.

    Raises:
        StoreError: it does not lie below the folder.
        OSError: it cannot be removed.
    """
    place = place_below(folder, told)
    if not place.is_symlink() and place.is_dir():
        removed = sum(1 for below in place.rglob("*") if below.is_symlink() or below.is_file())
        shutil.rmtree(place)
        return removed
    there = int(place.is_symlink() or place.exists())
    place.unlink(missing_ok=True)
    return there
