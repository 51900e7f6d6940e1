import threading
from collections.abc import Callable, Hashable, Iterator, Sequence
from dataclasses import dataclass, field

import pytest

from faceloom.errors import ContractError, DeviceLostError
from faceloom.pipeline.lanes import Bounds, Feed, Final, run_pipeline


@dataclass
class Add:
    """Adds a number to every item; notes the batches it was given."""

    number: int
    batch: int = 1
    together: int = 0
    stage: str = "add"
    bad: frozenset[int] = frozenset()
    error: type[Exception] = ValueError
    seen: list[list[int]] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.together = self.together or self.batch

    def group(self, item: int) -> Hashable:
        return item % 2

    def run(self, items: Sequence[int]) -> Sequence[int]:
        self.seen.append(list(items))
        if self.bad & set(items):
            raise self.error("bad item")
        return [item + self.number for item in items]

    def failed(self, item: int, error: Exception) -> tuple[int, str]:
        return (item, str(error))


def numbers(count: int, *, parallel: bool = True) -> Feed:
    def reads() -> Iterator[Callable[[], int]]:
        yield from ((lambda i=i: i) for i in range(count))

    return Feed(reads=reads(), parallel=parallel)


def run(source: Feed, steps: Sequence[Add], *, lanes: int = 2, in_flight_bytes: int = 100) -> list[object]:
    bounds = Bounds(size_of=lambda item: 1, in_flight_bytes=in_flight_bytes)
    return run_pipeline(source, steps, lanes=lanes, bounds=bounds, on_starved=lambda stage, batch: None)


@pytest.mark.parametrize("batch", [1, 2])
def test_what_has_come_out_fills_up_to_its_bound_and_nothing_is_read_after_that(batch: int) -> None:
    source = numbers(100)
    results = run_pipeline(
        source,
        [Add(1, batch=batch)],
        lanes=1,
        bounds=Bounds(size_of=lambda item: 10, in_flight_bytes=1, keep_bytes=40),
        on_starved=lambda stage, batch: None,
    )
    assert len(results) == 4
    assert next(source.reads)() == 4


@pytest.mark.parametrize("lanes", [1, 2, 5])
@pytest.mark.parametrize("batch", [1, 3, 100])
@pytest.mark.parametrize("in_flight_bytes", [1, 7, 1000])
def test_every_item_goes_through_every_step(lanes: int, batch: int, in_flight_bytes: int) -> None:
    steps = [Add(1000, batch=batch), Add(10000, batch=2)]
    results = run(numbers(50), steps, lanes=lanes, in_flight_bytes=in_flight_bytes)
    assert sorted(results) == [11000 + i for i in range(50)]  # type: ignore[type-var]


def test_no_batch_is_larger_than_asked_or_mixes_groups() -> None:
    step = Add(1, batch=4)
    run(numbers(41), [step])
    assert all(len(items) <= 4 and len({item % 2 for item in items}) == 1 for items in step.seen)


def test_a_bad_item_costs_itself_and_no_other_of_its_batch() -> None:
    step = Add(100, batch=8, bad=frozenset({3, 6}))
    results = run(numbers(20), [step])
    assert sorted(map(str, results)) == sorted(
        [str((i, "bad item")) if i in {3, 6} else str(i + 100) for i in range(20)]
    )


def test_a_broken_contract_ends_the_run() -> None:
    with pytest.raises(ContractError):
        run(numbers(20), [Add(1, bad=frozenset({3}), error=ContractError)])


def test_a_card_that_is_lost_while_a_batch_is_tried_again_is_not_asked_once_more() -> None:
    @dataclass
    class Lost(Add):
        def run(self, items: Sequence[int]) -> Sequence[int]:
            super().run(items)
            raise MemoryError if len(self.seen) == 1 else DeviceLostError("gone")

    step = Lost(1)
    with pytest.raises(DeviceLostError):
        run(numbers(1), [step])
    assert len(step.seen) == 2


def test_an_error_in_a_read_is_raised_in_the_callers_thread_after_every_lane_has_ended() -> None:
    def broken() -> int:
        raise RuntimeError("no such frame")

    before = threading.active_count()
    with pytest.raises(RuntimeError, match="no such frame"):
        run(Feed(reads=iter([lambda: 1, broken, lambda: 2]), parallel=True), [Add(1)], lanes=4)
    assert threading.active_count() == before


def test_a_final_value_takes_no_further_step() -> None:
    results = run_pipeline(
        Feed(reads=iter([lambda: Final("as it is"), lambda: 1]), parallel=True),
        [Add(1)],
        lanes=2,
        bounds=Bounds(size_of=lambda item: 1, in_flight_bytes=1),
        on_starved=lambda stage, batch: None,
    )
    assert sorted(map(str, results)) == ["2", "as it is"]


def test_reads_in_order_are_made_in_order() -> None:
    made: list[int] = []

    def read(i: int) -> Callable[[], int]:
        def reading() -> int:
            made.append(i)
            return i

        return reading

    run(Feed(reads=(read(i) for i in range(200)), parallel=False), [Add(1)], lanes=4)
    assert made == list(range(200))


def test_items_taken_together_that_starve_are_done_call_by_call_and_then_in_halves() -> None:
    """A step with memory for three items at a time, planned for calls of four, which takes eight at once."""

    @dataclass
    class Tight(Add):
        def run(self, items: Sequence[int]) -> Sequence[int]:
            result = super().run(items)
            if min(len(items), self.batch) > 3:
                raise MemoryError
            return result

    told: list[tuple[str, int]] = []
    results = run_pipeline(
        Feed(reads=(lambda i=i: 2 * i for i in range(8)), parallel=True),  # type: ignore[misc]
        [step := Tight(1, batch=4, together=8)],
        lanes=1,
        bounds=Bounds(size_of=lambda item: 1, in_flight_bytes=100),
        on_starved=lambda stage, batch: told.append((stage, batch)),
    )
    assert sorted(results) == [2 * i + 1 for i in range(8)]
    assert [len(items) for items in step.seen] == [8, 8, 4, 4, 2, 2, 4, 4, 2, 2]
    assert set(told) == {("add", 4)}
