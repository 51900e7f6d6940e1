"""Import of faces: what a file tells is taken into the store, and its names are matched with the store's sources."""

import hashlib
from pathlib import Path

from faceloom.errors import BudgetError, RequestError, StageError
from faceloom.events import NOT_AN_INPUT, Notice, OnEvent
from faceloom.formats.registry import format_names, format_to_read, formats
from faceloom.job import FacesFile
from faceloom.messages import Confine, Died, ReadFaces, Starved
from faceloom.store.store import Store
from faceloom.supervisor.workers import WorkerPool
from faceloom.units import format_bytes

_SCRATCH = ".known.sqlite"


def faces_file(path: Path, *, format: str | None) -> FacesFile:  # noqa: A002  # the flag's name
    """The description of a file to import; if no format is named, its suffix tells.

    Raises:
        RequestError: there is no such format, or the suffix does not tell.
    """
    if format is None:
        format = _format_of(path)  # noqa: A001
    return FacesFile(path=path, format=format_to_read(format).name, sha256=_sha256(path))


def _format_of(path: Path) -> str:
    if path.suffix.lower() == ".xml" or (path.is_dir() and next(path.rglob("*.xml"), None)):
        return "cvat"
    if path.is_dir() or path.suffix == ".pts":
        return "pts"
    suffixes = {found.suffix: found.name for found in reversed(formats()) if found.suffix and found.is_read}
    if path.suffix.lower() not in suffixes:
        known = ", ".join(format_names())
        raise RequestError(
            f"the name {path.name!r} does not tell the format; name it with --from-format: one of {known}"
        )
    return suffixes[path.suffix.lower()]


def _sha256(path: Path) -> str:
    """The sha256 of a file's content, or of the names and contents of a folder's files."""
    try:
        if not path.is_dir():
            with path.open("rb") as file:
                return hashlib.file_digest(file, "sha256").hexdigest()
        digest = hashlib.sha256()
        for inner in sorted(inner for inner in path.rglob("*") if inner.is_file()):
            digest.update(f"{inner.relative_to(path)}\0{_sha256(inner)}\0".encode(errors="surrogateescape"))
        return digest.hexdigest()
    except OSError as error:
        raise RequestError(f"{path} cannot be read: {error.strerror}") from error


def take_faces(file: FacesFile, store: Store, pool: WorkerPool, *, worker_bytes: int, on_event: OnEvent) -> None:
    """Has a worker that may hold `worker_bytes` read the file, and takes in what it tells, unless that is here already.

    Raises:
        MediaError: the file is not of its format.
        BudgetError: it cannot be read in so many bytes.
        RequestError: it tells of no frame of this store's sources.
    """
    if store.known.sha256 != file.sha256:
        database = store.folder / _SCRATCH
        try:
            _read(file, database, pool, worker_bytes=worker_bytes)
            store.known.take(database, sha256=file.sha256)
        finally:
            database.unlink(missing_ok=True)
    faces, lost, first = store.known.match()
    frames = ", ".join(map(str, first))
    if faces and lost == faces:
        raise RequestError(
            f"none of the {faces:,} faces of {file.path} is of a frame of the inputs; its frames are {frames}…"
        )
    if lost:
        text = f"{lost:,} of the {faces:,} faces of {file.path} are of no frame of the inputs: {frames}"
        on_event(Notice(kind=NOT_AN_INPUT, text=text + ("…" if lost > len(first) else "")))


def _read(file: FacesFile, database: Path, pool: WorkerPool, *, worker_bytes: int) -> None:
    pool.stop()
    pool.start(1, Confine(worker_bytes, has_videos=False) if worker_bytes else None)
    (worker,) = pool.workers
    worker.send(ReadFaces(file=file.path, format=file.format, database=database))
    _, _, answer = pool.receive()
    pool.stop()
    if isinstance(answer, Starved):
        raise BudgetError(
            f"{file.path} cannot be read in {format_bytes(worker_bytes)}: {answer.reason}; raise --memory, or convert"
            " it to jsonl or csv, which are read line by line",
            budget_bytes=worker_bytes,
        )
    if isinstance(answer, Died):
        raise StageError(f"{file.path} cannot be read: {answer.reason}", stage="reading")
