"""Seconds of calls, by clocks that are simulated: nothing here waits for anything."""

import itertools
import time
from collections.abc import Callable
from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from faceloom.worker.timing import clock, time_batches


class Machine:
    """Calls that take `call_s` seconds + `item_s` an item, times what others make of it."""

    def __init__(self, slower: Callable[[], float], *, call_s: float = 0.0, item_s: float = 0.025) -> None:
        self.now_s = 0.0
        self.calls = 0
        self._slower = slower
        self._call_s, self._item_s = call_s, item_s

    def now(self) -> float:
        return self.now_s

    def call(self, batch: int) -> None:
        self.calls += 1
        self.now_s += (self._call_s + self._item_s * batch) * self._slower()


def test_a_quiet_machine_is_timed_exactly_in_two_rounds() -> None:
    machine = Machine(lambda: 1.0)
    timed = time_batches(machine.call, [1], machine.now)
    assert timed.batch_s == {1: pytest.approx(0.025)}
    assert timed.is_settled
    assert machine.now_s < 0.3


@pytest.mark.parametrize("times_as_long", [1.5, 3, 71])
def test_others_that_come_and_go_change_nothing(times_as_long: float) -> None:
    """Every other call is disturbed, as when a network's 25 ms were taken for 1,778."""
    factors = itertools.cycle([times_as_long, 1.0])
    machine = Machine(lambda: next(factors))
    timed = time_batches(machine.call, [1], machine.now)
    assert timed.batch_s == {1: pytest.approx(0.025)}
    assert timed.is_settled


@given(st.integers(0, 2**32))
def test_seconds_that_are_never_the_same_are_not_settled(seed: int) -> None:
    random = Random(seed)
    factors = [1.0, 1.5, 2.3, 3.5, 5.0]
    random.shuffle(factors)
    machine = Machine(factors.pop, item_s=1.0)
    timed = time_batches(machine.call, [1], machine.now)
    assert not timed.is_settled
    assert timed.batch_s == {1: pytest.approx(1.0)}


def test_a_batch_that_gains_nothing_ends_the_ladder_and_one_that_gains_does_not() -> None:
    flat, steep = Machine(lambda: 1.0), Machine(lambda: 1.0, call_s=0.1)
    assert list(time_batches(flat.call, [1, 2, 4], flat.now).batch_s) == [1]
    assert list(time_batches(steep.call, [1, 2, 4], steep.now).batch_s) == [1, 2, 4]


def test_a_batch_that_is_refused_ends_the_ladder_and_is_told() -> None:
    machine = Machine(lambda: 1.0, call_s=0.1)

    def call(batch: int) -> None:
        if batch > 2:
            raise MemoryError
        machine.call(batch)

    timed = time_batches(call, [1, 2, 4, 8], machine.now)
    assert (list(timed.batch_s), timed.was_refused) == ([1, 2], True)


def test_what_a_device_computes_is_timed_by_the_clock_on_the_wall() -> None:
    assert clock(on_processor=False) is time.perf_counter
