import math
import random
from collections import Counter
from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from faceloom.errors import BudgetError
from faceloom.solver.phases import Phases, mask_of, members
from faceloom.solver.plan import Plan
from faceloom.solver.problem import Arena, Problem, StageCost
from faceloom.solver.rank import rank
from faceloom.solver.solve import solve
from solver.brute import best_by_trying, random_problem, smallest_budget

problems = st.builds(random_problem, st.integers(0, 2**32))


def seconds_of(problem: Problem) -> float:
    """Infinitely many where there is no plan."""
    try:
        return solve(problem).seconds
    except BudgetError:
        return math.inf


def sets_of(plan: Plan) -> list[set[str]]:
    return [{placement.stage for placement in phase.placements} for phase in plan.phases]


@pytest.mark.parametrize("arena", Arena)
@pytest.mark.parametrize("overlap", [False, True])
def test_no_plan_is_better_than_the_one_found(arena: Arena, overlap: bool) -> None:
    seen: Counter[str] = Counter()
    for seed in range(5 * settings().max_examples):
        problem = random_problem(seed, arena=arena, overlap=overlap)
        best = best_by_trying(problem)
        if best is None:
            with pytest.raises(BudgetError):
                solve(problem)
            seen["refused"] += 1
            continue
        plan = solve(problem)
        assert plan.seconds == pytest.approx(best.seconds, rel=1e-9, abs=0), seed
        assert (len(plan.phases), plan.peak_bytes) == (best.phases, best.peak_bytes), seed
        seen["one phase" if best.phases == 1 else "split"] += 1
    least = settings().max_examples // 2
    assert all(seen[outcome] >= least for outcome in ("refused", "one phase", "split")), seen


@given(problems)
def test_the_plan_costs_what_it_says(problem: Problem) -> None:
    assume_solvable = replace(problem, budget_bytes=max(problem.budget_bytes, smallest_budget(problem)))
    plan = solve(assume_solvable)
    stages = {stage.stage: stage for stage in problem.stages}
    for i, phase in enumerate(plan.phases):
        chosen = [(stages[placement.stage], placement.batch) for placement in phase.placements]
        device_s = sum(stage.calls(problem.frames, batch) * stage.batch_s[batch] for stage, batch in chosen)
        reads_frames = any(stage.reads_frames for stage, _ in chosen)
        host_s = problem.decode_s if reads_frames else problem.patch_read_s
        host_s += problem.patch_write_s if reads_frames and i < len(plan.phases) - 1 else 0
        host_s *= problem.frames
        run_s = max(host_s, device_s) if problem.overlap else host_s + device_s
        run_s += sum(stage.load_s for stage, _ in chosen) + (problem.switch_s if i else 0)
        assert phase.seconds == pytest.approx(run_s, rel=1e-9, abs=1e-12)
        held = [stage.held_bytes(batch) for stage, batch in chosen]
        activations = max(held) if problem.arena is Arena.SHARED else sum(held)
        running = problem.base_bytes + sum(stage.weights_bytes for stage, _ in chosen) + activations
        assert running <= phase.peak_bytes <= assume_solvable.budget_bytes
    assert plan.seconds == pytest.approx(sum(phase.seconds for phase in plan.phases), rel=1e-9, abs=1e-12)
    assert plan.peak_bytes == max(phase.peak_bytes for phase in plan.phases)
    assert plan.budget_bytes == assume_solvable.budget_bytes
    assert plan.chunk_frames == problem.frames


@given(problems, st.integers(0, 300))
def test_more_memory_never_means_a_slower_plan(problem: Problem, more: int) -> None:
    assert seconds_of(replace(problem, budget_bytes=problem.budget_bytes + more)) <= seconds_of(problem)


@given(problems)
def test_the_smallest_budget_has_a_plan_and_one_byte_less_has_none(problem: Problem) -> None:
    least = smallest_budget(problem)
    assert math.isfinite(seconds_of(replace(problem, budget_bytes=least)))
    if least:
        with pytest.raises(BudgetError) as raised:
            solve(replace(problem, budget_bytes=least - 1))
        assert raised.value.needed_bytes == least
        assert raised.value.budget_bytes == least - 1
        assert raised.value.exit_code == 3


@given(problems, st.randoms(use_true_random=False))
def test_the_order_in_which_stages_are_given_changes_no_seconds(problem: Problem, rng: random.Random) -> None:
    shuffled = tuple(rng.sample(problem.stages, len(problem.stages)))
    assert seconds_of(replace(problem, stages=shuffled)) == seconds_of(problem)


@given(problems)
def test_the_same_problem_has_the_same_plan(problem: Problem) -> None:
    enough = replace(problem, budget_bytes=max(problem.budget_bytes, smallest_budget(problem)))
    assert solve(enough) == solve(enough)


@given(problems)
def test_every_stage_runs_once_and_after_all_it_needs(problem: Problem) -> None:
    enough = replace(problem, budget_bytes=max(problem.budget_bytes, smallest_budget(problem)))
    names = [placement.stage for phase in solve(enough).phases for placement in phase.placements]
    assert sorted(names) == sorted(stage.stage for stage in problem.stages)
    for stage in problem.stages:
        assert stage.needs <= {*names[: names.index(stage.stage)]}


@given(problems)
def test_what_costs_nothing_has_no_phase_of_its_own(problem: Problem) -> None:
    enough = replace(problem, budget_bytes=max(problem.budget_bytes, smallest_budget(problem)))
    hulls = {
        s.stage for s in problem.stages if not s.reads_frames and not s.least_bytes and not any(s.batch_s.values())
    }
    plan = solve(enough)
    assert len(plan.phases) == 1 or not any(names <= hulls for names in sets_of(plan))


@given(problems)
def test_no_stage_could_run_earlier_at_the_same_cost(problem: Problem) -> None:
    plan = solve(replace(problem, budget_bytes=max(problem.budget_bytes, smallest_budget(problem))))
    phases = Phases(problem).within(plan.peak_bytes)
    place = {stage.stage: i for i, stage in enumerate(phases.stages)}
    sets = tuple(mask_of(place[p.stage] for p in phase.placements) for phase in plan.phases)
    for later, chosen in enumerate(sets):
        for bit in (1 << i for i in members(chosen)):
            for earlier in range(later):
                moved = [chosen & ~bit | (bit if i == earlier else 0) for i, chosen in enumerate(sets)]
                done = [sum(moved[: i + 1]) for i in range(len(moved))]
                fits = all(moved) and all(map(phases.fits, moved)) and all(map(phases.has_needs, moved, done))
                assert not fits or rank(phases, tuple(moved)).cost > rank(phases, sets).cost


def stage(name: str, *needs: str, **costs: float) -> StageCost:
    """Of 100 bytes weights and 10 an item, and as fast a call whatever the batch."""
    return StageCost(
        stage=name,
        needs=frozenset(needs),
        reads_frames=name == "detect",
        weights_bytes=int(costs.get("weights_bytes", 100)),
        load_spike=costs.get("load_spike", 0.0),
        load_s=0.0,
        fixed_bytes=0,
        item_bytes=int(costs.get("item_bytes", 10)),
        items_per_frame=1.0,
        batch_s={batch: costs.get("call_s", 1.0) for batch in range(1, 11)},
    )


def job(*stages: StageCost, budget_bytes: int, **changes: float) -> Problem:
    return Problem(
        frames=100,
        budget_bytes=budget_bytes,
        base_bytes=0,
        arena=Arena.SHARED,
        overlap=bool(changes.get("overlap", False)),
        decode_s=changes.get("decode_s", 0.0),
        patch_read_s=0.0,
        patch_write_s=0.0,
        switch_s=changes.get("switch_s", 1.0),
        stages=stages,
    )


def test_stages_that_fit_together_stay_together() -> None:
    plan = solve(job(stage("detect"), stage("align", "detect"), budget_bytes=300))
    assert [p.batch for p in plan.phases[0].placements] == [10, 10]
    assert plan.seconds == 20


def test_a_split_is_worth_larger_batches_when_switching_costs_less() -> None:
    stages = stage("detect"), stage("align", "detect")
    assert len(solve(job(*stages, budget_bytes=220)).phases) == 2
    assert len(solve(job(*stages, budget_bytes=220, switch_s=1000.0)).phases) == 1


def test_a_split_that_gains_nothing_is_not_made() -> None:
    plan = solve(job(stage("detect"), stage("align", "detect"), budget_bytes=300, switch_s=0.0))
    assert len(plan.phases) == 1


def test_what_costs_nothing_runs_as_early_as_it_can() -> None:
    hull = stage("hull", "align", weights_bytes=0, item_bytes=0, call_s=0.0)
    stages = stage("detect"), stage("align", "detect"), stage("mask", "align"), hull
    assert sets_of(solve(job(*stages, budget_bytes=150))) == [{"detect"}, {"align", "hull"}, {"mask"}]


def test_beside_slow_decoding_the_smallest_batch_that_keeps_up_is_chosen() -> None:
    plan = solve(job(stage("detect"), budget_bytes=200, overlap=True, decode_s=0.3))
    assert [p.batch for p in plan.phases[0].placements] == [4]
    assert plan.seconds == 30


def test_the_spike_while_loading_counts() -> None:
    stages = stage("detect", load_spike=1.0), stage("align", "detect", load_spike=2.0)
    assert smallest_budget(job(*stages, budget_bytes=0)) == 300
    assert len(solve(job(*stages, budget_bytes=300)).phases) == 1  # 300 for align, then 100 + 200 for detect


def test_noise_in_a_float_is_no_reason_for_a_larger_batch() -> None:
    slow = replace(stage("detect"), batch_s={1: 0.1, 3: 0.1 + 0.2}, items_per_frame=3.0)
    assert solve(job(slow, budget_bytes=1000)).phases[0].placements[0].batch == 1


def test_a_refusal_names_the_stage_that_needs_most() -> None:
    with pytest.raises(BudgetError, match="'mask' needs 1 MiB at batch 1") as raised:
        solve(job(stage("detect"), stage("mask", "detect", weights_bytes=400), budget_bytes=200))
    assert (raised.value.stage, raised.value.needed_bytes, raised.value.budget_bytes) == ("mask", 410, 200)
    with pytest.raises(BudgetError, match="the budget on cuda:1 is"):
        solve(job(stage("detect"), budget_bytes=20), device="cuda:1")


def test_no_frames_take_no_time_but_loading() -> None:
    plan = solve(replace(job(stage("detect"), budget_bytes=200), frames=0))
    assert (plan.seconds, plan.chunk_frames) == (0, 0)


def test_numbers_of_any_size_are_planned() -> None:
    """Exactly, though no float could hold the sums."""
    fast = replace(stage("detect"), batch_s={1: 5e-324, 2: 1e-300})
    slow = replace(stage("mask", "detect"), batch_s={1: 9.2e18, 2: 9.3e18}, items_per_frame=9e18)
    problem = replace(job(fast, slow, budget_bytes=2**63 - 1), frames=2**63 - 1)
    for arena in Arena:
        plan = solve(replace(problem, arena=arena))
        assert [p.batch for p in plan.phases[0].placements] == [1, 2]


@pytest.mark.parametrize("arena", Arena)
def test_many_stages_that_fit_are_planned_at_once(arena: Arena) -> None:
    stages = [stage("detect"), *(stage(f"mask-{i}", "detect") for i in range(40))]
    assert len(solve(replace(job(*stages, budget_bytes=10**6), arena=arena)).phases) == 1
