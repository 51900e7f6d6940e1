"""The best phases of many stages, exactly: dynamic programming over the sets of stages that are left.

What is left after some phases costs the same however it came about, and a phase costs the same wherever it stands, but
for one that reads frames. So the best way to do a set of stages is the best of its subsets as the next phase, and of
what is then left. Arrays over all sets make that quick where activations share a block: what the stages of a set take
together is then known without a search. Twins save nothing here, and stages that are all different cost nothing more;
branch and bound (`search`) is the other way round.

Source:
    Held and Karp 1962, A dynamic programming approach to sequencing problems: one table over all subsets. That 3^n
    pairs of a set and its subset are enough, and that they can be gone through in blocks, follows from their numbers.
"""

from collections.abc import Iterator, Sequence
from functools import lru_cache
from typing import NamedTuple, TypeAlias

import numpy as np
from numpy.typing import NDArray

from faceloom.solver.phases import Phases, Useful, mask_of, members
from faceloom.solver.problem import Arena, StageCost
from faceloom.solver.rank import Sets

Numbers: TypeAlias = NDArray[np.int64]

FEWEST, MOST = 13, 17
"""Fewer stages are searched as fast; more would take too much memory."""
_MOST_PAIRS = 1 << 26
"""Pairs of a set and its subset that are gone through; more would take seconds."""
_LOW = 7
"""Stages within a block: 3^7 pairs are enough to keep arrays busy, and stay in the cache."""
_NEVER = 1 << 61
_MOST_PHASES = 32
_MOST_SHIFT = 12


def by_subsets(phases: Phases) -> Sets | None:
    """Finds a plan of least seconds and, among equals, of fewest phases and then of the smallest peak.

    Returns:
        Its phases; None where the problem is none for this way: there are too few stages or too many of them can be
        left in too many ways, activations are not shared, or the device has a host beside it.
    """
    problem, count = phases.problem, len(phases.stages)
    if not FEWEST <= count <= MOST or problem.arena is not Arena.SHARED or problem.host:
        return None
    order = sorted(range(count), key=lambda i: not _is_free(phases, i))
    free = sum(_is_free(phases, i) for i in order)
    rests, shift = _rests(phases, order, free), _shift(phases)
    if 3**free + sum(1 << rest.bit_count() for rest in rests) > _MOST_PAIRS or shift > _MOST_SHIFT:
        return None
    table = _Table(*_costs(phases, order, shift), free)
    for rest in rests:
        table.fill_in(rest)
    return tuple(mask_of(order[bit] for bit in members(chosen)) for chosen in table.way())


def planning_bytes(stages: int) -> int:
    """What tables of so many stages hold at the most for the moment, in bytes: 26 numbers for every set of them."""
    return 26 * 8 << stages if FEWEST <= stages <= MOST else 0


def _shift(phases: Phases) -> int:
    """How many binary digits of ticks are left out, so that sums are no larger than what arrays hold.

    A few are far below the 1e-12 of a total up to which seconds count as equal.
    """
    calls = sum(useful.ticks[0] for useful in phases.useful)
    phase = phases.switch_ticks + max(phases.host_ticks(chosen, last=False) for chosen in (0, phases.reading))
    return max(0, ((calls + len(phases.stages) * phase) * _MOST_PHASES).bit_length() - 60)


def _is_free(phases: Phases, i: int) -> bool:
    """Whether a stage may come in any phase once everything is done that any other waits for."""
    return not phases.users[i] and not phases.reading >> i & 1


def _rests(phases: Phases, order: list[int], free: int) -> list[int]:
    """The sets with stages that are not free which can be what is left, the smaller numbers first."""
    every = np.arange(1 << len(order))
    can_be = every >> free > 0
    for bit in range(free, len(order)):
        users = mask_of(other for other, i in enumerate(order) if phases.users[order[bit]] >> i & 1)
        can_be &= (every >> bit & 1 == 0) | (every & users == users)
    rests: list[int] = every[can_be].tolist()
    return rests


class _Costs(NamedTuple):
    """What each set of stages takes as a phase; never where it does not fit."""

    ticks: Numbers
    """The ticks with a switch, and in the lowest digits one for the phase itself."""
    peaks: Numbers


def _costs(phases: Phases, order: list[int], shift: int) -> tuple[_Costs, _Costs]:
    """What every set takes as a phase, and as the last one: the sums of `Phases`, for all sets at once."""
    problem, every = phases.problem, np.arange(1 << len(order))
    stages, useful = [phases.stages[i] for i in order], [phases.useful[i] for i in order]
    weights = _sums([stage.weights_bytes for stage in stages])
    loading = _loading(stages, every)
    room = problem.budget_bytes - problem.base_bytes - weights
    least = _most([u.held_bytes[0] for u in useful])
    fits = (least <= room) & (loading + problem.base_bytes <= problem.budget_bytes) & (every > 0)
    batches, chosen = _Batches(useful, shift), every[fits]
    fastest = np.searchsorted(batches.sizes, room[fits], side="right") - 1
    calls, switch = batches.ticks(chosen, fastest), phases.switch_ticks >> shift
    reading = mask_of(bit for bit, i in enumerate(order) if phases.reading >> i & 1)

    def as_phases(*, last: bool) -> _Costs:
        reads, others = (phases.host_ticks(some, last=last) >> shift for some in (phases.reading, 0))
        host, at = np.where(chosen & reading, reads, others), fastest
        if problem.overlap:  # time below that of the host gains nothing
            at = batches.smallest(chosen, np.searchsorted(batches.sizes, least[fits]), fastest, host)
        ticks, peaks = np.full(len(every), _NEVER), np.full(len(every), _NEVER)
        ticks[fits] = ((np.maximum(host, calls) if problem.overlap else host + calls) + switch) * _MOST_PHASES + 1
        peaks[fits] = problem.base_bytes + np.maximum(loading[fits], weights[fits] + batches.held(chosen, at))
        return _Costs(ticks, peaks)

    return as_phases(last=False), as_phases(last=True)


def _sums(values: Sequence[int]) -> Numbers:
    """For every set the sum of its members' values."""
    sums = np.zeros(1, np.int64)
    for value in values:
        sums = np.concatenate([sums, sums + value])
    return sums


def _most(values: Sequence[int]) -> Numbers:
    """For every set the largest of its members' values."""
    most = np.zeros(1, np.int64)
    for value in values:
        most = np.concatenate([most, np.maximum(most, value)])
    return most


def _loading(stages: Sequence[StageCost], every: Numbers) -> Numbers:
    """For every set the peak while its stages are loaded, those of the largest spikes first."""
    peak, loaded = np.zeros_like(every), np.zeros_like(every)
    for bit in sorted(range(len(stages)), key=lambda bit: -stages[bit].spike_bytes):
        has = every >> bit & 1 == 1
        loaded[has] += stages[bit].weights_bytes
        peak[has] = np.maximum(peak[has], loaded[has] + stages[bit].spike_bytes)
    return peak


class _Batches:
    """The useful batches of stages, at every size that one of them holds."""

    def __init__(self, useful: Sequence[Useful], shift: int) -> None:
        self.sizes = np.unique(np.concatenate([np.array(u.held_bytes, np.int64) for u in useful]))
        at = [np.maximum(np.searchsorted(u.held_bytes, self.sizes, side="right") - 1, 0) for u in useful]
        self._ticks = [np.array([t >> shift for t in u.ticks])[i] for u, i in zip(useful, at, strict=True)]
        self._held = [np.array(u.held_bytes)[i] for u, i in zip(useful, at, strict=True)]

    def ticks(self, chosen: Numbers, at: Numbers) -> Numbers:
        """The ticks of the calls of each set, where no batch holds more than what stands at a place of the sizes."""
        total = np.zeros(len(chosen), np.int64)
        for bit, ticks in enumerate(self._ticks):
            total += np.where(chosen >> bit & 1, ticks[at], 0)
        return total

    def held(self, chosen: Numbers, at: Numbers) -> Numbers:
        """The most that a batch of each set then holds."""
        most = np.zeros(len(chosen), np.int64)
        for bit, held in enumerate(self._held):
            np.maximum(most, np.where(chosen >> bit & 1, held[at], 0), out=most)
        return most

    def smallest(self, chosen: Numbers, least: Numbers, most: Numbers, ticks: Numbers) -> Numbers:
        """The first places, between these, at which sets take no longer than so; the last of them where none does."""
        low, high = least.copy(), most.copy()
        while (low < high).any():
            middle = (low + high) // 2
            is_fast = self.ticks(chosen, middle) <= ticks
            low, high = np.where(is_fast, low, np.minimum(middle + 1, high)), np.where(is_fast, middle, high)
        return low


class _Table:
    """The best of every set of stages that may be left: its ticks, and the least peak of all ways that take these."""

    def __init__(self, costs: _Costs, last_costs: _Costs, free: int) -> None:
        self._costs, self._last_costs = costs, last_costs
        self._ticks, self._peaks = np.full_like(costs.ticks, _NEVER), np.full_like(costs.ticks, _NEVER)
        self._ticks[0] = self._peaks[0] = 0
        self._low = min(free, _LOW)
        for rest in range(1, 1 << self._low):
            top = 1 << rest.bit_length() - 1
            self._fill(rest, top | _subsets(rest ^ top))
        for high in range(1, 1 << free - self._low):
            self._fill_block(high)

    def fill_in(self, rest: int) -> None:
        """Fills in one set, of which all that can be left after a phase have been filled in."""
        self._fill(rest, _subsets(rest)[1:])

    def way(self) -> Iterator[int]:
        """Yields the phases of the best plan of all."""
        rest = len(self._ticks) - 1
        while rest:
            chosen = _subsets(rest)[1:]
            ticks, peaks = self._ways(rest, chosen)
            is_best = (ticks == self._ticks[rest]) & (peaks == self._peaks[rest])
            first = int(chosen[is_best.argmax()])
            yield first
            rest &= ~first

    def _ways(self, rest: int, chosen: Numbers) -> tuple[Numbers, Numbers]:
        """The ticks and the peak of a set, for each way to begin it."""
        left, last = rest ^ chosen, self._last_costs
        ticks = np.where(left, self._costs.ticks[chosen], last.ticks[chosen]) + self._ticks[left]
        peaks = np.where(left, self._costs.peaks[chosen], last.peaks[chosen])
        return ticks, np.maximum(peaks, self._peaks[left])

    def _fill(self, rest: int, chosen: Numbers) -> None:
        ticks, peaks = self._ways(rest, chosen)
        best = ticks.min()
        if best < _NEVER:
            self._ticks[rest], self._peaks[rest] = best, peaks[ticks == best].min()

    def _fill_block(self, high: int) -> None:
        """Fills in all sets that have these stages above the low ones; the topmost of them is in the next phase."""
        top, pairs = 1 << high.bit_length() - 1, _pairs(self._low)
        chosen = top | _subsets(high ^ top)
        ticks = self._at(self._costs.ticks, chosen, pairs.chosen) + self._at(self._ticks, high ^ chosen, pairs.left)
        peaks = self._at(self._costs.peaks, chosen, pairs.chosen)
        np.maximum(peaks, self._at(self._peaks, high ^ chosen, pairs.left), out=peaks)
        best = np.minimum.reduceat(ticks.min(axis=0), pairs.starts)
        peaks[ticks != np.repeat(best, pairs.lengths)] = _NEVER
        block = slice(high << self._low, high + 1 << self._low)
        self._ticks[block] = np.minimum(best, _NEVER)
        self._peaks[block] = np.minimum.reduceat(peaks.min(axis=0), pairs.starts)

    def _at(self, values: Numbers, highs: Numbers, lows: Numbers) -> Numbers:
        """The values of sets, given what they have above the low stages and of these: a row for each of the former."""
        return values.reshape(-1, 1 << self._low)[highs].take(lows, axis=1)


def _subsets(chosen: int) -> Numbers:
    """All subsets of a set, the empty one first."""
    subsets = np.zeros(1, np.int64)
    for bit in members(chosen):
        subsets = np.concatenate([subsets, subsets | 1 << bit])
    return subsets


class _Pairs(NamedTuple):
    """Every subset of every set of some stages, the subsets of a set one after another."""

    chosen: Numbers
    left: Numbers
    starts: Numbers
    """Where the subsets of each set begin."""
    lengths: Numbers


@lru_cache(maxsize=4)
def _pairs(count: int) -> _Pairs:
    subsets = [_subsets(whole) for whole in range(1 << count)]
    lengths = np.array([len(some) for some in subsets])
    left = np.concatenate([whole ^ some for whole, some in enumerate(subsets)])
    return _Pairs(np.concatenate(subsets), left, np.cumsum(lengths) - lengths, lengths)
