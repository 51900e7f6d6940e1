"""The pipeline of one phase: items go from a source through steps, on a few lanes, within bounds in bytes."""

import threading
from collections import deque
from collections.abc import Callable, Collection, Hashable, Iterator, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from types import TracebackType
from typing import Any, Protocol, Self

from faceloom.errors import ContractError, DeviceLostError, StoreError
from faceloom.memory.ceilings import is_out_of_memory
from faceloom.pipeline.schedule import READ, Idle, SourceState, StepState, choose


@dataclass(frozen=True, slots=True)
class Final:
    """A value that takes no further step."""

    value: Any


class Step(Protocol):
    """What happens to items at one place of a pipeline."""

    @property
    def stage(self) -> str:
        """The step's name."""

    @property
    def batch(self) -> int:
        """How many items one call takes; its memory is planned for that."""

    @property
    def together(self) -> int:
        """How many items it takes at once, for one call or several in a row."""

    def group(self, item: Any) -> Hashable:
        """The group of an item; items of one group can share a batch."""

    def run(self, items: Sequence[Any]) -> Sequence[Any]:
        """Does a batch and returns what becomes of it: any number of items, in any order."""

    def failed(self, item: Any, error: Exception) -> Any:
        """Returns what is left of an item that makes `run` fail even alone."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Feed:
    """Where items come from: calls that each read one."""

    reads: Iterator[Callable[[], Any]]
    parallel: bool
    """Whether the calls may run side by side; if not, they run one after another, in order."""


class StarvedError(Exception):
    """An item cannot be done in the memory there is, even alone and with everything given back that could be."""

    def __init__(self, stage: str) -> None:
        super().__init__(f"{stage} could not get the memory that it needs")
        self.stage = stage


SizeOf = Callable[[Any], int]
"""Tells how many bytes an item holds."""
OnStarved = Callable[[str, int], None]
"""Called with stage and size of each batch that did not fit, before it is tried again; frees what can be freed."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Bounds:
    """What a pipeline may hold."""

    size_of: SizeOf
    in_flight_bytes: int
    """Nothing is read while so much is under way, so that it is at most one item a lane more."""
    read_bytes: int = 0
    """What an item counts while it is being read, so that several reads do not exceed `in_flight_bytes` together."""
    keep_bytes: int | None = None
    """When so much has come out, nothing more is read; None for no bound."""
    tighten: Callable[[], None] = lambda: None
    """Called before each read and each call of a step, to hold the process to what it may take."""


def run_pipeline(
    source: Feed, steps: Sequence[Step], *, lanes: int, bounds: Bounds, on_starved: OnStarved
) -> list[Any]:
    """Runs one pipeline on lanes of its own; see `Lanes.run`."""
    with Lanes(lanes) as own:
        return own.run(source, steps, bounds=bounds, on_starved=on_starved)


class Lanes:
    """Threads that take work of several pipelines: of the one begun first, and where that has none of the next.

    So nobody waits while a pipeline runs empty: the next one is filled meanwhile.
    """

    def __init__(self, count: int, *, callers: int = 1) -> None:
        """At most `count` lanes, of which as many are the threads that call `run` at the same time."""
        self._count = max(0, count - callers)
        self._pipelines: list[_Pipeline] = []
        self._changed = threading.Condition()
        self._ended = False
        self._threads = ExitStack()

    def __enter__(self) -> Self:
        for _ in range(self._count):
            thread = threading.Thread(target=self._work, name="faceloom-lane", daemon=True)
            thread.start()
            self._threads.callback(thread.join)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        with self._changed:
            self._ended = True
            self._changed.notify_all()
        self._threads.close()

    def run(
        self,
        source: Feed,
        steps: Sequence[Step],
        *,
        bounds: Bounds,
        on_starved: OnStarved,
        on_read: Callable[[], None] | None = None,
        feeding: Collection[str] = (),
    ) -> list[Any]:
        """Runs a pipeline, and returns what comes out of the last step or is `Final` before it, in no particular order.

        A batch that fails is run again item by item, so that a bad item costs no other. A batch that does not get its
        memory is tried again when what can be has been given back, then in halves. What is in flight in all pipelines
        together is bounded. `on_read` is called when nothing is left to read. Steps of the stages that are `feeding` a
        device come first where it has little to do.

        Raises:
            StarvedError: a read, or a single item, does not get its memory.
            Whatever a read raised first, ContractError, DeviceLostError or StoreError; the lanes stop at the end of
                what they are doing.
        """
        pipeline = _Pipeline(source, steps, bounds, on_starved, self._changed, on_read, feeding)
        with self._changed:
            self._pipelines.append(pipeline)
            self._changed.notify_all()
        self._work(pipeline)
        with self._changed:
            self._pipelines.remove(pipeline)
            self._changed.notify_all()
        return pipeline.results()

    def _work(self, own: "_Pipeline | None" = None) -> None:
        """One lane: takes work until its own pipeline is done, or, without one, until there will be none."""
        while (task := self._next_task(own)) is not None:
            task()

    def _next_task(self, own: "_Pipeline | None") -> Callable[[], None] | None:
        with self._changed:
            while not (own.is_done if own else self._ended):
                in_flight = sum(pipeline.taken_bytes for pipeline in self._pipelines)
                for pipeline in self._pipelines:
                    task = pipeline.next_task(in_flight, is_first=pipeline is self._pipelines[0])
                    if task is not None:
                        return task
                if not (own and own.is_done):  # which asking for a task has shown
                    self._changed.wait()
            return None


class _Pipeline:
    """State that lanes share, guarded by one condition."""

    def __init__(
        self,
        source: Feed,
        steps: Sequence[Step],
        bounds: Bounds,
        on_starved: OnStarved,
        changed: threading.Condition,
        on_read: Callable[[], None] | None,
        feeding: Collection[str],
    ) -> None:
        self._reads = source.reads
        self._parallel = source.parallel
        self._steps = steps
        self._queues: list[dict[Hashable, deque[Any]]] = [{} for _ in steps]
        self._running = [0 for _ in steps]
        self._reading = 0
        self._exhausted = False
        self._in_flight_bytes = 0
        self._kept_bytes = 0
        self._bounds = bounds
        self._on_starved = on_starved
        self._out: list[Any] = []
        self._error: BaseException | None = None
        self._finished = False
        self._changed = changed
        self._on_read = on_read
        self._feeds = [step.stage in feeding for step in steps]

    @property
    def taken_bytes(self) -> int:
        """What is in flight, or will be when what is being read is there."""
        return self._in_flight_bytes + self._reading * self._bounds.read_bytes

    @property
    def is_done(self) -> bool:
        """Whether nothing of it is left, or after an error nothing under way."""
        return self._finished or (self._error is not None and not self._reading and not any(self._running))

    def results(self) -> list[Any]:
        if self._error is not None:
            raise self._error
        return self._out

    def next_task(self, in_flight_bytes: int, *, is_first: bool) -> Callable[[], None] | None:
        """What a lane does next; None if there is nothing. The condition is held.

        Args:
            in_flight_bytes: of all pipelines.
            is_first: whether no other was begun before it, so that it goes on even where there is no room.
        """
        while self._error is None and not self._finished:
            if self._is_full() and not self._exhausted:
                self._exhausted = True
                self._tell()
            has_room = in_flight_bytes < self._bounds.in_flight_bytes
            choice = choose(self._source_state(has_room=has_room), self._step_states())
            if choice is Idle.FINISHED:
                self._finished = True
                self._changed.notify_all()
            elif choice is Idle.WAIT or (choice == READ and not has_room and not is_first):
                return None
            elif choice == READ:
                read, self._error = _outcome(lambda: next(self._reads, None))
                if read is not None:
                    self._reading += 1
                    return lambda read=read: self._read(read)  # type: ignore[misc]
                self._exhausted = True
                self._tell()
            else:
                assert isinstance(choice, int)
                items = self._take(choice)
                self._running[choice] += 1
                return lambda i=choice, items=items: self._run(i, items)  # type: ignore[misc]
        return None

    def _read(self, read: Callable[[], Any]) -> None:
        item, error = _outcome(lambda: self._answer(read))
        with self._changed:
            self._reading -= 1
            self._settle(0, [item], error)

    def _answer(self, read: Callable[[], Any]) -> Any:
        self._bounds.tighten()
        try:
            return read()
        except MemoryError:
            self._on_starved("reading", 1)
        return self._read_again(read)

    def _read_again(self, read: Callable[[], Any]) -> Any:
        try:
            return read()
        except MemoryError as error:
            raise StarvedError("reading") from error

    def _run(self, index: int, items: list[Any]) -> None:
        self._bounds.tighten()
        results, error = _outcome(lambda: _attempt(self._steps[index], items, self._on_starved))
        with self._changed:
            self._running[index] -= 1
            self._in_flight_bytes -= sum(map(self._bounds.size_of, items))
            self._settle(index + 1, results, error)

    def _settle(self, index: int, items: Sequence[Any], error: BaseException | None) -> None:
        """Puts items where they are waited for; an error ends the pipeline, and is raised where it is run."""
        if error is None:
            self._put(index, items)
        self._error = self._error or error
        self._tell()

    def _tell(self) -> None:
        """Wakes whoever waits, and says it once when nothing is read any more."""
        if self._on_read and not self._reading and (self._exhausted or self._error is not None):
            self._on_read()
            self._on_read = None
        self._changed.notify_all()

    def _put(self, index: int, items: Sequence[Any]) -> None:
        for item in items:
            if isinstance(item, Final) or index == len(self._steps):
                value = item.value if isinstance(item, Final) else item
                self._kept_bytes += self._bounds.size_of(value)
                self._out.append(value)
            else:
                self._in_flight_bytes += self._bounds.size_of(item)
                self._queues[index].setdefault(self._steps[index].group(item), deque()).append(item)

    def _take(self, index: int) -> list[Any]:
        """A batch of the group that has most items waiting."""
        groups = self._queues[index]
        group = max(groups, key=lambda key: len(groups[key]))
        queue = groups[group]
        items = [queue.popleft() for _ in range(min(self._steps[index].together, len(queue)))]
        if not queue:
            del groups[group]
        return items

    def _is_full(self) -> bool:
        return self._bounds.keep_bytes is not None and self._kept_bytes >= self._bounds.keep_bytes

    def _source_state(self, *, has_room: bool) -> SourceState:
        return SourceState(
            exhausted=self._exhausted,
            running=self._reading,
            parallel=self._parallel,
            has_room=has_room,
        )

    def _step_states(self) -> list[StepState]:
        return [
            StepState(batch=step.together, ready=max(map(len, queue.values()), default=0), running=running, feeds=feeds)
            for step, queue, running, feeds in zip(self._steps, self._queues, self._running, self._feeds, strict=True)
        ]


def _outcome(call: Callable[[], Any]) -> tuple[Any, BaseException | None]:
    """What a call returns, or raises; the latter is raised again in another thread."""
    try:
        return call(), None
    except BaseException as error:
        return None, error


def _attempt(step: Step, items: Sequence[Any], on_starved: OnStarved) -> Sequence[Any]:
    try:
        return step.run(items)
    except (ContractError, DeviceLostError, StoreError):
        raise  # no fault of the item, and the next would meet it too
    except Exception as error:  # becomes the reason in the row of the one item that brought it about
        if is_out_of_memory(error):
            on_starved(step.stage, min(step.batch, len(items)))
        elif len(items) == 1:
            return [Final(step.failed(items[0], error))]
        else:
            return [result for item in items for result in _attempt(step, [item], on_starved)]
    return _attempt_in_parts(step, items, on_starved)


def _attempt_in_parts(step: Step, items: Sequence[Any], on_starved: OnStarved) -> Sequence[Any]:
    """Items that did not get their memory, once more, since whatever could be has been given back; then call by call,
    and each call in halves.
    """
    try:
        return step.run(items)
    except (ContractError, DeviceLostError, StoreError):
        raise
    except Exception as error:
        if not is_out_of_memory(error):
            return _attempt(step, items, on_starved)
        if len(items) == 1:
            raise StarvedError(step.stage) from error
    size = step.batch if len(items) > step.batch else len(items) // 2
    parts = [items[i : i + size] for i in range(0, len(items), size)]
    return [result for part in parts for result in _attempt(step, part, on_starved)]
