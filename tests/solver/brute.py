"""Small random problems, and the best plan by trying everything, straight from the formulas of docs/memory.md."""

import itertools
import math
import random
from collections.abc import Iterator, Mapping, Set
from functools import cache
from typing import NamedTuple

from faceloom.solver.problem import Arena, Problem, StageCost

TICKS = 10**6
"""Seconds of the problems are whole microseconds, so that the sums here are exact."""


class Best(NamedTuple):
    """What no plan can beat."""

    microseconds: int
    phases: int
    peak_bytes: int

    @property
    def seconds(self) -> float:
        return self.microseconds / TICKS


def random_problem(seed: int, *, arena: Arena | None = None, overlap: bool | None = None) -> Problem:
    """Two to five stages; half of the problems have coarse numbers, in which much is equal."""
    rng = random.Random(seed)
    grain = rng.choice((1, 10_000))
    stages = tuple(_random_stage(rng, i, grain) for i in range(rng.randint(2, 5)))
    shuffled = tuple(rng.sample(stages, len(stages)))
    base_bytes = rng.choice((0, rng.randrange(50)))
    least = max(
        stage.weights_bytes + max(stage.spike_bytes, stage.least_bytes - stage.weights_bytes) for stage in stages
    )
    most = sum(stage.weights_bytes + stage.held_bytes(max(stage.batch_s)) for stage in stages)
    lowest, highest = rng.choice(((least * 3 // 4, least), (least, max(least, most // 2)), (least, max(least, most))))
    return Problem(
        frames=rng.choice((0, 1, rng.randint(2, 40))),
        budget_bytes=base_bytes + rng.randint(lowest, highest),
        base_bytes=base_bytes,
        arena=rng.choice([*Arena]) if arena is None else arena,
        overlap=rng.random() < 0.5 if overlap is None else overlap,
        decode_s=_seconds(rng, grain, 30_000),
        patch_read_s=_seconds(rng, grain, 10_000),
        patch_write_s=_seconds(rng, grain, 10_000),
        switch_s=_seconds(rng, grain, rng.choice((20_000, 500_000))),
        stages=shuffled,
    )


def _random_stage(rng: random.Random, i: int, grain: int) -> StageCost:
    density = rng.choice((0, 0.3, 0.8))
    needs = frozenset(f"stage-{j}" for j in range(i) if rng.random() < density)
    if i and rng.random() < 0.1:  # a hull
        return _stage(i, needs, batch_s={1: 0.0})
    batches = rng.sample(range(1, 9), rng.randint(1, 4))
    call_s, item_s = _seconds(rng, grain, 100_000), _seconds(rng, grain, 30_000)
    return _stage(
        i,
        needs,
        reads_frames=rng.random() < (0.8 if i == 0 else 0.25),
        weights_bytes=rng.randrange(100),
        load_spike=rng.choice((0, 0.25, 0.5, 1, 2)),
        load_s=_seconds(rng, grain, 100_000),
        fixed_bytes=rng.choice((0, rng.randrange(40))),
        item_bytes=rng.choice((0, rng.randrange(30), rng.randrange(30))),
        items_per_frame=rng.choice((0, 0.5, 1, 1.3, 3)),
        batch_s={
            batch: round(call_s + item_s * batch, 6) if rng.random() < 0.7 else _seconds(rng, grain, 300_000)
            for batch in batches
        },
    )


def _stage(
    i: int,
    needs: frozenset[str],
    *,
    batch_s: dict[int, float],
    reads_frames: bool = False,
    weights_bytes: int = 0,
    load_spike: float = 0.0,
    load_s: float = 0.0,
    fixed_bytes: int = 0,
    item_bytes: int = 0,
    items_per_frame: float = 1.0,
) -> StageCost:
    return StageCost(
        stage=f"stage-{i}",
        needs=needs,
        reads_frames=reads_frames,
        weights_bytes=weights_bytes,
        load_spike=load_spike,
        load_s=load_s,
        fixed_bytes=fixed_bytes,
        item_bytes=item_bytes,
        items_per_frame=items_per_frame,
        batch_s=batch_s,
    )


def _seconds(rng: random.Random, grain: int, most: int) -> float:
    """Up to `most` microseconds, in whole grains."""
    return rng.randint(0, most // grain) * grain / TICKS


def smallest_budget(problem: Problem) -> int:
    """The smallest budget in bytes that has a plan: that of the stage that needs most alone, all on the device."""
    alone = (max(_loading((stage,)), stage.least_bytes) for stage in problem.stages)
    return problem.base_bytes + max(alone)


def best_by_trying(problem: Problem) -> Best | None:
    """Of every ordered partition at every batch: least time, then fewest phases, then least memory."""
    stages = {stage.stage: stage for stage in problem.stages}
    best_phase = cache(lambda names, last: _best_phase(problem, [stages[name] for name in sorted(names)], last))
    loads = sum(_ticks(stage.load_s) for stage in problem.stages)
    found = None
    for partition in _partitions({name: stage.needs for name, stage in stages.items()}):
        tried = [best_phase(names, i == len(partition) - 1) for i, names in enumerate(partition)]
        phases = [phase for phase in tried if phase]
        if len(phases) < len(tried):
            continue
        ticks = loads + _ticks(problem.switch_s) * (len(phases) - 1) + sum(ticks for ticks, _ in phases)
        plan = Best(ticks, len(phases), max(peak for _, peak in phases))
        found = plan if found is None else min(found, plan)
    return found


def _partitions(needs: Mapping[str, Set[str]], done: Set[str] = frozenset()) -> Iterator[list[frozenset[str]]]:
    """Every way to cut the stages into phases that have what they need in themselves or before them."""
    rest = sorted(needs.keys() - done)
    if not rest:
        yield []
    for size in range(1, len(rest) + 1):
        for names in map(frozenset, itertools.combinations(rest, size)):
            if all(needs[name] <= done | names for name in names):
                for tail in _partitions(needs, done | names):
                    yield [names, *tail]


def _best_phase(problem: Problem, stages: list[StageCost], last: bool) -> tuple[int, int] | None:
    """Time and peak of the best batches; None if none fit."""
    reading = any(stage.reads_frames for stage in stages)
    host = problem.frames * _ticks(problem.decode_s if reading else problem.patch_read_s)
    if reading and not last:
        host += problem.frames * _ticks(problem.patch_write_s)
    loading = min(map(_loading, itertools.permutations(stages)))
    weights = sum(stage.weights_bytes for stage in stages)
    choices = [[_choice(problem, stage, batch) for batch in stage.batch_s] for stage in stages]
    found = None
    for picks in itertools.product(*choices):
        held = (max if problem.arena is Arena.SHARED else sum)(size for size, _ in picks)
        peak = problem.base_bytes + max(loading, weights + held)
        device = sum(ticks for _, ticks in picks)
        ticks = max(host, device) if problem.overlap else host + device
        if peak <= problem.budget_bytes and (found is None or (ticks, peak) < found):
            found = ticks, peak
    return found


def _choice(problem: Problem, stage: StageCost, batch: int) -> tuple[int, int]:
    calls = max(0, math.ceil(problem.frames * stage.items_per_frame / batch - 1e-9))
    return stage.fixed_bytes + stage.item_bytes * batch, calls * _ticks(stage.batch_s[batch])


def _loading(order: tuple[StageCost, ...]) -> int:
    """The peak while the stages are loaded in this order."""
    loaded = peak = 0
    for stage in order:
        peak = max(peak, loaded + stage.weights_bytes + round(stage.load_spike * stage.weights_bytes))
        loaded += stage.weights_bytes
    return peak


def _ticks(seconds: float) -> int:
    return round(seconds * TICKS)
