"""Small random problems of a device with a host beside it, and the best plan by trying everything."""

import itertools
import random
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from functools import cache, lru_cache

from faceloom.solver.problem import Arena, Host, HostCost, HostShare, Problem, StageCost
from solver.brute import Best, _partitions, _ticks, random_problem


def random_placed_problem(seed: int) -> Problem:
    """Of two to four stages, most of which may run on the host."""
    rng = random.Random(f"places {seed}")
    problem = random_problem(seed, arena=Arena.SHARED)
    grain = rng.choice((1, 10_000))
    stages = tuple(_with_host(rng, stage, grain) for stage in problem.stages[:4])
    names = {stage.stage for stage in stages}
    base_bytes = rng.choice((0, rng.randrange(50)))
    return replace(
        problem,
        frames=min(problem.frames, 12),
        budget_bytes=rng.choice((problem.budget_bytes, problem.base_bytes + rng.randrange(120))),
        stages=tuple(replace(stage, needs=stage.needs & names) for stage in stages),
        host=Host(budget_bytes=base_bytes + rng.randrange(30, 300), base_bytes=base_bytes),
    )


def _with_host(rng: random.Random, stage: StageCost, grain: int) -> StageCost:
    share = HostShare(
        weights_bytes=rng.choice((0, rng.randrange(30))),
        fixed_bytes=rng.choice((0, rng.randrange(10))),
        item_bytes=rng.choice((0, rng.randrange(10))),
        item_s=rng.choice((0, rng.randint(0, 30_000 // grain) * grain / 10**6)),
    )
    if rng.random() < 0.25:
        return replace(stage, host=share)
    batches = {batch: rng.randint(0, 300_000 // grain) * grain / 10**6 for batch in rng.sample(range(1, 5), 2)}
    cost = HostCost(
        weights_bytes=rng.randrange(60),
        load_spike=rng.choice((0, 0.5, 1)),
        load_s=rng.randint(0, 100_000 // grain) * grain / 10**6,
        fixed_bytes=rng.choice((0, rng.randrange(30))),
        item_bytes=rng.choice((0, rng.randrange(20))),
        batch_s=batches,
    )
    return replace(stage, host=share, on_host=cost)


@dataclass(frozen=True)
class Variant:
    """One stage in one place at one batch."""

    stage: StageCost
    is_on_host: bool
    batch: int

    @property
    def cost(self) -> StageCost | HostCost:
        cost = self.stage.on_host if self.is_on_host else self.stage
        assert cost is not None
        return cost

    @property
    def ticks_a_call(self) -> int:
        return _ticks(self.cost.batch_s[self.batch])

    @property
    def own(self) -> tuple[int, int, int]:
        """Weights, spike, activations where it runs."""
        cost = self.cost
        spike = round(cost.load_spike * cost.weights_bytes)
        return cost.weights_bytes, spike, cost.fixed_bytes + cost.item_bytes * self.batch

    @property
    def beside(self) -> tuple[int, int, int]:
        """The same on the host, for a stage that runs on the device."""
        share = self.stage.host
        return share.weights_bytes, 0, share.fixed_bytes + share.item_bytes * self.batch


def peaks(problem: Problem, chosen: Sequence[Variant]) -> tuple[int, int]:
    """Of the device and of the host, while these are one phase."""
    assert problem.host
    device = [choice.own for choice in chosen if not choice.is_on_host]
    host = [choice.own if choice.is_on_host else choice.beside for choice in chosen]
    return problem.base_bytes + _peak(device), problem.host.base_bytes + _peak(host)


def _peak(held: list[tuple[int, int, int]]) -> int:
    """In the better of all orders of loading; with a shared arena."""
    loading = _loading_peak(tuple((weights, spike) for weights, spike, _ in held))
    return max(loading, sum(w for w, _, _ in held) + max((a for _, _, a in held), default=0))


@lru_cache(maxsize=256)
def _loading_peak(networks: tuple[tuple[int, int], ...]) -> int:
    """Of weights and spikes; the same whatever the batches are."""
    return min(
        max((sum(w for w, _ in order[: i + 1]) + order[i][1] for i in range(len(order))), default=0)
        for order in itertools.permutations(networks)
    )


def ticks(problem: Problem, chosen: list[Variant], *, last: bool) -> int:
    """Microseconds of a phase, with loading."""
    reading = any(choice.stage.reads_frames for choice in chosen)
    host = problem.frames * _ticks(problem.decode_s if reading else problem.patch_read_s)
    host += problem.frames * _ticks(problem.patch_write_s) if reading and not last else 0
    device = 0
    for choice in chosen:
        called = choice.stage.calls(problem.frames, choice.batch) * choice.ticks_a_call
        beside = choice.stage.calls(problem.frames, 1) * _ticks(choice.stage.host.item_s)
        host, device = (host + called, device) if choice.is_on_host else (host + beside, device + called)
    loads = sum(_ticks(choice.cost.load_s) for choice in chosen)
    return loads + (max(host, device) if problem.overlap else host + device)


def best_by_trying(problem: Problem) -> Best | None:
    """The best plan, its peak that of the device; None if there is none."""
    assert problem.host
    stages = {stage.stage: stage for stage in problem.stages}
    best_phase = cache(lambda names, last: _best_phase(problem, [stages[name] for name in sorted(names)], last=last))
    best = None
    for partition in _partitions({name: stage.needs for name, stage in stages.items()}):
        tried = [best_phase(names, i == len(partition) - 1) for i, names in enumerate(partition)]
        phases = [phase for phase in tried if phase]
        if len(phases) == len(tried):
            taken = _ticks(problem.switch_s) * (len(phases) - 1) + sum(taken for taken, _ in phases)
            plan = Best(taken, len(phases), max(peak for _, peak in phases))
            best = min(best or plan, plan)
    return best


def _best_phase(problem: Problem, stages: Sequence[StageCost], *, last: bool) -> tuple[int, int] | None:
    """Time and peak of the device; None if no places and batches fit."""
    assert problem.host
    found = None
    for chosen in itertools.product(*(list(_choices(stage)) for stage in stages)):
        device_bytes, host_bytes = peaks(problem, list(chosen))
        if device_bytes <= problem.budget_bytes and host_bytes <= problem.host.budget_bytes:
            phase = ticks(problem, list(chosen), last=last), device_bytes
            found = min(found or phase, phase)
    return found


def _choices(stage: StageCost) -> Iterator[Variant]:
    yield from (Variant(stage, False, batch) for batch in stage.batch_s)
    if stage.on_host:
        yield from (Variant(stage, True, batch) for batch in stage.on_host.batch_s)
