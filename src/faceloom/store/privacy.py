"""Who may read what is written of faces: by default nobody but its owner, whatever the umask says."""

import os
from collections.abc import Callable
from pathlib import Path, PurePath

_ALL = 0o777
_FILES = 0o666
_OTHERS = 0o077
"""The permissions of everybody but the owner."""


def make_folder(path: Path, *, share: bool = False) -> None:
    """Makes a folder, and those above it as usual; one that is there stays as it is."""
    path.mkdir(mode=_ALL if share else _ALL & ~_OTHERS, parents=True, exist_ok=True)


def make_folders_below(root: Path, below: PurePath, *, share: bool = False) -> None:
    """Makes a folder at a relative path below another, and each one above it for the same people."""
    for part in [*list(below.parents)[::-1], below]:
        (root / part).mkdir(mode=_ALL if share else _ALL & ~_OTHERS, exist_ok=True)


def opener(*, share: bool = False) -> Callable[[str, int], int]:
    """What `open` is given so that a file that it makes is for its owner; a link that lies there is not followed."""
    mode = _FILES if share else _FILES & ~_OTHERS
    return lambda path, flags: os.open(path, flags | os.O_NOFOLLOW, mode)


def make_private(path: Path) -> None:
    """Takes a folder that is there from everybody but its owner, if this is its owner."""
    state = path.stat()
    if state.st_uid == os.geteuid() and state.st_mode & _OTHERS:
        path.chmod(state.st_mode & 0o7777 & ~_OTHERS)


def keep_private() -> None:
    """Has this process, which is one of ours, write for the owner alone from now on."""
    os.umask(_OTHERS)


def is_open_to_others(folder: Path, file: str) -> bool:
    """Whether others than the owner may read a file in a folder."""
    return bool(folder.stat().st_mode & 0o011 and (folder / file).stat().st_mode & 0o044)
