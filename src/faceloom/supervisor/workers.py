"""The worker pool: worker processes, the requests that each has not answered yet, and one queue for all answers."""

import contextlib
import os
import pickle
import queue
import signal
import threading
from collections import deque
from collections.abc import Callable, Mapping
from contextlib import suppress
from types import TracebackType
from typing import Protocol, Self

from faceloom import early
from faceloom.memory.usage import held_bytes, peak_bytes
from faceloom.messages import (
    Answer,
    Begin,
    Confine,
    Died,
    Do,
    Fatal,
    Held,
    Lost,
    Probe,
    Reading,
    Request,
)
from faceloom.targets import Target
from faceloom.units import KIB, MIB

_LAST_WORDS_BYTES = 2000
_WAITING_BYTES = 64 * MIB
_HARDLY_BYTES = 512 * KIB
"""By how much reading more headers lets a process grow that does as a new one (of 3,000 JPEGs: 0.4 MiB)."""
_LEAVE_S = 5.0
"""How long a worker that is reached over a network is waited for when it is ended."""
ON_HOST = Target()
"""The target of processes that any work of this machine can use."""


class WorkerDiedError(Exception):
    """The worker process ended without an answer; the message is what it left on its error stream."""


class WorkerLostError(Exception):
    """A worker on another machine cannot be reached any more; the message says why."""


def death_in_words(code: int, words: str) -> str:
    """How a worker process has ended, by its exit code and the end of its error stream."""
    lines = words.strip().splitlines()
    how = f"by signal {signal.Signals(-code).name}" if code < 0 else f"with exit code {code}"
    return f"the worker process ended {how}" + (f" ({lines[-1]})" if lines else "")


class WorkerConnection(Protocol):
    """A worker process, seen from the supervisor, wherever it runs."""

    @property
    def pid(self) -> int:
        """The process's id, on its machine."""

    @property
    def waiting_bytes(self) -> int:
        """What the last answer takes of the supervisor's memory until it is dealt with, beyond a few."""

    def send(self, request: Request) -> None:
        """Sends the worker a request; requests are done in order.

        Raises:
            WorkerDiedError: nobody hears it.
        """

    def receive(self) -> tuple[Held, Answer]:
        """Waits for the worker's next answer, which comes with what the process holds.

        Raises:
            WorkerDiedError: there will be none.
            WorkerLostError: there may be, but not here.
        """

    def held_bytes(self, told: Held) -> int:
        """The RAM that it holds now, as far as that is known; `told` is what it said last."""

    def peak_bytes(self, told: Held) -> int:
        """The most that it has held."""

    def end(self) -> None:
        """Ends the process at once: whatever it was doing has not been committed."""

    def close(self) -> None:
        """Frees what is left of a process that has ended, when nobody receives from it any more."""


class WorkerProcess:
    """A worker process on this machine."""

    waiting_bytes = 0
    """It waits itself until its answers are read."""

    def __init__(self, environment: Mapping[str, str] | None = None) -> None:
        """Starts a process, with more environment variables if there are any."""
        begun = early.take(environment or {})
        self._process, self._errors = begun.process, begun.errors

    def held_bytes(self, told: Held) -> int:
        return held_bytes(self.pid)

    def peak_bytes(self, told: Held) -> int:
        return max(told.peak_bytes, peak_bytes(self.pid))

    def end(self) -> None:
        self._process.kill()
        self._process.wait()

    def close(self) -> None:
        for stream in (self._process.stdin, self._process.stdout, self._errors):
            with contextlib.suppress(OSError):
                stream.close()  # type: ignore[union-attr]

    @property
    def pid(self) -> int:
        return self._process.pid

    def send(self, request: Request) -> None:
        assert self._process.stdin is not None
        try:
            pickle.dump(request, self._process.stdin)
            self._process.stdin.flush()
        except OSError as error:
            raise self._death() from error

    def receive(self) -> tuple[Held, Answer]:
        assert self._process.stdout is not None
        try:
            answer: tuple[Held, Answer] = pickle.load(self._process.stdout)
        except (EOFError, OSError, ValueError, pickle.UnpicklingError) as error:
            raise self._death() from error
        return answer

    def _death(self) -> WorkerDiedError:
        code = self._process.wait()
        self._errors.seek(0, os.SEEK_END)
        self._errors.seek(max(0, self._errors.tell() - _LAST_WORDS_BYTES))
        return WorkerDiedError(death_in_words(code, self._errors.read().decode(errors="replace")))


def here(target: Target, worker_bytes: int = 0) -> WorkerConnection:
    """Starts a worker process on this machine; it is told itself what it may hold."""
    return WorkerProcess(dict(target.device.environment))


class _Room:
    """What answers take that nobody has dealt with yet: bounded, in bytes, over all workers."""

    def __init__(self) -> None:
        self._changed = threading.Condition()
        self._taken = 0

    def take(self, size: int, is_ended: Callable[[], bool]) -> None:
        """Waits until there is room; an answer that is larger than all of it has it alone."""
        with self._changed:
            self._changed.wait_for(lambda: not self._taken or self._taken + size <= _WAITING_BYTES or is_ended())
            self._taken += size

    def give(self, size: int) -> None:
        """Gives back what was taken."""
        with self._changed:
            self._taken -= size
            self._changed.notify_all()


class PooledWorker:
    """One worker process and the requests that it has not answered."""

    def __init__(
        self,
        heard: "queue.SimpleQueue[tuple[PooledWorker, Answer, int]]",
        target: Target,
        process: WorkerConnection,
        room: _Room,
    ) -> None:
        self._heard = heard
        self._room = room
        self._is_ended = False
        self.target = target
        """The device that this worker drives."""
        self._process = process
        self.open: deque[Request] = deque()
        self.unwanted: set[int] = set()
        """Numbers of chunks that it has and that another worker has done."""
        self.held = Held()
        """What the process holds, as of its last answer."""
        self._peak_bytes = 0
        self._has_looked_only = True
        self._first_peak_bytes = 0
        """What it had held after the first headers."""
        self._thread = threading.Thread(target=self._listen, name="faceloom-ear", daemon=True)
        self._thread.start()

    @property
    def pid(self) -> int:
        """The process's id."""
        return self._process.pid

    @property
    def peak_bytes(self) -> int:
        """The most RAM that the process has held, by what the system says, or else by its last answer."""
        self._peak_bytes = max(self._peak_bytes, self._process.peak_bytes(self.held))
        return self._peak_bytes

    @property
    def held_bytes(self) -> int:
        """The RAM that the process holds now."""
        return self._process.held_bytes(self.held)

    @property
    def is_fresh(self) -> bool:
        """Whether it has at most been given a limit and read headers, and so holds hardly more than a new process."""
        grown_bytes = self.held.peak_bytes - self._first_peak_bytes if self._first_peak_bytes else 0
        return self._has_looked_only and grown_bytes <= _HARDLY_BYTES

    @property
    def is_busy(self) -> bool:
        """Whether it has something to do that is still wanted."""
        return any(not isinstance(one, Do) or one.chunk.number not in self.unwanted for one in self.open)

    def send(self, request: Request) -> None:
        """Sends the worker a request; if it is dead, that is received in place of an answer."""
        self._has_looked_only = self._has_looked_only and isinstance(request, Confine | Probe)
        if not isinstance(request, Begin | Confine):
            self.open.append(request)
        with suppress(WorkerDiedError):
            self._process.send(request)

    def end(self) -> None:
        """Ends the process at once: what it was doing has not been committed."""
        self._is_ended = True
        self._room.give(0)
        self._process.end()
        self._thread.join(None if self.target.node is None else _LEAVE_S)
        self._process.close()

    def _listen(self) -> None:
        while True:
            size = 0
            try:
                self.held, answer = self._process.receive()
                self._first_peak_bytes = self._first_peak_bytes or self.held.peak_bytes
                size = self._process.waiting_bytes
            except WorkerDiedError as death:
                answer = Died(str(death))
            except WorkerLostError as loss:
                answer = Lost(str(loss))
            self._room.take(size, lambda: self._is_ended)
            self._heard.put((self, answer, size))
            if isinstance(answer, Died | Fatal | Lost):
                return


class WorkerPool:
    """The workers of a run; answers of workers that have been stopped are dropped."""

    def __init__(self, start: Callable[[Target, int], WorkerConnection] = here) -> None:
        """A pool without workers; `start` starts one for a device, with what it may hold, where that is known."""
        self._start = start
        if start is not here:
            early.dismiss()
        self._heard: queue.SimpleQueue[tuple[PooledWorker, Answer, int]] = queue.SimpleQueue()
        self._room = _Room()
        self.workers: list[PooledWorker] = []
        self._places: dict[str, list[PooledWorker]] = {}
        """The same, by their devices."""
        self.peak_bytes = 0
        """The largest sum, at any time, of the peaks of the workers that were there, on this machine."""

    def start(
        self, number: int, first: Begin | Confine | None = None, *, on: Target = ON_HOST, worker_bytes: int = 0
    ) -> None:
        """Starts workers until there are so many on a device, and tells the new ones something first, which has no
        answer.

        A job is told to all that are fresh. A cluster is told what each of them may hold, if that is known.
        """
        present = self.on(on)
        missing = range(number - len(present))
        started = tuple(PooledWorker(self._heard, on, self._start(on, worker_bytes), self._room) for _ in missing)
        self.workers += started
        self._places.setdefault(on.place, []).extend(started)
        for worker in present + started if isinstance(first, Begin) else started:
            if first is not None and worker.is_fresh:
                worker.send(first)

    def on(self, target: Target) -> tuple[PooledWorker, ...]:
        """Returns the workers of a device."""
        return tuple(self._places.get(target.place, ()))

    def stop(self, *workers: PooledWorker) -> None:
        """Ends workers; all of them if none are named."""
        self._note_peak()
        for worker in workers or tuple(self.workers):
            self.workers.remove(worker)
            self._places[worker.target.place].remove(worker)
            worker.end()

    def _note_peak(self) -> None:
        self.peak_bytes = max(
            self.peak_bytes, sum(worker.peak_bytes for worker in self.workers if worker.target.node is None)
        )

    @property
    def used(self) -> tuple[PooledWorker, ...]:
        """The workers that can no longer be given a job."""
        return tuple(worker for worker in self.workers if not worker.is_fresh)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()

    @property
    def held_bytes(self) -> int:
        """The RAM that all workers hold now."""
        return sum(worker.held_bytes for worker in self.workers)

    def receive(self, *, within_s: float | None = None) -> tuple[PooledWorker, Request | None, Answer]:
        """The next answer of any worker, and its oldest open request, which that answers; `Reading` answers none.

        A worker that `Died` or was `Lost`, or on a card or another machine said why it cannot go on, has to be stopped;
        its open requests are still in its list.

        Raises:
            FaceloomError: another worker said why it cannot go on.
            queue.Empty: nobody has answered within so many seconds.
        """
        while True:
            worker, answer, size = self._heard.get(timeout=within_s)
            self._room.give(size)
            if worker not in self.workers:
                continue
            self._note_peak()
            if isinstance(answer, Fatal) and not worker.target.has_memory and worker.target.node is None:
                raise answer.error
            answers_one = not isinstance(answer, Reading | Died | Fatal | Lost)
            return worker, worker.open.popleft() if answers_one else None, answer
