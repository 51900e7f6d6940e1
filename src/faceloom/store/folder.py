"""The result folder: where the store, chips and overlays lie in it, and its lock.

Files of a chunk are written below `.pending/<run>-<chunk>` and move to their places after the chunk's
transaction. So a file in its place always has its row; what a killed run left is moved on, if its chunk
was committed, or swept.
"""

import errno
import hashlib
import os
import re
import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from functools import lru_cache
from pathlib import Path, PurePosixPath

from faceloom.errors import RequestError, StoreError
from faceloom.media.sources import RESULT_MARK
from faceloom.store.places import place_below, remove_below
from faceloom.store.privacy import make_folder, make_private, opener

DATABASE = RESULT_MARK
CHIPS = "chips"
OVERLAYS = "overlays"
LOCK = "faceloom.lock"
PENDING = ".pending"
_NUMBER = re.compile(r"\d{1,18}", re.ASCII)
LONGEST_NAME_BYTES = 160
"""Of a part of a source's name, which is the name of a folder."""
_NETWORK_FILE_SYSTEMS = frozenset(["9p", "afs", "cifs", "fuse.sshfs", "lustre", "nfs", "nfs4", "smb3", "smbfs"])


def claim_folder(folder: Path, *, share: bool = False) -> None:
    """Makes a result folder, or sees that the folder there is one, or empty.

    Raises:
        RequestError: the folder holds something else.
        StoreError: the folder cannot be made or written.
    """
    try:
        make_folder(folder, share=share)
        others = sorted(entry.name for entry in folder.iterdir() if entry.name != LOCK)
    except OSError as error:
        raise StoreError(f"the result folder {folder} cannot be used: {error}", path=folder) from error
    if others and DATABASE not in others:
        message = f"{folder} is not empty and holds no results of faceloom (it has {others[0]!r}); choose another --out"
        raise RequestError(message)
    if not os.access(folder, os.W_OK):
        raise StoreError(f"the result folder {folder} cannot be written: permission denied", path=folder)
    if DATABASE not in others:
        _begin(folder, share=share)


def _begin(folder: Path, *, share: bool) -> None:
    """Makes the file of a new store for whom it is to be; those that SQLite adds are for the same."""
    try:
        if not share:
            make_private(folder)
        with suppress(FileExistsError):  # another run begins just now, and which of them goes on the lock decides
            open(folder / DATABASE, "xb", opener=opener(share=share)).close()  # as below
    except OSError as error:
        raise StoreError(f"the result folder {folder} cannot be used: {error}", path=folder) from error


@contextmanager
def locked(folder: Path, *, share: bool = False) -> Iterator[None]:
    """Holds the folder for one writing run; the lock ends with the process, however that ends.

    Raises:
        StoreError: another run holds it.
    """
    import fcntl

    try:
        file = open(folder / LOCK, "a", opener=opener(share=share))  # noqa: SIM115  # Path.open has no opener
    except OSError as error:
        raise StoreError(f"the result folder {folder} cannot be used: {error}", path=folder) from error
    with file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            message = f"another run is writing to {folder}; wait until it ends, or choose another --out"
            raise StoreError(message, path=folder) from error
        yield


def is_held(folder: Path, locks: Path = Path("/proc/locks")) -> bool:
    """Whether a run holds the folder, seen without touching its lock, which a run that begins could meet (Linux)."""
    try:
        number = (folder / LOCK).stat().st_ino
        lines = locks.read_text(encoding="ascii").splitlines()
    except (OSError, ValueError):
        return False
    fields = [line.split() for line in lines if "->" not in line]  # which only waits
    return any(len(told) > 5 and told[1] == "FLOCK" and told[5].rpartition(":")[2] == str(number) for told in fields)


def pending_folder(folder: Path, run_id: int, number: int) -> Path:
    """Where the files of a chunk wait for its transaction.

    Raises:
        StoreError: a link leads from there to somewhere else.
    """
    return place_below(folder, f"{PENDING}/{run_id}-{number}")


def move_into_place(folder: Path, pending: Path) -> None:
    """Moves a committed chunk's files to where their rows say they are."""
    for content in _entries(pending):
        if not content.name.startswith((DATABASE, LOCK)):
            _move(content, folder / content.name)
    _sweep(pending)


def _move(source: Path, target: Path) -> None:
    """Moves a file, or a folder as a whole where there is none of its name yet."""
    if source.is_symlink():  # no run of ours has made it
        source.unlink()
        return
    if source.is_dir() and target.is_dir() and not target.is_symlink():
        for content in _entries(source):
            _move(content, target / content.name)
        return
    try:
        source.replace(target)
    except OSError as error:
        message = f"{target} cannot be written ({error.strerror}); mend that and run the same command again"
        raise StoreError(message, path=target) from error


def recover_files(folder: Path, is_committed: Callable[[int, int], bool]) -> None:
    """Ends what a killed run began: moves the files of committed chunks, drops all others."""
    pending = folder / PENDING
    for chunk in _entries(pending):
        run_id, _, number = chunk.name.partition("-")
        is_ours = _NUMBER.fullmatch(run_id) and _NUMBER.fullmatch(number)
        if is_ours and is_committed(int(run_id), int(number)):
            move_into_place(folder, chunk)
    _sweep(pending)


def drop(pending: Path) -> None:
    """Removes the files of a chunk that is not committed."""
    _sweep(pending)


def remove_files(folder: Path, source: str) -> None:
    """Removes the chips and overlays of a source.

    Raises:
        StoreError: they do not lie below the folder.
    """
    for kind in (CHIPS, OVERLAYS):
        with suppress(OSError):
            remove_below(folder, f"{kind}/{file_name(source)}")


def _sweep(path: Path) -> None:
    """Removes what is of no more use, and of a link the link alone."""
    if path.is_symlink():
        with suppress(OSError):
            path.unlink()
    shutil.rmtree(path, ignore_errors=True)


@lru_cache(maxsize=64)
def file_name(source: str) -> str:
    """A source's name as a path below the result folder: too long parts are cut and told apart by a hash."""
    return str(PurePosixPath(*(_short(part) for part in PurePosixPath(source).parts if not part.startswith("/"))))


def on_network(folder: Path) -> bool:
    """Whether the folder lies on a network file system, where SQLite's WAL does not work (Linux; else False)."""
    try:
        mounts = Path("/proc/self/mounts").read_text(encoding="utf-8", errors="replace").splitlines()
    except OSError:
        return False
    where = str(folder.resolve())
    best, kind = "", ""
    for _, point, fs_type, *_ in (line.split() for line in mounts):
        point = point.replace("\\040", " ")
        inside = where == point or where.startswith(point.rstrip("/") + "/")
        if inside and len(point) >= len(best):
            best, kind = point, fs_type
    return kind in _NETWORK_FILE_SYSTEMS


def write_file(path: Path, content: bytes) -> None:
    """Writes a whole new file, folders included; a link that lies there is not followed.

    Raises:
        StoreError: the disk is full or the folder cannot be written.
    """
    try:
        try:
            _write(path, content)
        except FileNotFoundError:
            path.parent.mkdir(parents=True, exist_ok=True)
            _write(path, content)
    except OSError as error:
        advice = "free some space" if error.errno in {errno.ENOSPC, errno.EDQUOT} else "make the folder writable"
        message = f"{path.name} cannot be written ({error.strerror}); {advice} and run the same command again"
        raise StoreError(message, path=path) from error


def _write(path: Path, content: bytes) -> None:
    # Who may read it is left to the umask, which workers set.
    flags = os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_NOFOLLOW
    with os.fdopen(os.open(path, flags, 0o666), "wb") as file:
        file.write(content)


def _short(part: str) -> str:
    content = part.encode()
    if len(content) <= LONGEST_NAME_BYTES:
        return part
    return content[:LONGEST_NAME_BYTES].decode(errors="ignore") + "~" + hashlib.sha256(content).hexdigest()[:12]


def _entries(folder: Path) -> list[Path]:
    return sorted(folder.iterdir()) if folder.is_dir() and not folder.is_symlink() else []
