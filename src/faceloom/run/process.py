"""The worker in a process of its own: `python -m faceloom.run.process`, spoken to over its standard streams."""

import contextlib
import gc
import hashlib
import os
import pickle
import queue
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import IO, TYPE_CHECKING

from faceloom.errors import FaceloomError, StageError
from faceloom.media.sources import MAX_PIXELS, Shape, Source
from faceloom.memory.usage import peak_bytes
from faceloom.run.messages import (
    Answer,
    Begin,
    Confine,
    Count,
    Counted,
    Do,
    Done,
    Fatal,
    Guess,
    Held,
    Look,
    Looked,
    Measure,
    Measured,
    Reading,
    Request,
    Starved,
    Tell,
    Told,
)
from faceloom.units import MIB

if TYPE_CHECKING:
    from faceloom.run.worker import Worker

_REPORT_EVERY_S = 0.2
_LAST_WORDS_BYTES = 2000
_LATER_PAGES_BYTES = 16 * MIB
"""Of libraries, touched when a codec is used for the first time: they are held, and no limit counts them."""


class WorkerDiedError(Exception):
    """The worker process ended without a word; the message is what it left on its error stream."""


class WorkerProcess:
    """A worker process, seen from the supervisor."""

    def __init__(self, environment: Mapping[str, str] | None = None) -> None:
        """A process that is just beginning, with more variables if there are any."""
        self._errors = tempfile.TemporaryFile()  # noqa: SIM115  # closed by __exit__
        paths = os.pathsep.join(path for path in sys.path if path)
        self._process = subprocess.Popen(
            [sys.executable, "-m", "faceloom.run.process"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=self._errors,
            env={**WORKER_SETTINGS, **os.environ, "PYTHONPATH": paths, **(environment or {})},
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
        """Of the process."""
        return self._process.pid

    def send(self, request: Request) -> None:
        """Tells the worker something; it takes requests in order.

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


def main() -> None:
    """The process: answers requests until there are no more, or nobody is left to hear the answers."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the terminal sends it to all; the supervisor decides
    answers = os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)  # whatever native code prints must not get between answers
    requests: queue.SimpleQueue[Request] = queue.SimpleQueue()
    threading.Thread(target=_listen, args=(sys.stdin.buffer, requests), daemon=True).start()
    speaker = _Speaker(answers)
    try:
        _serve(requests, speaker)
    except FaceloomError as error:
        speaker.say(Fatal(error))
    except MemoryError as error:
        speaker.say(Starved("worker", str(error)))
    except Exception as error:  # handed to the supervisor, which ends the run with it
        speaker.say(Fatal(StageError(f"the worker failed: {error!r}", stage="worker")))


def _listen(stream: IO[bytes], requests: "queue.SimpleQueue[Request]") -> None:
    """Hears requests even while one is under way, so that a supervisor that is gone is noticed at once."""
    while True:
        try:
            requests.put(pickle.load(stream))
        except (EOFError, OSError, pickle.UnpicklingError):
            os._exit(0)


class _Speaker:
    """Sends answers, and now and then how far the present chunk is."""

    def __init__(self, stream: IO[bytes]) -> None:
        self._stream = stream
        self._lock = threading.Lock()
        self._frames = 0
        self._last_report = 0.0
        self.held: Callable[[], Held] = _held
        """Says what the process holds."""

    def say(self, answer: Answer) -> None:
        with self._lock:
            self._frames = 0
            self._send(answer)

    def count(self, frames: int, phase: int) -> None:
        with self._lock:
            self._frames += frames
            now = time.monotonic()
            if now - self._last_report >= _REPORT_EVERY_S:
                self._last_report = now
                self._send(Reading(self._frames, phase))

    def _send(self, answer: Answer) -> None:
        held = _held() if isinstance(answer, Fatal) else self.held()  # a device that is lost is not asked
        pickle.dump((held, answer), self._stream)
        self._stream.flush()


def _held() -> Held:
    return Held(peak_bytes=peak_bytes())


def _serve(requests: "queue.SimpleQueue[Request]", speaker: _Speaker) -> None:
    worker = None
    while True:
        match requests.get():
            case Begin(job):
                _prepare_libraries()
                from faceloom.engines.heap import keep_freed
                from faceloom.memory.ceilings import limit_process
                from faceloom.run.worker import Worker

                if job.limit_bytes:
                    limit_process(job.limit_bytes)
                if job.has_loose_heap:
                    keep_freed()
                worker = Worker(job)
                speaker.held = worker.held
            case Confine(limit_bytes):
                _confine(limit_bytes)
            case Count() as request:
                speaker.say(_count(request))
            case Look(sources):
                speaker.say(Looked(sources, tuple(map(_look, sources))))
            case Tell() as request:
                speaker.say(_tell(request))
            case Do() as request:
                assert worker is not None
                speaker.say(_do(worker, request, speaker))
            case Measure() as request:
                speaker.say(_measure(request))
            case Guess() as request:
                from faceloom.run.guessing import guess

                speaker.say(Measured(guess(request)))


def _prepare_libraries() -> None:
    """Imports everything that a worker ever needs, so that what it holds from then on is its work."""
    import cv2

    import faceloom.run.worker  # noqa: F401

    cv2.setNumThreads(1)  # workers share the cores already
    gc.freeze()  # what has been imported stays: collections need not look at it


def _measure(request: Measure) -> Answer:
    _prepare_libraries()
    from faceloom.run.measure import measure

    try:
        return Measured(measure(request))
    except FaceloomError:
        raise
    except Exception as error:  # on noise; on pictures the plugin may do well
        return Starved(request.stage.name, repr(error))


def _do(worker: "Worker", request: Do, speaker: _Speaker) -> Answer:
    from faceloom.run.pipeline import StarvedError

    try:
        return Done(worker.run(request.chunk, request.folder, known=request.known, on_progress=speaker.count))
    except StarvedError as error:
        return Starved(error.stage, str(error))
    except MemoryError as error:
        return Starved("worker", str(error) or "out of memory")


def _confine(limit_bytes: int) -> None:
    """Limits this process once it holds all that counting and looking need of libraries."""
    import faceloom.media.headers
    import faceloom.media.video_index  # noqa: F401
    from faceloom.memory.ceilings import limit_process

    limit_process(limit_bytes - _LATER_PAGES_BYTES, holes_bytes=0)


def _look(source: Source) -> Shape | None:
    from faceloom.media.headers import look

    try:
        return look(source)
    except MemoryError:  # reading it will say so too
        return None


def _count(request: Count) -> Counted | Starved:
    from faceloom.media.video_index import index_video

    path = request.source.path
    gc.collect()  # containers and streams of the one before hold each other
    try:
        index = index_video(path)
        return Counted(request.source, index, sha256=_sha256(path))
    except MemoryError as error:
        return Starved("counting", str(error) or "its frames cannot be counted")
    except Exception as error:  # becomes the reason in the video's row
        return Counted(request.source, reason=str(error) or type(error).__name__)


def _tell(request: Tell) -> Told | Starved:
    from faceloom.errors import MediaError
    from faceloom.formats.registry import format_named
    from faceloom.store.known import write_known

    title = format_named(request.format)
    try:
        write_known(title.read(request.file), request.database)
    except MemoryError as error:
        return Starved("reading", str(error) or "out of memory")
    except ValueError as error:
        raise MediaError(f"{request.file} cannot be used: {error}", path=request.file) from error
    return Told()


def _sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


if __name__ == "__main__":
    main()
