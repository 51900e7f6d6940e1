"""The worker in a process of its own: `python -m faceloom.worker`, spoken to over its standard streams."""

import gc
import os
import pickle
import queue
import signal
import sys
import threading
import time
from collections.abc import Callable
from dataclasses import replace
from typing import IO

from faceloom.choices import ChipFormat
from faceloom.engines.runtime import CPU
from faceloom.errors import BudgetError, FaceloomError, InstallationError, NotMovingError, StageError
from faceloom.faults import fault_of, limit_in_words
from faceloom.job import Job
from faceloom.media.numbered import digest_of, is_pattern
from faceloom.media.parts import parts_of
from faceloom.media.sniffing import Content, by_suffix
from faceloom.media.sources import Shape, Source, is_guess
from faceloom.memory.ceilings import NO_CEILING, ProcessCeiling
from faceloom.memory.usage import held_bytes, peak_bytes
from faceloom.messages import (
    Answer,
    Begin,
    Confine,
    Count,
    Counted,
    Do,
    Done,
    FacesRead,
    Fatal,
    Guess,
    Held,
    Locate,
    Located,
    Measure,
    Measured,
    Probe,
    Probed,
    ReadFaces,
    Reading,
    Request,
    Starved,
    TryOut,
)
from faceloom.starting import importing
from faceloom.store.privacy import keep_private
from faceloom.units import MIB
from faceloom.worker.ahead import ChunkLine

_SWITCH_S = 0.0005
"""Of the interpreter, between lanes: by default the one that feeds a device may have to wait for 5 ms."""
_LATER_PAGES_BYTES = 8 * MIB
"""Pages of libraries that are touched when a codec is first used: they are held, and no limit counts them."""


def main() -> None:
    """Runs the process: answers requests until there are no more, or until nobody is left to hear the answers."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the terminal sends it to all; the supervisor decides
    answers = os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)  # whatever native code prints must not get between answers
    requests: queue.SimpleQueue[Request | BaseException] = queue.SimpleQueue()
    threading.Thread(target=_listen, args=(sys.stdin.buffer, requests), daemon=True).start()
    speaker = _Speaker(answers)
    try:
        _serve(requests, speaker)
    except FaceloomError as error:
        speaker.say(Fatal(error))
    except MemoryError as error:
        speaker.say(Starved("worker", str(error)))
    except Exception as error:  # handed to the supervisor, which ends the run with it
        speaker.say(Fatal(_in_our_words(error)))


def _in_our_words(error: Exception) -> FaceloomError:
    """An error that nobody has thought of, or one that a limit or a broken installation brings about."""
    limit = limit_in_words(error)
    if limit is not None:
        return BudgetError(limit, stage="worker")
    if isinstance(error, ImportError):
        what = f"a library cannot be loaded ({type(error).__name__}: {error})"
        return InstallationError(f"the installation is broken: {what}; install faceloom anew", stage="worker")
    return StageError(f"the worker failed: {error!r}", stage="worker")


def _listen(stream: IO[bytes], requests: "queue.SimpleQueue[Request | BaseException]") -> None:
    """Hears requests even while one is under way, so that a supervisor that is gone is noticed at once."""
    while True:
        try:
            requests.put(pickle.load(stream))
        except (EOFError, OSError, pickle.UnpicklingError):
            os._exit(0)


class _Speaker:
    """Sends answers, and now and then how far the chunks in hand are."""

    def __init__(self, stream: IO[bytes]) -> None:
        self._stream = stream
        self._lock = threading.Lock()
        self._frames = 0
        self._last_report = 0.0
        self.held: Callable[[], Held] = _held
        """Tells what the process holds."""
        self.every_s = 0.0
        """How often it says how far the chunks in hand are, at most."""

    def say(self, answer: Answer) -> None:
        with self._lock:
            # Of the next chunk some may have been read.
            self._frames = max(0, self._frames - len(answer.rows.frames)) if isinstance(answer, Done) else 0
            self._send(answer)

    def count(self, frames: int, phase: int) -> None:
        with self._lock:
            self._frames += frames
            now = time.monotonic()
            if now - self._last_report >= self.every_s:
                self._last_report = now
                self._send(Reading(self._frames, phase))

    def _send(self, answer: Answer) -> None:
        held = _held() if isinstance(answer, Fatal) else self.held()  # a device that is lost is not asked
        pickle.dump((held, answer), self._stream)
        self._stream.flush()


def _held() -> Held:
    return Held(peak_bytes=peak_bytes())


def _serve(requests: "queue.SimpleQueue[Request | BaseException]", speaker: _Speaker) -> None:
    line, ceiling = None, NO_CEILING
    while True:
        match requests.get():
            case Begin(job):
                line = _begin(job, requests, speaker)
            case Confine() as request:
                ceiling = _confine(request)
            case Count() as request:
                ceiling.tighten()
                speaker.say(_count(request))
            case Locate(source):
                ceiling.tighten()
                speaker.say(_locate(source))
            case Probe(sources):
                speaker.say(Probed(sources, tuple(map(_look, sources))))
            case TryOut(source):
                ceiling.tighten()
                speaker.say(_try_out(source))
            case ReadFaces() as request:
                speaker.say(_tell(request))
            case Do() as request:
                assert line is not None
                line.give(request)
            case Measure() as request:
                speaker.say(_measure(request, speaker))
            case Guess() as request:
                from faceloom.worker.measuring import guess

                speaker.say(Measured(guess(request)))
            case BaseException() as error:
                raise error


def _begin(job: Job, requests: "queue.SimpleQueue[Request | BaseException]", speaker: _Speaker) -> ChunkLine:
    """Makes this process a worker of a job."""
    _prepare_libraries(job)
    if not job.outputs.share:
        keep_private()
    from faceloom.engines.heap import keep_freed
    from faceloom.worker.worker import Worker

    if job.trim_above_bytes:
        keep_freed()
    if job.plan.lanes > 1:
        sys.setswitchinterval(_SWITCH_S)
    worker = Worker(job, ProcessCeiling(job.worker_bytes))
    speaker.held, speaker.every_s = worker.held, job.report_every_s
    return ChunkLine(worker, on_progress=speaker.count, say=speaker.say, on_error=requests.put)


def _prepare_libraries(job: Job | None = None) -> int:
    """Imports everything that a job needs, or any, so that all a worker takes from then on is for its work.

    What it gives are the bytes of RAM that are held for videos alone.
    """
    with importing():
        import cv2

        if job is None or job.outputs.chip_format is ChipFormat.WEBP:
            from faceloom.media.pillow import know_other_formats

            know_other_formats()
    cv2.setNumThreads(1)  # workers share the cores already
    return _prepare_for_videos() if job is None or job.has_videos else 0


def _prepare_for_videos() -> int:
    """Imports what reads videos, and gives the bytes of RAM that are held for it."""
    held = held_bytes()
    with importing():
        import faceloom.media.videos  # noqa: F401
    return max(0, held_bytes() - held)


def _measure(request: Measure, speaker: _Speaker) -> Answer:
    video_bytes = _prepare_libraries()
    from faceloom.worker.measuring import measure

    # A card's runtime reserves address space at will.
    ceiling = ProcessCeiling(request.worker_bytes if request.runtime.device == CPU else 0)
    speaker.held = lambda: Held(peak_bytes=max(ceiling.peak_bytes, peak_bytes()))
    try:
        return Measured(replace(measure(request, ceiling), video_bytes=video_bytes))
    except FaceloomError:
        raise
    except Exception as error:  # on noise; on pictures the plugin may do well
        return Starved(request.stage.name, repr(error))


def _confine(request: Confine) -> ProcessCeiling:
    """Limits this process, once it holds all libraries that counting and reading headers need."""
    with importing():
        import faceloom.media.headers

        if request.has_videos:
            import faceloom.media.video_index  # noqa: F401

    return ProcessCeiling(max(1, request.worker_bytes - _LATER_PAGES_BYTES))


def _look(source: Source) -> Shape | None:
    from faceloom.media.headers import look

    try:
        return look(source)
    except MemoryError:  # reading it will say so too
        return None


def _try_out(source: Source) -> Probed | Starved:
    from faceloom.frame import Frame
    from faceloom.media.headers import shape_read
    from faceloom.media.reading import read_still

    try:
        answer = read_still(source)
    except MemoryError:
        return Starved("reading", f"{source.name} does not tell its size, and cannot be read")
    if not isinstance(answer, Frame):  # reading it will say why
        return Probed((source,), (None,))
    height, width = answer.image.shape[:2]
    return Probed((source,), (shape_read(height, width, source.path.stat().st_size),))


def _locate(source: Source) -> Located | Starved:
    from faceloom.media.locating import locate

    gc.collect()
    try:
        return Located(source, locate(source.path))
    except MemoryError as error:
        return _starved_counting(error)
    except Exception as error:  # then the video is fetched whole
        return Located(source, reason=str(error) or type(error).__name__)


def _count(request: Count) -> Counted | Starved:
    from faceloom.media.numbered_index import index_numbered
    from faceloom.media.soundness import raise_if_broken, read_sound_video
    from faceloom.media.video_index import TooLargeError, index_video

    path = request.source.path
    gc.collect()  # containers and streams of the one before hold each other
    try:
        index = index_numbered(path, request.rate) if is_pattern(path) else index_video(path)
        return Counted(request.source, index, sha256="" if parts_of(path) else digest_of(path))
    except TooLargeError as error:
        return Starved("counting", str(error), error.shape)
    except MemoryError as error:
        return _starved_counting(error)
    except NotMovingError as error:
        return Counted(request.source, reason=str(error), is_input=by_suffix(path.suffix) is Content.VIDEO)
    except Exception as error:  # becomes the reason in the video's row
        try:
            raise_if_broken(error, read_sound_video)
        except MemoryError as short:
            return _starved_counting(short)
        reason = str(error) or type(error).__name__
        return Counted(request.source, reason=reason, is_input=not is_guess(path), fault=fault_of(error))


def _starved_counting(error: MemoryError) -> Starved:
    return Starved("counting", str(error) or "its frames cannot be counted")


def _tell(request: ReadFaces) -> FacesRead | Starved:
    from faceloom.errors import MediaError
    from faceloom.formats.registry import format_to_read
    from faceloom.store.known import write_known

    keep_private()
    title = format_to_read(request.format)
    try:
        write_known(title.read(request.file), request.database)
    except MemoryError as error:
        return Starved("reading", str(error) or "out of memory")
    except ValueError as error:
        raise MediaError(f"{request.file} cannot be used: {error}", path=request.file) from error
    return FacesRead()
