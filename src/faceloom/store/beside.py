"""Writing beside: a file or folder has its name only when it is whole; what a kill leaves is swept by the next try."""

import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from faceloom.errors import RequestError, StoreError
from faceloom.faults import is_full
from faceloom.store.privacy import make_folder, opener

_MARK = ".faceloom-part"
_LONGEST_NAME = 200


@contextmanager
def new_file(target: Path, *, share: bool = False) -> Iterator[Path]:
    """Gives an empty file to write; it becomes the target, which is not there yet, at the end of the block.

    Raises:
        FileExistsError: the target is there.
        RequestError: another process is writing to it.
        OSError: it cannot be written.
    """
    if os.path.lexists(target):
        raise FileExistsError(target)
    part = part_of(target)
    with _held(part, is_folder=False, share=share):
        yield part
        with part.open("rb") as file:
            os.fsync(file.fileno())
        _refuse_late(target)
        part.rename(target)


@contextmanager
def new_folder(target: Path, *, share: bool = False) -> Iterator[Path]:
    """Gives an empty folder to fill; it becomes the target, which is not there yet or empty, at the end of the block.

    Where the target itself cannot be replaced, as one that is mounted, its contents get their names one by one.

    Raises:
        RequestError, OSError: as `new_file`.
    """
    part = part_of(target)
    with _held(part, is_folder=True, share=share):
        yield part
        if part.parent == target:
            for content in sorted(part.iterdir()):
                content.rename(target / content.name)
            part.rmdir()
        else:
            part.rename(target)


def part_of(target: Path) -> Path:
    """Where a target is written until it is whole."""
    is_fixed = target.is_dir() and (target.is_mount() or not os.access(target.absolute().parent, os.W_OK))
    return target / _MARK if is_fixed else target.with_name(f".{target.name[:_LONGEST_NAME]}{_MARK}")


def entries_of(target: Path) -> list[str]:
    """What is in a folder, but for what a kill has left of an earlier try."""
    return [path.name for path in target.iterdir() if path.name != _MARK]


def refuse_full(error: OSError, path: Path) -> None:
    """To be called with what writing has raised.

    Raises:
        StoreError: there is no room.
    """
    if is_full(error):
        message = f"{path} cannot be written ({error.strerror}); free some space and run the same command again"
        raise StoreError(message, path=path) from error


@contextmanager
def _held(part: Path, *, is_folder: bool, share: bool) -> Iterator[None]:
    """An empty file or folder that no other process writes to; it goes if it still has its name at the end."""
    _sweep(part)
    if is_folder:
        make_folder(part, share=share)
    else:
        os.close(opener(share=share)(str(part), os.O_WRONLY | os.O_CREAT | os.O_EXCL))
    handle = os.open(part, os.O_RDONLY)
    try:
        _lock(handle, part)
        yield
    finally:
        os.close(handle)
        with suppress(OSError):
            _remove(part)


def _sweep(part: Path) -> None:
    try:
        handle = os.open(part, os.O_RDONLY | os.O_NOFOLLOW)
    except FileNotFoundError:
        return
    try:
        _lock(handle, part)
        _remove(part)
    finally:
        os.close(handle)


def _lock(handle: int, part: Path) -> None:
    import fcntl

    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError as error:
        raise RequestError(f"another faceloom is writing {part}; wait until it ends, or name another place") from error


def _remove(part: Path) -> None:
    if part.is_dir() and not part.is_symlink():
        shutil.rmtree(part)
    else:
        part.unlink(missing_ok=True)


def _refuse_late(target: Path) -> None:
    """Somebody may have made it meanwhile."""
    if os.path.lexists(target):
        raise FileExistsError(target)
