"""A detector, an aligner and many masks: as exact as a few stages, without going through all there is."""

from collections import Counter
from dataclasses import replace

import pytest
from hypothesis import settings

from faceloom.solver.phases import Phases
from faceloom.solver.problem import Arena
from faceloom.solver.solve import solve
from solver.stars import best_by_sets, star

LOOKED_AT = 20_000
"""Sets of stages; of 15 masks there are 32,768."""


@pytest.mark.parametrize("arena", Arena)
@pytest.mark.parametrize("overlap", [False, True])
@pytest.mark.parametrize("kinds", [1, 2, 6])
def test_no_plan_for_many_stages_is_better(arena: Arena, overlap: bool, kinds: int) -> None:
    seen: Counter[int] = Counter()
    for seed in range(settings().max_examples // 10):
        problem = star(6, seed, arena=arena, overlap=overlap, kinds=kinds)
        best, plan = best_by_sets(problem), solve(problem)
        assert plan.seconds == pytest.approx(best.seconds, rel=1e-9, abs=0), seed
        assert (len(plan.phases), plan.peak_bytes) == (best.phases, best.peak_bytes), seed
        seen[best.phases] += 1
    assert len(seen) >= 2, seen


@pytest.mark.parametrize("arena", Arena)
@pytest.mark.parametrize("masks", [15, 18])
@pytest.mark.parametrize("together", [1, 2, 4, 7])
def test_stages_that_are_alike_are_not_tried_in_every_order(
    arena: Arena, masks: int, together: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    looked_at: Counter[int] = Counter()
    least_bytes = Phases.least_bytes

    def counted(self: Phases, chosen: int) -> int:
        looked_at[chosen] += 1
        return least_bytes(self, chosen)

    monkeypatch.setattr(Phases, "least_bytes", counted)
    problem = star(masks, 3, arena=arena, overlap=False, kinds=1)
    mask = next(stage for stage in problem.stages if stage.stage == "mask-0")
    largest = max(stage.least_bytes for stage in problem.stages)
    problem = replace(problem, budget_bytes=10 + max(largest, together * (mask.weights_bytes + mask.held_bytes(1))))
    plan = solve(problem)
    assert len(plan.phases) > 1
    assert len(looked_at) < LOOKED_AT
