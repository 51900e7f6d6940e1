"""Chunks one after the other; where the worker can, the next is begun as soon as one has been read."""

import tempfile
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from faceloom.messages import Answer, Do, Done, Sent, Starved
from faceloom.worker.notes import OnProgress

if TYPE_CHECKING:
    from faceloom.worker.worker import Worker


@dataclass(frozen=True, slots=True)
class _Turn:
    """How far a chunk is, for the one after it."""

    has_read: threading.Event = field(default_factory=threading.Event)
    is_told: threading.Event = field(default_factory=threading.Event)


class ChunkLine:
    """Answers chunks in the order in which they are given."""

    def __init__(
        self,
        worker: "Worker",
        *,
        on_progress: OnProgress,
        say: Callable[[Answer], None],
        on_error: Callable[[BaseException], None],
    ) -> None:
        """A line; `on_error` is told in another thread of what ends the worker."""
        self._worker = worker
        self._on_progress = on_progress
        self._say = say
        self._on_error = on_error
        self._before, self._last = _past(), _past()

    def give(self, request: Do) -> None:
        """Does a chunk now, or begins it as soon as the one before it has been read."""
        if not self._worker.can_read_ahead:
            with _folder_of(request) as folder:
                answer = _do(self._worker, request, folder, self._on_progress)
                self._tell(request, folder, answer)
            return
        first, before, own = self._before, self._last, _Turn()
        self._before, self._last = before, own
        threading.Thread(target=self._follow, args=(request, first, before, own), daemon=True).start()

    def _follow(self, request: Do, first: _Turn, before: _Turn, own: _Turn) -> None:
        """Does a chunk, of which no more than the one before it is under way: memory is planned for two."""
        first.is_told.wait()
        before.has_read.wait()
        try:
            with _folder_of(request) as folder:
                answer = _do(self._worker, request, folder, self._on_progress, on_read=own.has_read.set)
                own.has_read.set()
                before.is_told.wait()
                self._tell(request, folder, answer)
        except BaseException as error:  # handed to the thread that answers for the process
            self._on_error(error)
            return
        own.is_told.set()

    def _tell(self, request: Do, folder: Path, answer: Answer) -> None:
        """Answers, after the files of the chunk where nobody else sees them."""
        if request.folder is None and isinstance(answer, Done):
            for file in sorted(path for path in folder.rglob("*") if path.is_file()):
                place = file.relative_to(folder).as_posix()
                self._say(Sent(request.chunk.number, place, file.read_bytes()))
        self._say(answer)


@contextmanager
def _folder_of(request: Do) -> Iterator[Path]:
    """Where the files of a chunk are written: as told, or in a folder of this machine that goes when they are sent."""
    if request.folder is not None:
        yield request.folder
        return
    with tempfile.TemporaryDirectory(prefix="faceloom-") as folder:
        yield Path(folder)


def _past() -> _Turn:
    """Of a chunk that is done."""
    turn = _Turn()
    turn.has_read.set()
    turn.is_told.set()
    return turn


def _do(
    worker: "Worker",
    request: Do,
    folder: Path,
    on_progress: OnProgress,
    *,
    on_read: Callable[[], None] | None = None,
) -> Answer:
    from faceloom.pipeline.lanes import StarvedError

    try:
        rows = worker.run(
            request.chunk,
            folder,
            known=request.known,
            leads=request.leads,
            on_progress=on_progress,
            on_read=on_read,
        )
        return Done(rows)
    except StarvedError as error:
        return Starved(error.stage, str(error))
    except MemoryError as error:
        return Starved("worker", str(error) or "out of memory")
