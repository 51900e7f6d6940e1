"""Lower bounds: no plan takes less, and where there is nothing to choose they are what the plan takes."""

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from faceloom.errors import BudgetError
from faceloom.solver.bounds import LowerBounds
from faceloom.solver.phases import Phases
from faceloom.solver.places import place
from faceloom.solver.plan import HOST, Plan
from faceloom.solver.problem import Arena, Problem, StageCost
from faceloom.solver.solve import solve
from solver.brute import random_problem
from solver.places import random_placed_problem

ENOUGH = 1 << 50
anything = st.builds(random_problem, st.integers(0, 2**32)) | st.builds(random_placed_problem, st.integers(0, 2**32))


def phases_of(problem: Problem, plan: Plan | None = None) -> Phases:
    """The phases of a problem whose stages are where a plan has them, or all on the device."""
    moved = [p.stage for phase in plan.phases for p in phase.placements if p.device == HOST] if plan else []
    return Phases(place(problem, moved) if problem.host else problem)


def seconds(phases: Phases, ticks: int) -> float:
    """A plan's seconds: no switch to its first phase, and all loading."""
    return phases.clock.seconds(ticks - phases.switch_ticks + phases.load_ticks(phases.everything))


@given(anything)
def test_no_plan_takes_less_time_or_fewer_phases(problem: Problem) -> None:
    try:
        plan = solve(problem, device="cuda:0")
    except BudgetError:
        return
    phases = phases_of(problem, plan)
    bounds = LowerBounds(phases)
    assert seconds(phases, bounds.least_ticks(phases.everything)) <= plan.seconds * (1 + 1e-9) + 1e-12
    assert 1 <= bounds.least_phases(phases.everything) <= len(plan.phases)


@given(anything)
def test_where_everything_fits_at_its_fastest_the_bound_is_the_one_phase(problem: Problem) -> None:
    roomy = replace(problem, budget_bytes=ENOUGH)
    if roomy.host:
        roomy = replace(roomy, host=replace(roomy.host, budget_bytes=ENOUGH))
    phases = phases_of(roomy)
    one = phases.best(phases.everything, last=True).ticks + phases.switch_ticks
    assert LowerBounds(phases).least_phases(phases.everything) == 1
    # Where stages may hide behind the host's work, a phase may gain by taking its time.
    assert LowerBounds(phases).least_ticks(phases.everything) == one


@pytest.mark.parametrize("arena", Arena)
def test_where_each_stage_fills_a_phase_the_bound_is_the_plan_of_one_stage_a_phase(arena: Arena) -> None:
    """All fit together at batch 1; at batch 8, ten times as fast, each takes all the room."""
    stages = tuple(
        StageCost(
            stage=f"stage-{i}",
            needs=frozenset(),
            reads_frames=False,
            weights_bytes=10,
            load_spike=0.0,
            load_s=0.5,
            fixed_bytes=0,
            item_bytes=10,
            items_per_frame=1.0,
            batch_s={1: 1.0, 8: 0.8},
        )
        for i in range(3)
    )
    problem = Problem(
        frames=80,
        budget_bytes=90,
        base_bytes=0,
        arena=arena,
        overlap=False,
        decode_s=0.0,
        patch_read_s=0.0,
        patch_write_s=0.0,
        switch_s=1.0,
        stages=stages,
    )
    plan = solve(problem)
    phases = phases_of(problem)
    assert phases.fits(phases.everything)
    assert (len(plan.phases), plan.seconds) == (3, 3 * (8 + 0.5) + 2)
    assert seconds(phases, LowerBounds(phases).least_ticks(phases.everything)) == plan.seconds
