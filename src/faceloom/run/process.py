"""The worker in a process of its own: `python -m faceloom.run.process`, spoken to over its standard streams."""

import contextlib
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
from pathlib import Path
from types import TracebackType
from typing import IO, Self

from faceloom.errors import FaceloomError, StageError
from faceloom.media.sources import MAX_PIXELS
from faceloom.run.messages import Answer, Begin, Count, Counted, Do, Done, Fatal, Reading, Request
from faceloom.units import MIB

_REPORT_EVERY_S = 0.2
_LAST_WORDS_BYTES = 2000


class WorkerDiedError(Exception):
    """The worker process ended without a word; the message is what it left on its error stream."""


class WorkerProcess:
    """A worker process, seen from the supervisor."""

    def __init__(self) -> None:
        self._errors = tempfile.TemporaryFile()  # noqa: SIM115  # closed by __exit__
        paths = os.pathsep.join(path for path in sys.path if path)
        self._process = subprocess.Popen(
            [sys.executable, "-m", "faceloom.run.process"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=self._errors,
            env={**_SETTINGS, **os.environ, "PYTHONPATH": paths},
        )

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Ends the process at once: whatever it was doing has not been committed."""
        self._process.kill()
        self._process.wait()
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

    def receive(self) -> Answer:
        """Waits for the worker's next answer.

        Raises:
            WorkerDiedError: there will be none.
            FaceloomError: the worker said why it cannot go on.
        """
        assert self._process.stdout is not None
        try:
            answer: Answer = pickle.load(self._process.stdout)
        except (EOFError, OSError, pickle.UnpicklingError) as error:
            raise self._death() from error
        if isinstance(answer, Fatal):
            raise answer.error
        return answer

    def _death(self) -> WorkerDiedError:
        code = self._process.wait()
        self._errors.seek(0, os.SEEK_END)
        self._errors.seek(max(0, self._errors.tell() - _LAST_WORDS_BYTES))
        words = self._errors.read().decode(errors="replace").strip().splitlines()
        how = f"by signal {signal.Signals(-code).name}" if code < 0 else f"with exit code {code}"
        return WorkerDiedError(f"the worker process ended {how}" + (f" ({words[-1]})" if words else ""))


_SETTINGS = {
    # Frames and tensors come and go by the megabyte; by default glibc gives each back to the system and has it
    # faulted in again, 1,000 pages a frame of 1080p (measured: a tenth of the wall time).
    "MALLOC_MMAP_THRESHOLD_": str(64 * MIB),
    "MALLOC_TRIM_THRESHOLD_": str(256 * MIB),
    "MALLOC_ARENA_MAX": "1",
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

    def say(self, answer: Answer) -> None:
        with self._lock:
            self._frames = 0
            self._send(answer)

    def count(self, frames: int) -> None:
        from faceloom.memory.usage import peak_bytes

        with self._lock:
            self._frames += frames
            now = time.monotonic()
            if now - self._last_report >= _REPORT_EVERY_S:
                self._last_report = now
                self._send(Reading(self._frames, peak_bytes()))

    def _send(self, answer: Answer) -> None:
        pickle.dump(answer, self._stream)
        self._stream.flush()


def _serve(requests: "queue.SimpleQueue[Request]", speaker: _Speaker) -> None:
    worker = None
    while True:
        match requests.get():
            case Begin(job):
                import cv2
                from PIL import Image as PillowImage

                from faceloom.run.worker import Worker

                cv2.setNumThreads(1)  # the lanes share the cores already
                PillowImage.MAX_IMAGE_PIXELS = None  # our own limit is looked at first
                worker = Worker(job)
            case Count(source):
                speaker.say(_count(Count(source)))
            case Do(chunk, folder):
                assert worker is not None
                speaker.say(Done(worker.run(chunk, folder, on_frames=speaker.count)))


def _count(request: Count) -> Counted:
    from faceloom.media.videos import index_video

    path = request.source.path
    try:
        index = index_video(path)
        return Counted(request.source, index, _sha256(path), None)
    except Exception as error:  # becomes the reason in the video's row
        return Counted(request.source, None, "", str(error))


def _sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


if __name__ == "__main__":
    main()
