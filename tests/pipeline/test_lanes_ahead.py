"""Lanes with several pipelines: the next is filled while the first runs empty, and they share one bound."""

import threading
from collections.abc import Callable, Hashable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field
from functools import partial

import pytest

from faceloom.errors import ContractError
from faceloom.pipeline.lanes import Bounds, Feed, Lanes

WITHIN_S = 20


@dataclass
class Hold:
    """Passes items on once it is let."""

    lets: threading.Event = field(default_factory=threading.Event)
    began: threading.Event = field(default_factory=threading.Event)
    error: Exception | None = None
    stage: str = "hold"
    batch: int = 1
    together: int = 1

    def group(self, item: object) -> Hashable:
        return None

    def run(self, items: Sequence[object]) -> Sequence[object]:
        self.began.set()
        assert self.lets.wait(WITHIN_S)
        if self.error:
            raise self.error
        return items

    def failed(self, item: object, error: Exception) -> object:
        return error


def feed(items: Sequence[str], *, on_read: Callable[[str], None] = lambda item: None, parallel: bool = False) -> Feed:
    def read(item: str) -> str:
        on_read(item)
        return item

    return Feed(reads=(partial(read, item) for item in items), parallel=parallel)


def begin(
    pool: ThreadPoolExecutor, lanes: Lanes, source: Feed, step: Hold, *, room: int = 100
) -> tuple["Future[list[object]]", threading.Event]:
    """A pipeline under way, and whether all of it has been read."""
    has_read = threading.Event()
    bounds = Bounds(size_of=lambda item: 1, in_flight_bytes=room, read_bytes=1)
    done = pool.submit(
        lanes.run, source, [step], bounds=bounds, on_starved=lambda stage, batch: None, on_read=has_read.set
    )
    return done, has_read


@pytest.fixture
def lanes() -> Iterator[Lanes]:
    with Lanes(4, callers=2) as lanes:
        yield lanes


@pytest.fixture
def pool() -> Iterator[ThreadPoolExecutor]:
    with ThreadPoolExecutor(2) as pool:
        yield pool


def test_the_next_pipeline_is_read_while_the_first_runs_empty(lanes: Lanes, pool: ThreadPoolExecutor) -> None:
    first, second = Hold(), Hold()
    one, has_read = begin(pool, lanes, feed(["a"]), first)
    assert has_read.wait(WITHIN_S)
    other, has_read = begin(pool, lanes, feed(["b", "c"]), second)
    assert has_read.wait(WITHIN_S)
    assert second.began.wait(WITHIN_S)
    assert not one.done()
    second.lets.set()
    assert sorted(other.result(WITHIN_S)) == ["b", "c"]  # type: ignore[type-var]
    first.lets.set()
    assert one.result(WITHIN_S) == ["a"]


def test_what_is_in_flight_is_bounded_in_all_together(lanes: Lanes, pool: ThreadPoolExecutor) -> None:
    first, second = Hold(), Hold()
    one, has_read = begin(pool, lanes, feed(["a", "b"]), first, room=3)
    assert has_read.wait(WITHIN_S)
    read: list[str] = []
    source = feed(["c", "d"], on_read=read.append)
    other, has_read = begin(pool, lanes, source, second, room=3)
    assert second.began.wait(WITHIN_S)
    assert read == ["c"], "three are in flight"
    assert not has_read.is_set()
    for step in (first, second):
        step.lets.set()
    assert sorted(one.result(WITHIN_S) + other.result(WITHIN_S)) == ["a", "b", "c", "d"]  # type: ignore[type-var]


def test_an_error_ends_its_own_pipeline_and_no_other(lanes: Lanes, pool: ThreadPoolExecutor) -> None:
    first, second = Hold(error=ContractError("broken", stage="hold")), Hold()
    one, has_read = begin(pool, lanes, feed(["a"]), first)
    assert has_read.wait(WITHIN_S)
    other, _ = begin(pool, lanes, feed(["b"]), second)
    assert second.began.wait(WITHIN_S)
    first.lets.set()
    with pytest.raises(ContractError):
        one.result(WITHIN_S)
    second.lets.set()
    assert other.result(WITHIN_S) == ["b"]


@pytest.mark.parametrize("count", [1, 2, 5])
def test_reads_that_are_under_way_count(count: int, pool: ThreadPoolExecutor) -> None:
    """As many lanes as like may read at the same time, but no more than there is room for."""
    reading = most = 0
    lock = threading.Lock()

    def read(item: str) -> None:
        nonlocal reading, most
        with lock:
            reading += 1
            most = max(most, reading)
        threading.Event().wait(0.005)
        with lock:
            reading -= 1

    source = feed([str(i) for i in range(20)], on_read=read, parallel=True)
    step = Hold()
    step.lets.set()
    with Lanes(count) as lanes:
        done, _ = begin(pool, lanes, source, step, room=2)
        assert len(done.result(WITHIN_S)) == 20
    assert most <= 2
