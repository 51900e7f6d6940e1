"""Budgets swept in small steps over stages as large as real ones, each with activations of its own."""

import math
from collections.abc import Iterator, Sequence
from dataclasses import replace

import pytest

from faceloom.errors import BudgetError
from faceloom.solver.plan import Phase, Plan
from faceloom.solver.problem import Arena, Problem, StageCost
from faceloom.solver.solve import solve
from faceloom.units import MIB
from solver.brute import smallest_budget

LADDER = (1, 2, 3, 4, 6, 8, 12, 16, 24, 32, 48, 64)
MOST_MIB = 24_576
GRAIN_MIB = 16
"""All sizes here are multiples of it, so that what fits changes nowhere else: budgets between have the same plan."""
EVERY_CHANGE = range(GRAIN_MIB, MOST_MIB + 1, GRAIN_MIB)


def stage(name: str, *needs: str, weights: int, item: int, call_s: float, item_s: float, load_s: float) -> StageCost:
    """Sizes in MiB."""
    return StageCost(
        stage=name,
        needs=frozenset(needs),
        reads_frames=name.startswith("detect/"),
        weights_bytes=weights * MIB,
        load_spike=0.0,
        load_s=load_s,
        fixed_bytes=0,
        item_bytes=item * MIB,
        items_per_frame=1.0 if name.startswith("detect/") else 1.5,
        batch_s={batch: call_s + item_s * batch for batch in LADDER},
    )


S3FD = stage("detect/s3fd", weights=4112, item=208, call_s=0.02, item_s=0.03, load_s=3.0)
MTCNN = stage("detect/mtcnn", weights=320, item=32, call_s=0.03, item_s=0.01, load_s=1.0)
FAN = stage("align/fan", "detect/s3fd", weights=2240, item=64, call_s=0.03, item_s=0.012, load_s=2.5)
CLEAR = stage("mask/vgg-clear", "align/fan", weights=2944, item=400, call_s=0.01, item_s=0.008, load_s=2.0)
OBSTRUCTED = stage("mask/vgg-obstructed", "align/fan", weights=3936, item=304, call_s=0.01, item_s=0.009, load_s=2.0)
UNET = stage("mask/unet-dfl", "align/fan", weights=3424, item=80, call_s=0.02, item_s=0.006, load_s=1.5)
HULLS = tuple(
    stage(f"mask/{name}", "align/fan", weights=0, item=0, call_s=0.0, item_s=0.0, load_s=0.0)
    for name in ("components", "extended")
)
SIX = (S3FD, MTCNN, FAN, CLEAR, OBSTRUCTED, UNET)


def job(*stages: StageCost, budget_mib: int, overlap: bool = False) -> Problem:
    return Problem(
        frames=2000,
        budget_bytes=budget_mib * MIB,
        base_bytes=0,
        arena=Arena.PRIVATE,
        overlap=overlap,
        decode_s=0.01,
        patch_read_s=0.0002,
        patch_write_s=0.0005,
        switch_s=0.5,
        stages=stages,
    )


def wrong_plans(problem: Problem, budgets_mib: Sequence[int]) -> list[str]:
    """What is wrong with the plans for these budgets, which rise; `benchmarks/planner.py` tries more of them."""
    least = smallest_budget(problem)
    seconds = math.inf
    wrong = []
    for budget_bytes, plan in plans(problem, budgets_mib):
        if (plan is None) != (budget_bytes < least):
            wrong.append(f"{budget_bytes}: {plan}, but the smallest budget is {least}")
        if plan is None:
            continue
        for phase in plan.phases:
            if not running_bytes(phase, problem.stages) <= phase.peak_bytes <= budget_bytes:
                wrong.append(f"{budget_bytes}: exceeded by {phase}")
        if plan.seconds > seconds:
            wrong.append(f"{budget_bytes}: {plan.seconds} s, but {seconds} s with less memory")
        seconds = plan.seconds
    return wrong


def plans(problem: Problem, budgets_mib: Sequence[int]) -> Iterator[tuple[int, Plan | None]]:
    """Budgets in bytes, and the plan for each; None where there is none."""
    for budget_mib in budgets_mib:
        try:
            plan = solve(replace(problem, budget_bytes=budget_mib * MIB))
        except BudgetError:
            plan = None
        yield budget_mib * MIB, plan


def running_bytes(phase: Phase, stages: tuple[StageCost, ...]) -> int:
    costs = {cost.stage: cost for cost in stages}
    return sum(costs[p.stage].weights_bytes + costs[p.stage].held_bytes(p.batch) for p in phase.placements)


@pytest.mark.parametrize(
    ("stages", "budgets_mib", "overlap"),
    [
        ((S3FD, FAN, CLEAR, *HULLS), EVERY_CHANGE, False),
        ((S3FD, FAN, CLEAR, *HULLS), EVERY_CHANGE[::3], True),
        ((S3FD, FAN), EVERY_CHANGE[1::3], True),
        ((MTCNN,), EVERY_CHANGE[::3], False),
        ((S3FD, FAN, UNET, OBSTRUCTED), EVERY_CHANGE[::6], False),
        ((*SIX, *HULLS), EVERY_CHANGE[::12], False),
        ((*SIX, *HULLS), EVERY_CHANGE[6::12], True),
    ],
)
def test_no_budget_is_exceeded_and_none_is_worse_than_a_smaller_one(
    stages: tuple[StageCost, ...], budgets_mib: Sequence[int], overlap: bool
) -> None:
    assert wrong_plans(job(*stages, budget_mib=1, overlap=overlap), budgets_mib) == []


def test_sizes_are_of_the_grain_that_the_budgets_go_through() -> None:
    sizes = {size for cost in (*SIX, *HULLS) for size in (cost.weights_bytes, cost.item_bytes, cost.fixed_bytes)}
    assert all(size % (GRAIN_MIB * MIB) == 0 for size in sizes)


def test_a_budget_below_the_largest_stage_is_refused_and_names_it() -> None:
    with pytest.raises(BudgetError, match=r"'detect/s3fd' needs 4,320 MiB at batch 1.*3,840 MiB") as raised:
        solve(job(S3FD, FAN, CLEAR, budget_mib=3840))
    assert raised.value.stage == "detect/s3fd"
    assert raised.value.needed_bytes == 4320 * MIB
    assert raised.value.budget_bytes == 3840 * MIB


def test_the_budget_that_a_refusal_asks_for_is_enough() -> None:
    plan = solve(job(S3FD, FAN, CLEAR, budget_mib=4320))
    assert [p.batch for p in plan.phases[0].placements] == [1]


@pytest.mark.parametrize("budget_mib", [5121, 9112, 12_288])
def test_no_phase_leaves_room_for_a_batch_that_would_be_faster(budget_mib: int) -> None:
    stages = {cost.stage: cost for cost in (S3FD, FAN, CLEAR)}
    problem = job(*stages.values(), budget_mib=budget_mib)
    for phase in solve(problem).phases:
        idle_bytes = problem.budget_bytes - running_bytes(phase, problem.stages)
        for placement in phase.placements:
            cost = stages[placement.stage]
            now_s, now_bytes = total_s(problem, cost, placement.batch), cost.held_bytes(placement.batch)
            faster = [batch for batch in LADDER if total_s(problem, cost, batch) < now_s]
            assert all(cost.held_bytes(batch) - now_bytes > idle_bytes for batch in faster)


def total_s(problem: Problem, cost: StageCost, batch: int) -> float:
    return cost.calls(problem.frames, batch) * cost.batch_s[batch]


def test_a_stage_limited_to_batches_of_one_is_planned() -> None:
    single = replace(FAN, batch_s={1: FAN.batch_s[1]})
    plan = solve(job(S3FD, single, budget_mib=5121))
    assert {p.stage: p.batch for phase in plan.phases for p in phase.placements} == {"detect/s3fd": 4, "align/fan": 1}


def test_six_networks_are_planned() -> None:
    plan = solve(job(*SIX, *HULLS, budget_mib=8192))
    assert {p.stage for phase in plan.phases for p in phase.placements} == {cost.stage for cost in (*SIX, *HULLS)}
    assert len(plan.phases) > 1
    assert plan.peak_bytes <= 8192 * MIB
