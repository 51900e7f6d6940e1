"""Chunks one after the other; where the worker can, the next is begun as soon as one has been read."""

import threading
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from faceloom.messages import Answer, Do, Done, Starved
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
            self._say(_do(self._worker, request, self._on_progress))
            return
        first, before, own = self._before, self._last, _Turn()
        self._before, self._last = before, own
        threading.Thread(target=self._follow, args=(request, first, before, own), daemon=True).start()

    def _follow(self, request: Do, first: _Turn, before: _Turn, own: _Turn) -> None:
        """Does a chunk, of which no more than the one before it is under way: memory is planned for two."""
        first.is_told.wait()
        before.has_read.wait()
        try:
            answer = _do(self._worker, request, self._on_progress, on_read=own.has_read.set)
        except BaseException as error:  # handed to the thread that answers for the process
            self._on_error(error)
            return
        own.has_read.set()
        before.is_told.wait()
        self._say(answer)
        own.is_told.set()


def _past() -> _Turn:
    """Of a chunk that is done."""
    turn = _Turn()
    turn.has_read.set()
    turn.is_told.set()
    return turn


def _do(worker: "Worker", request: Do, on_progress: OnProgress, *, on_read: Callable[[], None] | None = None) -> Answer:
    from faceloom.pipeline.lanes import StarvedError

    try:
        rows = worker.run(
            request.chunk,
            request.folder,
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
