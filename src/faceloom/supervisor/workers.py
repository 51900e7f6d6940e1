"""The worker pool: worker processes, the requests that each has not answered yet, and one queue for all answers."""

import contextlib
import os
import pickle
import queue
import signal
import subprocess
import tempfile
import threading
from collections.abc import Mapping
from typing import TYPE_CHECKING

from faceloom.isolation import module_command, module_environment
from faceloom.media.sources import MAX_PIXELS
from faceloom.messages import (
    Answer,
    Begin,
    Confine,
    Fatal,
    Held,
    Probe,
    Reading,
    Request,
)
from faceloom.units import MIB

if TYPE_CHECKING:
    pass
from collections import deque
from contextlib import suppress
from types import TracebackType
from typing import Self

from faceloom.memory.usage import held_bytes, peak_bytes
from faceloom.messages import Died
from faceloom.targets import Target

WORKER_SETTINGS = {
    # Frames and tensors come and go by the megabyte; by default glibc gives each back to the system and has it
    # faulted in again, 1,000 pages a frame of 1080p (measured: a tenth of the wall time).
    # Beyond the first threshold blocks are the system's own again, so that holes in the heap stay small.
    "MALLOC_MMAP_THRESHOLD_": str(1 * MIB),
    "MALLOC_TRIM_THRESHOLD_": str(256 * MIB),
    "MALLOC_ARENA_MAX": "1",
    "OPENBLAS_NUM_THREADS": "1",  # its threads would wait in a loop, and hold buffers
    "OPENCV_LOG_LEVEL": "ERROR",
    "OPENCV_IO_MAX_IMAGE_PIXELS": str(MAX_PIXELS),
    "PYTHONUNBUFFERED": "1",
}
_LAST_WORDS_BYTES = 2000
ON_HOST = Target()
"""The target of processes that any work of this machine can use."""


class WorkerDiedError(Exception):
    """The worker process ended without an answer; the message is what it left on its error stream."""


class WorkerProcess:
    """A worker process, seen from the supervisor."""

    def __init__(self, environment: Mapping[str, str] | None = None) -> None:
        """Starts a process, with more environment variables if there are any."""
        self._errors = tempfile.TemporaryFile()  # noqa: SIM115  # closed by __exit__
        self._process = subprocess.Popen(
            module_command("faceloom.worker"),
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=self._errors,
            env={**WORKER_SETTINGS, **os.environ, **module_environment(), **(environment or {})},
        )

    def end(self) -> None:
        """Ends the process at once: whatever it was doing has not been committed."""
        self._process.kill()
        self._process.wait()

    def close(self) -> None:
        """Frees what is left of a process that has ended, when nobody receives from it any more."""
        for stream in (self._process.stdin, self._process.stdout, self._errors):
            with contextlib.suppress(OSError):
                stream.close()  # type: ignore[union-attr]

    @property
    def pid(self) -> int:
        """The process's id."""
        return self._process.pid

    def send(self, request: Request) -> None:
        """Sends the worker a request; requests are done in order.

        Raises:
            WorkerDiedError: nobody hears it.
        """
        assert self._process.stdin is not None
        try:
            pickle.dump(request, self._process.stdin)
            self._process.stdin.flush()
        except OSError as error:
            raise self._death() from error

    def receive(self) -> tuple[Held, Answer]:
        """Waits for the worker's next answer, which comes with what the process holds.

        Raises:
            WorkerDiedError: there will be none.
        """
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
        words = self._errors.read().decode(errors="replace").strip().splitlines()
        how = f"by signal {signal.Signals(-code).name}" if code < 0 else f"with exit code {code}"
        return WorkerDiedError(f"the worker process ended {how}" + (f" ({words[-1]})" if words else ""))


class PooledWorker:
    """One worker process and the requests that it has not answered."""

    def __init__(self, heard: "queue.SimpleQueue[tuple[PooledWorker, Answer]]", target: Target) -> None:
        self._heard = heard
        self.target = target
        """The device that this worker drives."""
        self._process = WorkerProcess(dict(target.device.environment))
        self.open: deque[Request] = deque()
        self.held = Held()
        """What the process holds, as of its last answer."""
        self._peak_bytes = 0
        self.is_fresh = True
        """Whether it has at most been given a limit and read a few headers, and so holds no more than a new process."""
        self._requests = 0
        self._thread = threading.Thread(target=self._listen, name="faceloom-ear", daemon=True)
        self._thread.start()

    @property
    def pid(self) -> int:
        """The process's id."""
        return self._process.pid

    @property
    def peak_bytes(self) -> int:
        """The most RAM that the process has held, by what the system says, or else by its last answer."""
        self._peak_bytes = max(self._peak_bytes, self.held.peak_bytes, peak_bytes(self.pid))
        return self._peak_bytes

    def send(self, request: Request) -> None:
        """Sends the worker a request; if it is dead, that is received in place of an answer."""
        if not isinstance(request, Confine):
            self._requests += 1
            self.is_fresh = isinstance(request, Probe) and self._requests == 1
        if not isinstance(request, Begin | Confine):
            self.open.append(request)
        with suppress(WorkerDiedError):
            self._process.send(request)

    def end(self) -> None:
        """Ends the process at once: what it was doing has not been committed."""
        self._process.end()
        self._thread.join()
        self._process.close()

    def _listen(self) -> None:
        while True:
            try:
                self.held, answer = self._process.receive()
            except WorkerDiedError as death:
                answer = Died(str(death))
            self._heard.put((self, answer))
            if isinstance(answer, Died | Fatal):
                return


class WorkerPool:
    """The workers of a run; answers of workers that have been stopped are dropped."""

    def __init__(self) -> None:
        self._heard: queue.SimpleQueue[tuple[PooledWorker, Answer]] = queue.SimpleQueue()
        self.workers: list[PooledWorker] = []
        self.peak_bytes = 0
        """The largest sum, at any time, of the peaks of the workers that were there."""

    def start(self, number: int, first: Begin | Confine | None = None, *, on: Target = ON_HOST) -> None:
        """Starts workers until there are so many on a device, and tells the new ones something first, which has no
        answer.

        A job is told to all that are fresh.
        """
        present = self.on(on)
        started = tuple(PooledWorker(self._heard, on) for _ in range(number - len(present)))
        self.workers += started
        for worker in present + started if isinstance(first, Begin) else started:
            if first is not None and worker.is_fresh:
                worker.send(first)

    def on(self, target: Target) -> tuple[PooledWorker, ...]:
        """Returns the workers of a device."""
        return tuple(worker for worker in self.workers if worker.target.name == target.name)

    def stop(self, *workers: PooledWorker) -> None:
        """Ends workers; all of them if none are named."""
        self._note_peak()
        for worker in workers or tuple(self.workers):
            self.workers.remove(worker)
            worker.end()

    def _note_peak(self) -> None:
        self.peak_bytes = max(self.peak_bytes, sum(worker.peak_bytes for worker in self.workers))

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
        return sum(held_bytes(worker.pid) for worker in self.workers)

    def receive(self, *, within_s: float | None = None) -> tuple[PooledWorker, Request | None, Answer]:
        """The next answer of any worker, and its oldest open request, which that answers; `Reading` answers none.

        A worker that `Died`, or on a card said why it cannot go on, has to be stopped; its open requests are still in
        its list.

        Raises:
            FaceloomError: another worker said why it cannot go on.
            queue.Empty: nobody has answered within so many seconds.
        """
        while True:
            worker, answer = self._heard.get(timeout=within_s)
            if worker not in self.workers:
                continue
            self._note_peak()
            if isinstance(answer, Fatal) and not worker.target.has_memory:
                raise answer.error
            answers_one = not isinstance(answer, Reading | Died | Fatal)
            return worker, worker.open.popleft() if answers_one else None, answer
