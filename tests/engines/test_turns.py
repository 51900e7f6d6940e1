"""Turns on a device: one call at a time, one more that is ready, and the time in which the device works."""

import time
from concurrent.futures import ThreadPoolExecutor

from faceloom.engines.turns import AHEAD, Turns


def test_one_call_has_the_device_and_few_have_a_place() -> None:
    turns = Turns()
    placed = working = most_placed = most_working = 0

    def call(_: int) -> None:
        nonlocal placed, working, most_placed, most_working
        with turns.place():
            placed += 1
            most_placed = max(most_placed, placed)
            with turns.turn():
                working += 1
                most_working = max(most_working, working)
                time.sleep(0.002)
                working -= 1
            placed -= 1

    with ThreadPoolExecutor(6) as pool:
        list(pool.map(call, range(30)))
    assert most_working == 1
    assert most_placed <= 1 + AHEAD


def test_what_waits_for_its_turn_is_no_work() -> None:
    turns = Turns()

    def call(_: int) -> None:
        with turns.place(), turns.turn():
            time.sleep(0.01)

    started = time.perf_counter()
    with ThreadPoolExecutor(4) as pool:
        list(pool.map(call, range(4)))
    assert 4 * 0.01 <= turns.busy_s <= time.perf_counter() - started


def test_a_call_that_fails_has_worked_until_then_and_gives_its_turn_on() -> None:
    turns = Turns()
    for _ in range(1 + AHEAD + 1):
        try:
            with turns.place(), turns.turn():
                raise MemoryError
        except MemoryError:
            continue
    assert turns.busy_s > 0
