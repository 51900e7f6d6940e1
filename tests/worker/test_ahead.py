"""Chunks in a line: answered in order, each begun when the one before it has been read."""

import queue
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from faceloom.errors import DeviceLostError
from faceloom.media.chunks import Chunk
from faceloom.messages import Answer, Do, Done, Starved
from faceloom.pipeline.lanes import StarvedError
from faceloom.store.rows import ChunkRows
from faceloom.worker.ahead import ChunkLine

WITHIN_S = 20


class SlowWorker:
    """Says when it is given a chunk, and does what it is told next."""

    def __init__(self, *, can_read_ahead: bool = True) -> None:
        self.can_read_ahead = can_read_ahead
        self.begun: queue.SimpleQueue[int] = queue.SimpleQueue()
        self.reads = {number: threading.Event() for number in range(3)}
        self.ends = {number: threading.Event() for number in range(3)}
        self.errors: dict[int, Exception] = {}

    def run(
        self, chunk: Chunk, folder: Path, *, known: Any, leads: Any, on_progress: Any, on_read: Any = None
    ) -> ChunkRows:
        self.begun.put(chunk.number)
        assert self.reads[chunk.number].wait(WITHIN_S)
        if on_read:
            on_read()
        assert self.ends[chunk.number].wait(WITHIN_S)
        if chunk.number in self.errors:
            raise self.errors[chunk.number]
        return ChunkRows(number=chunk.number, frames=(), faces=(), seconds=0.0)


@pytest.fixture
def said() -> "queue.SimpleQueue[Answer | BaseException]":
    return queue.SimpleQueue()


def line(worker: SlowWorker, said: "queue.SimpleQueue[Any]") -> Callable[[int], None]:
    made = ChunkLine(worker, on_progress=lambda *_: None, say=said.put, on_error=said.put)  # type: ignore[arg-type]
    return lambda number: made.give(Do(Chunk(number=number, spans=()), Path()))


def number_of(answer: Any) -> int:
    assert isinstance(answer, Done)
    return answer.rows.number


def test_a_chunk_is_begun_when_the_one_before_it_has_been_read(said: "queue.SimpleQueue[Any]") -> None:
    worker = SlowWorker()
    give = line(worker, said)
    give(0)
    give(1)
    assert worker.begun.get(timeout=WITHIN_S) == 0
    assert worker.begun.empty()
    worker.reads[0].set()
    assert worker.begun.get(timeout=WITHIN_S) == 1
    worker.reads[1].set()
    worker.ends[1].set()  # before the first
    worker.ends[0].set()
    assert [number_of(said.get(timeout=WITHIN_S)) for _ in range(2)] == [0, 1]


def test_no_more_than_two_chunks_are_under_way(said: "queue.SimpleQueue[Any]") -> None:
    worker = SlowWorker()
    give = line(worker, said)
    for number in range(3):
        give(number)
        worker.reads[number].set()
    assert [worker.begun.get(timeout=WITHIN_S) for _ in range(2)] == [0, 1]
    with pytest.raises(queue.Empty):
        worker.begun.get(timeout=0.05)
    worker.ends[0].set()
    assert worker.begun.get(timeout=WITHIN_S) == 2
    for number in (1, 2):
        worker.ends[number].set()
    assert [number_of(said.get(timeout=WITHIN_S)) for _ in range(3)] == [0, 1, 2]


def test_a_chunk_that_starves_is_answered_in_its_turn(said: "queue.SimpleQueue[Any]") -> None:
    worker = SlowWorker()
    worker.errors[0] = StarvedError("detect/yunet")
    give = line(worker, said)
    for number in (0, 1):
        give(number)
        worker.reads[number].set()
    worker.ends[1].set()
    worker.ends[0].set()
    first = said.get(timeout=WITHIN_S)
    assert isinstance(first, Starved)
    assert first.stage == "detect/yunet"
    assert number_of(said.get(timeout=WITHIN_S)) == 1


def test_what_ends_the_worker_is_told_and_nothing_after_it(said: "queue.SimpleQueue[Any]") -> None:
    worker = SlowWorker()
    worker.errors[0] = DeviceLostError("gone")
    give = line(worker, said)
    for number in (0, 1):
        give(number)
        worker.reads[number].set()
        worker.ends[number].set()
    assert said.get(timeout=WITHIN_S) is worker.errors[0]
    with pytest.raises(queue.Empty):
        said.get(timeout=0.1)


def test_where_nothing_can_be_read_ahead_a_chunk_is_answered_before_the_next_is_begun(
    said: "queue.SimpleQueue[Any]",
) -> None:
    worker = SlowWorker(can_read_ahead=False)
    for event in (*worker.reads.values(), *worker.ends.values()):
        event.set()
    give = line(worker, said)
    give(0)
    assert number_of(said.get_nowait()) == 0
