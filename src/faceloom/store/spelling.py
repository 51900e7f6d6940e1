"""Spelling: one path for a file, however it was named: through links, `..`, or in letters of another case."""

import os
from functools import lru_cache
from pathlib import Path

_STEP = 100
"""Levels of folders that are gone through at once: there may be more than Python may call on end."""


def true_path(path: Path) -> Path:
    """The path without links and `..`, with names as their folders have them where case does not count.

    A file that is not there keeps the name it was given.
    """
    resolved = Path(os.path.realpath(path))
    for above in list(resolved.parents)[::-_STEP]:  # from the root down, so that no step asks for many others
        _cased_folder(above)
    return _cased_folder(resolved.parent) / _cased(resolved)


def spellings(path: Path) -> tuple[bytes, bytes]:
    """The true path as stores keep it, and the one that stores of before may have."""
    return os.fsencode(true_path(path)), os.fsencode(path.absolute())


@lru_cache(maxsize=1024)
def _cased_folder(folder: Path) -> Path:
    if folder == folder.parent:
        return folder
    return _cased_folder(folder.parent) / _cased(folder)


def _cased(path: Path) -> str:
    """The last name of a path as its folder has it."""
    other = path.with_name(path.name.swapcase()) if path.name else path
    try:
        if other == path or not path.samefile(other):
            return path.name
        with os.scandir(path.parent) as entries:
            names = [entry.name for entry in entries]
    except (OSError, ValueError):  # no such file: names differ where case differs
        return path.name
    # Two files of these names that are one, a hard link, are there under both names.
    if path.name in names:
        return path.name
    return next((name for name in names if name.casefold() == path.name.casefold()), path.name)
