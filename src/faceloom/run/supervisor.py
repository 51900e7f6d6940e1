"""The supervisor: counts the inputs, hands chunks to a worker process, writes the store. It never sees a pixel."""

import time
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, suppress
from dataclasses import dataclass
from itertools import count
from pathlib import Path
from types import TracebackType
from typing import Self

from faceloom.errors import MediaError, StageError
from faceloom.faces import FrameId
from faceloom.media.chunks import Chunk, Span, cut_chunks, halves
from faceloom.media.sources import Source, SourceKind, find_sources, longer_names
from faceloom.memory.usage import peak_bytes
from faceloom.run.events import Event, Looking, Notice, OnEvent, Progress, Summary
from faceloom.run.job import Job
from faceloom.run.messages import Answer, Begin, Count, Counted, Do, Done, Reading, Request
from faceloom.run.process import WorkerDiedError, WorkerProcess
from faceloom.store.rows import ChunkRows, FrameRow, Status
from faceloom.store.store import Known, Store

ShouldStop = Callable[[], bool]
"""Asked between answers of the worker; True ends the run after the chunk in hand."""

_AHEAD = 2
"""Chunks that the worker has been told of, so that it need not wait for the next one."""
_SOURCES_A_TRANSACTION = 500
_HOPELESS_DEATHS = 8
_FAILURES_TOLD = 20


def run_job(
    job: Job,
    inputs: Sequence[Path],
    store: Store,
    *,
    on_event: OnEvent,
    should_stop: ShouldStop = lambda: False,
) -> Summary:
    """Takes every frame of the inputs through the plan, and tells how it ended.

    Raises:
        MediaError: there is no picture and no video among the inputs.
        StageError: a stage cannot be loaded or breaks its contract.
        StoreError: the store or the result folder can no longer be written.
    """
    started = time.monotonic()

    def tell(event: Event) -> None:
        if isinstance(event, Notice):
            store.add_event(event.kind, {"text": event.text})
        on_event(event)

    _take_up_sources(inputs, store, on_event=tell, should_stop=should_stop)
    with _Crew(job, tell) as crew:
        _count_videos(crew, store, on_event=tell, should_stop=should_stop)
        before = store.counts()
        if not before.pending + before.done + before.failed and not should_stop():
            raise MediaError(f"no picture and no video among {', '.join(map(str, inputs))}")
        progress = _Meter(job, store, on_event)
        stopped = _do_chunks(job, crew, store, progress=progress, should_stop=should_stop)
        restarts, worker_peak_bytes = crew.restarts, crew.peak_bytes
    counts = store.counts()
    return Summary(
        frames=counts.done + counts.failed,
        faces=counts.faces,
        failed=counts.failed,
        skipped=before.done + before.failed,
        seconds=time.monotonic() - started,
        peak_bytes=peak_bytes() + worker_peak_bytes,
        worker_restarts=restarts,
        plan=job.plan.to_json(),
        failures=tuple(f"{name}#{index}: {reason}" for name, index, reason in store.failures(_FAILURES_TOLD)),
        outcome="interrupted" if stopped else "done",
    )


class _Crew:
    """The worker process and what it has been told; a new one takes over when it dies."""

    def __init__(self, job: Job, on_event: OnEvent) -> None:
        self._job = job
        self._on_event = on_event
        self._stack = ExitStack()
        self._open: deque[Request] = deque()
        self._peak_bytes = 0
        self._deaths_in_a_row = 0
        self.restarts = 0

    def __enter__(self) -> Self:
        self._start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._stack.close()

    @property
    def peak_bytes(self) -> int:
        """Most bytes that a worker process has held."""
        return self._peak_bytes

    @property
    def open_requests(self) -> int:
        """Requests that have not been answered."""
        return len(self._open)

    def send(self, request: Request) -> None:
        """Asks for something."""
        self._open.append(request)
        self._tell(request)

    def receive(self) -> Answer:
        """The next answer, in the order of the requests.

        Raises:
            WorkerDiedError: it died at the oldest request, which is withdrawn; a new worker knows the others.
        """
        try:
            answer = self._worker.receive()
        except WorkerDiedError as death:
            self._deaths_in_a_row += 1
            if self._deaths_in_a_row == _HOPELESS_DEATHS:
                raise StageError(f"no worker lives long enough to finish anything: {death}", stage="worker") from death
            self._replace(str(death))
            raise
        if isinstance(answer, Reading | Done):
            held = answer.peak_bytes if isinstance(answer, Reading) else answer.rows.peak_bytes
            self._peak_bytes = max(self._peak_bytes, held)
        if not isinstance(answer, Reading):
            self._deaths_in_a_row = 0
            self._open.popleft()
        return answer

    def _replace(self, why: str) -> None:
        self.restarts += 1
        self._on_event(Notice(kind="worker_restarted", text=f"{why}; starting another"))
        self._stack.close()
        self._open.popleft()
        self._start()
        for request in self._open:
            self._tell(request)

    def _start(self) -> None:
        self._worker = self._stack.enter_context(WorkerProcess())
        self._tell(Begin(self._job))

    def _tell(self, request: Request) -> None:
        with suppress(WorkerDiedError):  # noticed when the answer is waited for
            self._worker.send(request)


def _take_up_sources(inputs: Sequence[Path], store: Store, *, on_event: OnEvent, should_stop: ShouldStop) -> None:
    """Gives every source under the inputs its rows, but for the frames of videos."""
    sources = find_sources(inputs)
    seen = new = 0
    while not should_stop() and (group := _take(sources, _SOURCES_A_TRANSACTION)):
        changed = []
        with store.adding():
            for source in group:
                named, known = store.add_source(source, other_names=longer_names(source))
                if known is Known.CHANGED:
                    changed.append(named.name)
                if known in {Known.NEW, Known.CHANGED} and named.kind is SourceKind.PICTURE:
                    store.add_picture(named)
                    new += 1
        seen += len(group)
        on_event(Looking(sources=seen, frames=new))
        for name in changed:
            text = f"{name} has changed since it was last read; doing it again"
            on_event(Notice(kind="source_changed", text=text))


def _count_videos(crew: _Crew, store: Store, *, on_event: OnEvent, should_stop: ShouldStop) -> None:
    """Gives every frame of every video its row."""
    frames = 0
    for number, source in enumerate(store.uncounted(), start=1):
        if should_stop():
            return
        answer = _count_video(crew, source)
        with store.adding():
            if answer.index is not None:
                store.add_video(source, answer.index, sha256=answer.sha256)
                frames += len(answer.index.keyframes)
            else:
                store.add_failed(source, answer.reason or "unreadable")
        on_event(Looking(sources=number, frames=frames))


def _count_video(crew: _Crew, source: Source) -> Counted:
    crew.send(Count(source))
    try:
        answer = crew.receive()
    except WorkerDiedError as death:
        return Counted(source, None, "", str(death))
    assert isinstance(answer, Counted)
    return answer


def _do_chunks(job: Job, crew: _Crew, store: Store, *, progress: "_Meter", should_stop: ShouldStop) -> bool:
    """Has every pending frame done and committed; True if it was asked to stop before."""
    agenda = _Agenda(cut_chunks(store.pending(), frames_a_chunk=job.plan.chunk_frames))
    while not should_stop():
        while crew.open_requests < _AHEAD and (chunk := agenda.begin()) is not None:
            crew.send(Do(chunk, store.files_of(chunk.number)))
        if not crew.open_requests:
            return False
        try:
            answer = crew.receive()
        except WorkerDiedError as death:
            lost = agenda.lose(str(death))
            if lost is not None:
                store.commit(lost)
                progress.commit(lost)
            continue  # what the dead worker wrote for the chunk is swept with the rest of the pending files
        if isinstance(answer, Reading):
            progress.read(answer.frames, held_bytes=crew.peak_bytes)
        elif isinstance(answer, Done):
            agenda.end()
            store.commit(answer.rows)
            progress.commit(answer.rows)
    return True


@dataclass(slots=True)
class _Attempt:
    """Spans that are to be done, and how many workers have died over them."""

    spans: tuple[Span, ...]
    deaths: int = 0
    number: int = -1


class _Agenda:
    """Which chunk is next. A chunk over which a second worker dies is halved, down to the frame that does it."""

    def __init__(self, cuts: Iterator[tuple[Span, ...]]) -> None:
        self._cuts = cuts
        self._again: deque[_Attempt] = deque()
        self._in_hand: deque[_Attempt] = deque()
        self._numbers = count()

    def begin(self) -> Chunk | None:
        """The next chunk; None when all have been begun."""
        if self._again:
            attempt = self._again.popleft()
        elif (spans := next(self._cuts, None)) is not None:
            attempt = _Attempt(spans)
        else:
            return None
        attempt.number = next(self._numbers)
        self._in_hand.append(attempt)
        return Chunk(number=attempt.number, spans=attempt.spans)

    def end(self) -> None:
        """The chunk begun first is done."""
        self._in_hand.popleft()

    def lose(self, reason: str) -> ChunkRows | None:
        """A worker died over the chunk begun first; its rows, if it is one frame and will not be tried again."""
        attempt = self._in_hand.popleft()
        attempt.deaths += 1
        if attempt.deaths == 1:
            self._again.append(attempt)
            return None
        if sum(map(len, attempt.spans)) > 1:
            self._again += [_Attempt(part, deaths=1) for part in halves(attempt.spans)]
            return None
        (span,) = attempt.spans
        frame = FrameRow(id=FrameId(span.source.name, span.first), status=Status.FAILED, reason=reason)
        return ChunkRows(number=attempt.number, frames=(frame,), faces=(), seconds=0, peak_bytes=0)


class _Meter:
    """Turns what is committed and read into progress."""

    def __init__(self, job: Job, store: Store, on_event: OnEvent) -> None:
        counts = store.counts()
        self._stages = tuple(stage.name for stage in job.flow.stages)
        self._on_event = on_event
        self._started = time.monotonic()
        self._before = counts.done + counts.failed
        self._total = self._before + counts.pending
        self._done = self._before
        self._faces = counts.faces
        self._held_bytes = 0
        self.read(0, held_bytes=0)

    def commit(self, rows: ChunkRows) -> None:
        self._done += len(rows.frames)
        self._faces += len(rows.faces)
        self.read(0, held_bytes=rows.peak_bytes)

    def read(self, frames: int, *, held_bytes: int) -> None:
        """Tells how far it is, with this many frames of the present chunk read."""
        self._held_bytes = max(self._held_bytes, held_bytes)
        done = min(self._done + frames, self._total)
        elapsed = time.monotonic() - self._started
        rate = (done - self._before) / elapsed if elapsed > 0 else 0.0
        self._on_event(
            Progress(
                stages=self._stages,
                frames=done,
                total_frames=self._total,
                faces=self._faces,
                frames_per_second=rate,
                eta_s=(self._total - done) / rate if rate > 0 else None,
                held_bytes=self._held_bytes + peak_bytes(),
            )
        )


def _take(sources: Iterator[Source], limit: int) -> list[Source]:
    return [source for _, source in zip(range(limit), sources, strict=False)]
