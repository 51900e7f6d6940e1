"""Seconds of calls, such that other programs change them little: the processor's time where that can be told, the least
of several, until two rounds agree."""

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass

Now = Callable[[], float]
"""A clock, in seconds."""
_WORTH_IT = 0.9
"""A larger batch has to need less than this share of the seconds an item; smaller gains are noise."""
_AGREE = 1.1
"""Two rounds agree if one's seconds are at most so many times the other's."""
_MOST_ROUNDS = 5
_ROUND_S = 0.08
_MOST_CALLS = 12
_FINEST_S = 1e-4
"""A clock of the processor that ticks more seldom than this times nothing."""


@dataclass(frozen=True, slots=True)
class Timed:
    """Seconds of a call, by its batch."""

    batch_s: dict[int, float]
    was_refused: bool
    """Whether timing ended at a batch that did not get its memory."""
    is_settled: bool
    """Whether two rounds agreed for each batch."""


def clock(*, on_processor: bool) -> Now:
    """The clock for calls that this process computes itself: others that want the processor do not move it.

    What a device computes takes the time that passes.
    """
    is_fine = time.get_clock_info("process_time").resolution <= _FINEST_S
    return time.process_time if on_processor and is_fine else time.perf_counter


def time_batches(call: Callable[[int], None], batches: Sequence[int], now: Now) -> Timed:
    """Times each batch, up to the first that does not fit or that gains nothing over the one before."""
    batch_s: dict[int, float] = {}
    best_s, is_settled = float("inf"), True
    for batch in batches:
        try:
            seconds, agreed = _settled(call, batch, now)
        except MemoryError:
            return Timed(batch_s, was_refused=True, is_settled=is_settled)
        if seconds / batch > best_s * _WORTH_IT:
            break
        best_s = seconds / batch
        batch_s[batch] = seconds
        is_settled = is_settled and agreed
    return Timed(batch_s, was_refused=False, is_settled=is_settled)


def _settled(call: Callable[[int], None], batch: int, now: Now) -> tuple[float, bool]:
    """The least seconds of a call, and whether two rounds agree on them."""
    rounds = [_least(call, batch, now)]
    while len(rounds) < _MOST_ROUNDS:
        rounds = sorted([*rounds, _least(call, batch, now)])
        if rounds[1] <= rounds[0] * _AGREE:
            return rounds[0], True
    return rounds[0], False


def _least(call: Callable[[int], None], batch: int, now: Now) -> float:
    """The least seconds of a call in one round."""
    times: list[float] = []
    while sum(times) < _ROUND_S and len(times) < _MOST_CALLS:
        started = now()
        call(batch)
        times.append(now() - started)
    return min(times)
