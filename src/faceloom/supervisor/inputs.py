"""The inputs of a run: every source gets its rows, videos are counted, and the headers of pictures are read."""

import stat
from collections.abc import Callable, Collection, Iterator, Sequence
from fractions import Fraction
from pathlib import Path

from faceloom.errors import MediaError, RequestError
from faceloom.events import FORGOTTEN, OUT_OF_MEMORY, SOURCE_CHANGED, WORKER_RESTARTED, Counting, Notice, OnEvent
from faceloom.media.excerpts import WHOLE, Excerpt
from faceloom.media.extents import Extents
from faceloom.media.listing import Inputs
from faceloom.media.sources import Found, Missing, PassedOver, Source, SourceKind, longer_names
from faceloom.messages import (
    Answer,
    Confine,
    Count,
    Counted,
    Died,
    Locate,
    Located,
    Probe,
    Probed,
    Request,
    Starved,
    TryOut,
)
from faceloom.store.frames import STARVED
from faceloom.store.sources import Known
from faceloom.store.store import Store
from faceloom.supervisor.fetching import Unfetched
from faceloom.supervisor.workers import WorkerPool

ShouldStop = Callable[[], bool]
"""Asked now and then; True ends the run after the chunks in hand."""

_NOT_THERE = "there is no such file"
_NO_INPUT = "neither pictures nor video"
_SOURCES_A_TRANSACTION = 500
_LOOKS_A_REQUEST = 200
_SMALL_BYTES = 64
"""A picture of any kind has a header, and some pixels."""


def add_inputs(
    inputs: Inputs,
    store: Store,
    pool: WorkerPool,
    *,
    excerpt: Excerpt = WHOLE,
    worker_bytes: int,
    unfetched: Sequence[Unfetched] = (),
    retry_failed: bool = False,
    on_event: OnEvent,
    should_stop: ShouldStop,
) -> None:
    """Gives every source under the inputs its rows, and every frame its size as far as that can be known.

    Of a video only the frames of the excerpt get rows.

    What failed before is done again where that can help, or all of it with `retry_failed`.

    The process that looks into the files may hold `worker_bytes`. A video for which that is too little
    is a failed frame until the next run.
    """
    _add_sources(inputs, store, on_event=on_event, should_stop=should_stop)
    has_videos = next(store.sources.uncounted(), None) is not None
    prober = _Prober(pool, Confine(worker_bytes, has_videos=has_videos), on_event=on_event)
    store.frames.retry(every=retry_failed)
    with store.sources.adding():
        for one in unfetched:
            store.sources.fail_fetching(one.source, one.reason)
    named = frozenset(path.absolute() for path in inputs.roots)
    _count_videos(prober, store, excerpt, rate=inputs.rate, named=named, on_event=on_event, should_stop=should_stop)
    _look_at_pictures(prober, store, should_stop=should_stop)


def locate_packets(source: Source, pool: WorkerPool, *, worker_bytes: int, on_event: OnEvent) -> Extents | str:
    """Where the packets of a video lie, of which only the index is here; or why that cannot be told."""
    answer = _Prober(pool, Confine(worker_bytes, has_videos=True), on_event=on_event).ask(Locate(source))
    if isinstance(answer, Located):
        return answer.extents or answer.reason
    assert isinstance(answer, Died | Starved)
    return answer.reason


def _add_sources(inputs: Inputs, store: Store, *, on_event: OnEvent, should_stop: ShouldStop) -> None:
    """Gives every source under the inputs its rows, but for the frames of videos.

    Raises:
        RequestError: all of them were forgotten.
    """
    sources = inputs.find()
    found = new = forgotten = 0
    while not should_stop() and (group := _take(sources, _SOURCES_A_TRANSACTION)):
        changed = []
        with store.sources.adding():
            for source in group:
                if isinstance(source, PassedOver):
                    store.sources.pass_over(source)
                    continue
                found += 1
                named, known = _add(source, store)
                forgotten += known is Known.FORGOTTEN
                new += known in {Known.NEW, Known.CHANGED} and named.kind is SourceKind.PICTURE
                if known is Known.CHANGED:
                    changed.append(named.name)
        on_event(Counting(sources=found, frames=new))
        for name in changed:
            text = f"{name} has changed since it was last read; doing it again"
            on_event(Notice(kind=SOURCE_CHANGED, text=text))
    # Without their names, which would be in the store again.
    if forgotten and forgotten == found:
        raise RequestError(
            "all inputs were forgotten in this result folder, which leaves them out; choose another --out"
        )
    if forgotten:
        text = f"inputs that were forgotten in this result folder, and are left out: {forgotten:,}"
        on_event(Notice(kind=FORGOTTEN, text=text))


def _add(found: Source | Missing, store: Store) -> tuple[Source, Known]:
    """Gives a source its row, and its frame one if it is a picture, or is not there."""
    is_there = isinstance(found, Source)
    source = found if isinstance(found, Source) else Source(name=found.name, path=found.path, kind=SourceKind.PICTURE)
    named, known = store.sources.add(source, other_names=longer_names(source))
    if known in {Known.NEW, Known.CHANGED} and not is_there:
        store.sources.add_failed(named, _NOT_THERE)
    elif known in {Known.NEW, Known.CHANGED} and named.kind is SourceKind.PICTURE:
        store.sources.add_picture(named)
    return named, known


def _count_videos(
    prober: "_Prober",
    store: Store,
    excerpt: Excerpt,
    *,
    rate: Fraction,
    named: Collection[Path],
    on_event: OnEvent,
    should_stop: ShouldStop,
) -> None:
    """Gives every wanted frame of every video its row; a file that turns out to be none has one if it was named."""
    frames = 0
    for number, source in enumerate(store.sources.uncounted(), start=1):
        if should_stop():
            return
        answer, shape = prober.ask(Count(source, rate)), None
        if isinstance(answer, Died | Starved):  # it may have been for another reason than this video
            answer = prober.ask(Count(source, rate))
        if isinstance(answer, Died | Starved):
            shape = answer.shape if isinstance(answer, Starved) else None
            answer = Counted(source, reason=(STARVED if isinstance(answer, Starved) else "") + answer.reason)
        assert isinstance(answer, Counted)
        with store.sources.adding():
            if shape is not None:
                store.sources.add_failed(source, answer.reason or "unreadable", shape=shape)
            elif answer.is_input or source.path in named:
                frames += _add_video(store, source, answer, excerpt)
            else:
                store.sources.drop(source, _NO_INPUT)
        on_event(Counting(sources=number, frames=frames))


def _add_video(store: Store, source: Source, counted: Counted, excerpt: Excerpt) -> int:
    """Gives a video's frames their rows, or one row that says why there are none; returns how many are to be done."""
    if counted.index is None:
        store.sources.add_failed(source, counted.reason or "unreadable", counted.fault)
        return 0
    try:
        wanted = excerpt.frames(counted.index)
    except MediaError as error:
        store.sources.add_failed(source, str(error))
        return 0
    problem = counted.index.problem
    if problem and not wanted and wanted.stop == len(counted.index.keyframes):  # there may have been some, cut off
        store.sources.add_failed(source, problem)
        return 0
    store.sources.add_video(source, counted.index, sha256=counted.sha256 or None, wanted=wanted)
    return len(wanted)


def _look_at_pictures(prober: "_Prober", store: Store, *, should_stop: ShouldStop) -> None:
    """Notes the size of each picture: by its header, or else by reading it in a process that does nothing else."""
    untold: list[Source] = []
    for sources in store.sources.unsized(_LOOKS_A_REQUEST):
        if should_stop():
            return
        answer = prober.ask(Probe(sources))
        if isinstance(answer, Probed):  # otherwise a header killed it: reading will say which
            with store.sources.adding():
                for source, shape in zip(answer.sources, answer.shapes, strict=True):
                    if shape is not None:
                        store.sources.add_shape(source, shape)
                    elif _may_be_large(source):
                        untold.append(source)
    for source in untold:
        if should_stop():
            return
        answer = prober.ask(TryOut(source))
        if isinstance(answer, Probed) and answer.shapes[0] is not None:  # otherwise reading will say why not
            with store.sources.adding():
                store.sources.add_shape(source, answer.shapes[0])


def _may_be_large(source: Source) -> bool:
    """Whether there is more in a file than in the smallest pictures."""
    try:
        state = source.path.stat()
    except OSError:
        return False
    return stat.S_ISREG(state.st_mode) and state.st_size > _SMALL_BYTES


class _Prober:
    """One worker process that counts videos and reads headers; if it is lost, the next request starts another."""

    def __init__(self, pool: WorkerPool, first: Confine, *, on_event: OnEvent) -> None:
        self._pool = pool
        self._first = first
        self._on_event = on_event

    def ask(self, request: Request) -> Answer:
        """Sends a request and returns the answer."""
        self._pool.start(1, self._first)
        (worker,) = self._pool.workers
        worker.send(request)
        _, _, answer = self._pool.receive()
        match answer:
            case Died(reason):
                self._replace(Notice(kind=WORKER_RESTARTED, text=f"{reason}; starting another"))
            case Starved(_, reason):
                self._replace(Notice(kind=OUT_OF_MEMORY, text=f"{STARVED}{reason}; starting another worker"))
        return answer

    def _replace(self, notice: Notice) -> None:
        self._pool.stop()
        self._on_event(notice)


def _take(sources: Iterator[Found], limit: int) -> list[Found]:
    return [source for _, source in zip(range(limit), sources, strict=False)]
