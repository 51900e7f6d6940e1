"""The pipeline of one phase: items go from a source through steps, on a few lanes, within bounds in bytes."""

import threading
from collections import deque
from collections.abc import Callable, Hashable, Iterator, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from typing import Any, Protocol

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
    keep_bytes: int | None = None
    """When so much has come out, nothing more is read; None for no bound."""
    tighten: Callable[[], None] = lambda: None
    """Called before each read and each call of a step, to hold the process to what it may take."""


def run_pipeline(
    source: Feed, steps: Sequence[Step], *, lanes: int, bounds: Bounds, on_starved: OnStarved
) -> list[Any]:
    """Runs the pipeline, and returns what comes out of the last step or is `Final` before it, in no particular order.

    A batch that fails is run again item by item, so that a bad item costs no other. A batch that does not get its
    memory is tried again when what can be has been given back, then in halves.

    Raises:
        StarvedError: a read, or a single item, does not get its memory.
        Whatever a read raised first, ContractError, DeviceLostError or StoreError; the lanes stop at the end of what
            they are doing.
    """
    pipeline = _Pipeline(source, steps, bounds, on_starved)
    with ExitStack() as stack:
        for _ in range(lanes - 1):
            thread = threading.Thread(target=pipeline.work, name="faceloom-lane")
            thread.start()
            stack.callback(thread.join)
        stack.callback(pipeline.stop)
        pipeline.work()
    return pipeline.results()


class _Pipeline:
    """State that lanes share, guarded by one condition."""

    def __init__(self, source: Feed, steps: Sequence[Step], bounds: Bounds, on_starved: OnStarved) -> None:
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
        self._stopped = False
        self._changed = threading.Condition()

    def results(self) -> list[Any]:
        if self._error is not None:
            raise self._error
        return self._out

    def stop(self) -> None:
        with self._changed:
            self._stopped = True
            self._changed.notify_all()

    def work(self) -> None:
        """One lane: takes work until there is none."""
        try:
            while (task := self._next_task()) is not None:
                self._bounds.tighten()
                task()
        except BaseException as error:  # raised again in the caller's thread
            with self._changed:
                self._error = self._error or error
            self.stop()

    def _next_task(self) -> Callable[[], None] | None:
        with self._changed:
            while not self._stopped:
                self._exhausted = self._exhausted or self._is_full()
                choice = choose(self._source_state(), self._step_states())
                if choice is Idle.FINISHED:
                    self._changed.notify_all()
                    return None
                if choice is Idle.WAIT:
                    self._changed.wait()
                elif choice == READ:
                    read = next(self._reads, None)
                    if read is not None:
                        self._reading += 1
                        return lambda read=read: self._read(read)  # type: ignore[misc]
                    self._exhausted = True
                else:
                    items = self._take(choice)
                    self._running[choice] += 1
                    return lambda i=choice, items=items: self._run(i, items)  # type: ignore[misc]
        return None

    def _read(self, read: Callable[[], Any]) -> None:
        try:
            item = read()
        except MemoryError:
            self._on_starved("reading", 1)
            item = self._read_again(read)
        with self._changed:
            self._reading -= 1
            self._put(0, [item])
            self._changed.notify_all()

    def _read_again(self, read: Callable[[], Any]) -> Any:
        try:
            return read()
        except MemoryError as error:
            raise StarvedError("reading") from error

    def _run(self, index: int, items: list[Any]) -> None:
        results = _attempt(self._steps[index], items, self._on_starved)
        with self._changed:
            self._running[index] -= 1
            self._in_flight_bytes -= sum(map(self._bounds.size_of, items))
            self._put(index + 1, results)
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

    def _source_state(self) -> SourceState:
        return SourceState(
            exhausted=self._exhausted,
            running=self._reading,
            parallel=self._parallel,
            has_room=self._in_flight_bytes < self._bounds.in_flight_bytes,
        )

    def _step_states(self) -> list[StepState]:
        return [
            StepState(batch=step.together, ready=max(map(len, queue.values()), default=0), running=running)
            for step, queue, running in zip(self._steps, self._queues, self._running, strict=True)
        ]


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
    except Exception as error:
        if not is_out_of_memory(error):
            return _attempt(step, items, on_starved)
        if len(items) == 1:
            raise StarvedError(step.stage) from error
    size = step.batch if len(items) > step.batch else len(items) // 2
    parts = [items[i : i + size] for i in range(0, len(items), size)]
    return [result for part in parts for result in _attempt(step, part, on_starved)]
