"""Many stages: a detector, an aligner that needs it, and masks that need the aligner; and the best plans for them."""

import random
from collections.abc import Iterator
from functools import cache
from itertools import combinations, product

from faceloom.solver.problem import Arena, Problem, StageCost
from solver.brute import Best

MICROSECONDS = 10**6


def star(masks: int, seed: int, *, arena: Arena, overlap: bool, kinds: int, batches: int = 2) -> Problem:
    """Of so many masks of so many kinds; no spikes. The budget is somewhere between one stage and all."""
    rng = random.Random(f"star {seed}")
    patterns = [_stage(rng, f"kind-{i}", "align", batches=batches) for i in range(kinds)]
    stages = [_stage(rng, "detect", batches=batches), _stage(rng, "align", "detect", batches=batches)]
    for i in range(masks):
        stages.append(_named(patterns[i % kinds], f"mask-{i}"))
    least = max(stage.least_bytes for stage in stages)
    most = sum(stage.least_bytes for stage in stages)
    return Problem(
        frames=40,
        budget_bytes=10 + least + rng.randrange(max(1, most - least)) * rng.randrange(1, 4) // 3,
        base_bytes=10,
        arena=arena,
        overlap=overlap,
        decode_s=rng.choice((0.0, 0.02, 0.2)),
        patch_read_s=0.001,
        patch_write_s=rng.choice((0.0, 0.002)),
        switch_s=rng.choice((0.01, 0.5)),
        stages=tuple(rng.sample(stages, len(stages))),
    )


def _stage(rng: random.Random, name: str, *needs: str, batches: int) -> StageCost:
    call_s, item_s = rng.choice((0, rng.randrange(50) / 1000)), rng.randrange(1, 20) / 1000
    return StageCost(
        stage=name,
        needs=frozenset(needs),
        reads_frames=not needs,
        weights_bytes=rng.randrange(20, 200),
        load_spike=0.0,
        load_s=0.01,
        fixed_bytes=rng.randrange(10),
        item_bytes=rng.randrange(1, 30),
        items_per_frame=1.0,
        batch_s={2**i: call_s + item_s * 2**i for i in range(batches)},
    )


def _named(pattern: StageCost, name: str) -> StageCost:
    return StageCost(**{**{field: getattr(pattern, field) for field in pattern.__slots__}, "stage": name})


def best_by_sets(problem: Problem) -> Best:
    """The best plan, by going from every set of stages that can be done to every other one; all fit alone."""
    stages = {stage.stage: stage for stage in problem.stages}

    @cache
    def after(done: frozenset[str]) -> Best:
        rest = sorted(stages.keys() - done)
        if not rest:
            return Best(0, 0, 0)
        found = None
        for chosen in _subsets(rest):
            if all(stages[name].needs <= done | chosen for name in chosen):
                phase = phase_of(chosen, len(chosen) == len(rest))
                if phase:
                    tail = after(done | chosen)
                    plan = Best(phase[0] + tail.microseconds, 1 + tail.phases, max(phase[1], tail.peak_bytes))
                    found = min(found or plan, plan)
        assert found, "every stage fits alone"
        return found

    @cache
    def phase_of(chosen: frozenset[str], last: bool) -> tuple[int, int] | None:
        return _phase(problem, [stages[name] for name in sorted(chosen)], last=last)

    best = after(frozenset())
    loads = sum(_ticks(stage.load_s) for stage in problem.stages)
    return best._replace(microseconds=best.microseconds + loads - _ticks(problem.switch_s))


def _subsets(names: list[str]) -> Iterator[frozenset[str]]:
    for size in range(1, len(names) + 1):
        yield from map(frozenset, combinations(names, size))


def _phase(problem: Problem, stages: list[StageCost], *, last: bool) -> tuple[int, int] | None:
    """Ticks with a switch, and the peak; None where nothing fits."""
    host = problem.patch_read_s
    if any(stage.reads_frames for stage in stages):
        host = problem.decode_s + (0 if last else problem.patch_write_s)
    host_ticks = problem.frames * _ticks(host)
    weights = problem.base_bytes + sum(stage.weights_bytes for stage in stages)
    found = None
    for batches in product(*(stage.batch_s for stage in stages)):
        pairs = list(zip(stages, batches, strict=True))
        held = [stage.fixed_bytes + stage.item_bytes * batch for stage, batch in pairs]
        peak = weights + (max(held) if problem.arena is Arena.SHARED else sum(held))
        device = sum(-(-problem.frames // batch) * _ticks(stage.batch_s[batch]) for stage, batch in pairs)
        ticks = max(host_ticks, device) if problem.overlap else host_ticks + device
        if peak <= problem.budget_bytes:
            found = min(found or (ticks, peak), (ticks, peak))
    return (found[0] + _ticks(problem.switch_s), found[1]) if found else None


def _ticks(seconds: float) -> int:
    return round(seconds * MICROSECONDS)
