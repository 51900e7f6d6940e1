"""The costs of stages that share a phase: whether they fit, their best batches, their seconds.

Sets of stages are bit masks: bit i is the i-th stage in the order of `Phases.stages`, in which every stage comes after
all it needs. Seconds are counted in ticks, so that they add up exactly.
"""

from bisect import bisect_left, bisect_right
from collections.abc import Iterable, Sequence
from copy import copy
from dataclasses import dataclass, replace
from functools import lru_cache, reduce
from operator import or_
from typing import NamedTuple

from faceloom.solver.knapsack import Group, Picks, Variant, cheapest
from faceloom.solver.problem import LARGEST, Arena, HostShare, Problem, StageCost, in_order
from faceloom.solver.ticks import Ticks


class BestPhase(NamedTuple):
    """A phase at its best batches: of least time and, among equals, of least memory."""

    ticks: int
    """The time of the phase, without loading and switching."""
    peak_bytes: int
    batches: tuple[int, ...]
    """A batch for each stage, in the order of the stages."""
    host_peak_bytes: int = 0
    """The peak of the host's memory, where the device has a memory of its own."""


class Spent(NamedTuple):
    """The ticks that the calls of some stages take."""

    device: int
    host: int
    """The ticks of the stages that are placed on the host."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Useful:
    """The useful batches of one stage: each holds more than the one before it and is faster."""

    is_on_host: bool
    batches: tuple[int, ...]
    held_bytes: tuple[int, ...]
    host_bytes: tuple[int, ...]
    """What a batch holds of the host's memory as well."""
    ticks: tuple[int, ...]
    """The ticks that all items of the job take, by batch."""
    beside_ticks: int
    """The host's ticks beside the device's, whatever the batch."""
    by_bytes: Group
    """The batches as choices by their size; empty where arenas are shared, like the next."""
    by_ticks: Group
    """The same choices reversed: the size is the time, the cost is the memory."""

    def fastest(self, room: int, host_room: int = LARGEST) -> int:
        """The index of the fastest batch that holds at most `room` bytes, and `host_room` of the host's; one does."""
        return min(bisect_right(self.held_bytes, room), bisect_right(self.host_bytes, host_room)) - 1


class Phases:
    """All phases of a problem whose stages have their places: the sums of docs/memory.md, each set computed once."""

    def __init__(self, problem: Problem, clock: Ticks | None = None) -> None:
        """The phases of a problem, with a clock that knows its seconds; without one, it makes its own."""
        self.problem = problem
        self.stages = in_order(problem.stages)
        self.everything = (1 << len(self.stages)) - 1
        self.clock = clock or clock_of(problem)
        self.switch_ticks = self.clock.count(problem.switch_s)
        self.useful = [_useful(stage, problem, self.clock) for stage in self.stages]
        self._decode_ticks, self._read_ticks, self._write_ticks = (
            problem.frames * self.clock.count(seconds)
            for seconds in (problem.decode_s, problem.patch_read_s, problem.patch_write_s)
        )
        place = {stage.stage: i for i, stage in enumerate(self.stages)}
        self.needs = [mask_of(place[name] for name in stage.needs) for stage in self.stages]
        self.reading = mask_of(i for i, stage in enumerate(self.stages) if stage.reads_frames)
        self._weights = Weights(self.stages)
        self._host_weights = Weights([stage.host for stage in self.stages])
        self.users = [
            mask_of(j for j, needs in enumerate(self.needs) if needs >> i & 1) for i in range(len(self.needs))
        ]
        alike = [(replace(stage, stage=""), self.users[i]) for i, stage in enumerate(self.stages)]
        self.kinds = [alike.index(one) for one in alike]
        """For every stage the first one that is the same in all but its name; stages of a kind can change places."""
        self._needed: dict[int, int] = {}
        self._forget()

    def _forget(self) -> None:
        self._least_bytes: dict[int, int] = {}
        self._least_host_bytes: dict[int, int] = {}
        self._least_spent: dict[int, Spent] = {}
        self._best: dict[tuple[int, bool], BestPhase] = {}

    def within(self, budget_bytes: int) -> "Phases":
        """The phases of the same problem with another budget."""
        phases = copy(self)
        phases.problem = replace(self.problem, budget_bytes=budget_bytes)
        phases._forget()
        return phases

    @property
    def largest(self) -> int:
        """The stage that needs most memory alone; the first one among equals."""
        return max((1 << i for i in range(len(self.stages))), key=self.least_bytes)

    def stages_of(self, chosen: int) -> list[StageCost]:
        """Returns the stages of a set, in order."""
        return [self.stages[i] for i in members(chosen)]

    def one_of_each_kind(self, chosen: int) -> list[int]:
        """Of the stages of a set one of each kind, as sets."""
        return [1 << i for i in {self.kinds[i]: i for i in members(chosen)}.values()]

    def has_needs(self, chosen: int, done: int) -> bool:
        """Whether stages have what they need in themselves or among those that are done."""
        if chosen not in self._needed:
            self._needed[chosen] = reduce(or_, (self.needs[i] for i in members(chosen))) & ~chosen
        return not self._needed[chosen] & ~done

    def fits(self, chosen: int) -> bool:
        """Whether the stages fit at their smallest batches."""
        host = self.problem.host
        return self.least_bytes(chosen) <= self.problem.budget_bytes and (
            host is None or self.least_host_bytes(chosen) <= host.budget_bytes
        )

    def least_bytes(self, chosen: int) -> int:
        """The peak at the smallest batches."""
        if chosen not in self._least_bytes:
            self._least_bytes[chosen] = self._peak_bytes(chosen, [0] * chosen.bit_count())
        return self._least_bytes[chosen]

    def least_host_bytes(self, chosen: int) -> int:
        """The host's peak at the smallest batches; 0 where it is the device's."""
        if chosen not in self._least_host_bytes:
            self._least_host_bytes[chosen] = self._host_peak_bytes(chosen, [0] * chosen.bit_count())
        return self._least_host_bytes[chosen]

    def least_spent(self, chosen: int) -> Spent:
        """A lower bound of the ticks of these stages' calls, whatever batches fit; exact with a shared arena."""
        if chosen not in self._least_spent:
            useful = self.useful_of(chosen)
            host_room = self._host_room(chosen)
            rooms = self._rooms(chosen, useful)
            picks = [u.fastest(room, host_room) for u, room in zip(useful, rooms, strict=True)]
            self._least_spent[chosen] = _spent(useful, picks)
        return self._least_spent[chosen]

    def host_ticks(self, chosen: int, *, last: bool) -> int:
        """The host's ticks: for decoding, or reading patches, and for writing them for the phases to come."""
        if not chosen & self.reading:
            return self._read_ticks
        return self._decode_ticks + (0 if last else self._write_ticks)

    def together(self, host: int, device: int) -> int:
        """The ticks of a phase: the longer of host's and device's where they run side by side, otherwise their sum."""
        return max(host, device) if self.problem.overlap else host + device

    def load_ticks(self, chosen: int) -> int:
        """The ticks that loading each of the stages takes."""
        return sum(self.clock.count(stage.load_s) for stage in self.stages_of(chosen))

    def bound(self, chosen: int, *, last: bool) -> int:
        """A lower bound of the phase's ticks, whatever batches fit; exact with a shared arena."""
        work = self.least_spent(chosen)
        return self.together(self.host_ticks(chosen, last=last) + work.host, work.device)

    def best(self, chosen: int, *, last: bool) -> BestPhase:
        """Returns the stages, which have to fit, at the batches that are best for them as a phase."""
        if (chosen, last) not in self._best:
            self._best[chosen, last] = self._find_best(chosen, self.host_ticks(chosen, last=last))
        return self._best[chosen, last]

    def _find_best(self, chosen: int, host: int) -> BestPhase:
        useful = self.useful_of(chosen)
        room = self.room(chosen)
        shared = self.problem.arena is Arena.SHARED
        picks: Picks | None = None
        if self.problem.host:
            host_room = self._host_room(chosen)
            picks = tuple(u.fastest(room, host_room) for u in useful)
        elif self.problem.overlap and self.least_spent(chosen).device <= host:
            # time below that of the host gains nothing
            picks = (_smallest_shared if shared else _smallest_private)(useful, room, host)
        if picks is None:
            picks = (_fastest_shared if shared else _fastest_private)(useful, room)
        work = _spent(useful, picks)
        return BestPhase(
            ticks=self.together(host + work.host, work.device),
            peak_bytes=self._peak_bytes(chosen, picks),
            batches=tuple(u.batches[j] for u, j in zip(useful, picks, strict=True)),
            host_peak_bytes=self._host_peak_bytes(chosen, picks),
        )

    def useful_of(self, chosen: int) -> list[Useful]:
        return [self.useful[i] for i in members(chosen)]

    def room(self, chosen: int) -> int:
        """Bytes that the weights of these stages leave for batches."""
        weights_bytes = sum(stage.weights_bytes for stage in self.stages_of(chosen))
        return self.problem.budget_bytes - self.problem.base_bytes - weights_bytes

    def _host_room(self, chosen: int) -> int:
        """Bytes that the weights of these stages leave for batches on the host; boundless where it is the device."""
        host = self.problem.host
        if host is None:
            return LARGEST
        return host.budget_bytes - host.base_bytes - sum(s.host.weights_bytes for s in self.stages_of(chosen))

    def _rooms(self, chosen: int, useful: Sequence[Useful]) -> list[int]:
        """The most that each stage can hold while the others hold their least."""
        room = self.room(chosen)
        if self.problem.arena is Arena.SHARED:
            return [room] * len(useful)
        rest = room - sum(u.held_bytes[0] for u in useful)
        return [rest + u.held_bytes[0] for u in useful]

    def _peak_bytes(self, chosen: int, picks: Sequence[int]) -> int:
        held_bytes = [u.held_bytes[j] for u, j in zip(self.useful_of(chosen), picks, strict=True)]
        activations = max(held_bytes) if self.problem.arena is Arena.SHARED else sum(held_bytes)
        return self.problem.base_bytes + self._weights.peak_bytes(chosen, activations)

    def _host_peak_bytes(self, chosen: int, picks: Sequence[int]) -> int:
        host = self.problem.host
        if host is None:
            return 0
        activations = max(u.host_bytes[j] for u, j in zip(self.useful_of(chosen), picks, strict=True))
        return host.base_bytes + self._host_weights.peak_bytes(chosen, activations)


class Weights:
    """The weights of all stages in one memory, loaded one by one in the best order: that of falling spikes."""

    def __init__(self, stages: Sequence[StageCost | HostShare]) -> None:
        self.by_place = tuple(stage.weights_bytes for stage in stages)
        order = sorted(range(len(stages)), key=lambda i: -stages[i].spike_bytes)
        self._loaded = [(1 << i, stages[i].weights_bytes, stages[i].spike_bytes) for i in order]

    def peak_bytes(self, chosen: int, activations_bytes: int) -> int:
        """The peak of these stages, while they are loaded and while their batches run."""
        peak = weights = 0
        for bit, weights_bytes, spike_bytes in self._loaded:
            if chosen & bit:
                weights += weights_bytes
                peak = max(peak, weights + spike_bytes)
        return max(peak, weights + activations_bytes)


def mask_of(places: Iterable[int]) -> int:
    """The set of some stages, as a bit mask."""
    return sum(1 << i for i in places)


@lru_cache(maxsize=2**16)
def members(chosen: int) -> tuple[int, ...]:
    """The stages of a set, by their places in the order."""
    return tuple(i for i in range(chosen.bit_length()) if chosen >> i & 1)


def clock_of(problem: Problem) -> Ticks:
    """Makes a clock that knows all seconds of a problem, whatever the places of its stages."""
    times = [0.0, problem.decode_s, problem.patch_read_s, problem.patch_write_s, problem.switch_s]
    for stage in problem.stages:
        times += [stage.load_s, stage.host.item_s, *stage.batch_s.values()]
        if stage.on_host:
            times += [stage.on_host.load_s, *stage.on_host.batch_s.values()]
    return Ticks(times)


def _useful(stage: StageCost, problem: Problem, clock: Ticks) -> Useful:
    kept: list[tuple[tuple[int, int], int, int]] = []
    for batch in sorted(stage.batch_s):
        held_bytes = stage.held_bytes(batch), stage.host.held_bytes(batch) if problem.host else 0
        ticks = stage.calls(problem.frames, batch) * clock.count(stage.batch_s[batch])
        if kept and ticks >= kept[-1][1]:
            continue
        if kept and held_bytes == kept[-1][0]:
            kept.pop()
        kept.append((held_bytes, ticks, batch))
    choices = kept if problem.arena is Arena.PRIVATE else []
    return Useful(
        is_on_host=stage.is_on_host,
        batches=tuple(batch for _, _, batch in kept),
        held_bytes=tuple(held_bytes for (held_bytes, _), _, _ in kept),
        host_bytes=tuple(host_bytes for (_, host_bytes), _, _ in kept),
        ticks=tuple(ticks for _, ticks, _ in kept),
        beside_ticks=stage.calls(problem.frames, 1) * clock.count(stage.host.item_s) if problem.host else 0,
        by_bytes=Group.of(Variant(held_bytes, ticks) for (held_bytes, _), ticks, _ in choices),
        by_ticks=Group.of(Variant(ticks, held_bytes) for (held_bytes, _), ticks, _ in choices),
    )


def _spent(useful: Sequence[Useful], picks: Sequence[int]) -> Spent:
    device = host = 0
    for u, j in zip(useful, picks, strict=True):
        if u.is_on_host:
            host += u.ticks[j]
        else:
            device += u.ticks[j]
            host += u.beside_ticks
    return Spent(device, host)


def _fastest_shared(useful: Sequence[Useful], room: int) -> Picks:
    return tuple(u.fastest(room) for u in useful)


def _fastest_private(useful: Sequence[Useful], room: int) -> Picks:
    picks = cheapest([u.by_bytes for u in useful], room)
    assert picks is not None, "the stages fit"
    return picks


def _smallest_shared(useful: Sequence[Useful], room: int, ticks: int) -> Picks | None:
    """The picks that hold least of those that take at most so long; none where that is more than there is room for."""
    least = max(u.held_bytes[0] for u in useful)
    sizes = sorted({held_bytes for u in useful for held_bytes in u.held_bytes if least <= held_bytes <= room})

    def is_fast(size: int) -> bool:
        return sum(u.ticks[u.fastest(size)] for u in useful) <= ticks

    first = bisect_left(sizes, True, key=is_fast)
    return _fastest_shared(useful, sizes[first]) if first < len(sizes) else None


def _smallest_private(useful: Sequence[Useful], room: int, ticks: int) -> Picks | None:
    """The picks that hold least of those that take at most so long; none where that is more than there is room for."""
    reversed_picks = cheapest([u.by_ticks for u in useful], ticks)
    if reversed_picks is None:
        return None
    picks = tuple(len(u.batches) - 1 - j for u, j in zip(useful, reversed_picks, strict=True))
    held_bytes = sum(u.held_bytes[j] for u, j in zip(useful, picks, strict=True))
    return picks if held_bytes <= room else None
