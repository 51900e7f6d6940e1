"""Tables over all sets of stages: as good as what goes through every plan, and as branch and bound."""

import tracemalloc
from collections import Counter
from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from faceloom.errors import BudgetError
from faceloom.solver import subsets
from faceloom.solver.phases import Phases
from faceloom.solver.problem import Arena, Problem
from faceloom.solver.rank import Sets, rank
from faceloom.solver.solve import solve
from faceloom.solver.subsets import MOST, by_subsets, planning_bytes
from faceloom.units import MIB
from solver.brute import best_by_trying, random_problem
from solver.stars import best_by_sets, star


@pytest.fixture
def at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """Few stages are gone through in tables too."""
    monkeypatch.setattr(subsets, "FEWEST", 1)


def as_cost(phases: Phases, sets: Sets) -> tuple[float, int, int]:
    """The seconds with a switch to each phase and all loading, the number of phases and the peak."""
    found = rank(phases, sets)
    loads = phases.load_ticks(phases.everything) - phases.switch_ticks
    return phases.clock.seconds(found.ticks + loads), found.phases, found.peak_bytes


def test_no_partition_at_any_batch_is_better(at_once: None) -> None:
    seen: Counter[tuple[int, bool]] = Counter()
    for seed in range(settings().max_examples * 2):
        problem = random_problem(seed, arena=Arena.SHARED)
        best = best_by_trying(problem)
        if best is None:
            continue
        phases = Phases(problem)
        sets = by_subsets(phases)
        assert sets, seed
        seconds, number, peak_bytes = as_cost(phases, sets)
        assert seconds == pytest.approx(best.seconds, rel=1e-9, abs=1e-12), seed
        assert (number, peak_bytes) == (best.phases, best.peak_bytes), seed
        seen[number, problem.overlap] += 1
    assert len(seen) >= 4, seen


@pytest.mark.parametrize("low", [2, 7])
@pytest.mark.parametrize("overlap", [False, True])
def test_blocks_of_any_size_hold_the_same(
    at_once: None, low: int, overlap: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(subsets, "_LOW", low)
    for seed in range(settings().max_examples // 20):
        problem = star(6, seed, arena=Arena.SHARED, overlap=overlap, kinds=6)
        sets = by_subsets(Phases(problem))
        assert sets, seed
        best = best_by_sets(problem)
        seconds, *rest = as_cost(Phases(problem), sets)
        assert seconds == pytest.approx(best.seconds, rel=1e-9, abs=1e-12), seed
        assert tuple(rest) == (best.phases, best.peak_bytes), seed


@pytest.mark.parametrize("overlap", [False, True])
def test_many_stages_take_what_branch_and_bound_finds(overlap: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    for seed in range(3):
        problem = star(11, seed, arena=Arena.SHARED, overlap=overlap, kinds=11)
        assert by_subsets(Phases(problem))
        quick = solve(problem)
        with monkeypatch.context() as patch:
            patch.setattr(subsets, "FEWEST", MOST)
            searched = solve(problem)
        assert (quick.seconds, len(quick.phases), quick.peak_bytes) == (
            searched.seconds,
            len(searched.phases),
            searched.peak_bytes,
        ), seed


@given(st.integers(0, 2**32), st.integers(1, 15))
def test_seconds_of_any_size_are_told_apart(seed: int, exponent: int) -> None:
    """What arrays cannot hold is left out from below, and is less than counts as a difference."""
    problem = random_problem(seed, arena=Arena.SHARED)
    longer = replace(problem, frames=problem.frames * 10**exponent + 1)
    phases = Phases(longer)
    try:
        plan = solve(longer)
    except BudgetError:
        return
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(subsets, "FEWEST", 1)
        sets = by_subsets(phases)
    if sets:
        assert as_cost(phases, sets)[0] == pytest.approx(plan.seconds, rel=1e-12, abs=1e-12)


@pytest.mark.parametrize("stages", [13, 15, 17])
@pytest.mark.parametrize("overlap", [False, True])
def test_what_planning_holds_for_the_moment_is_known(stages: int, overlap: bool) -> None:
    phases = Phases(star(stages - 2, 1, arena=Arena.SHARED, overlap=overlap, kinds=stages - 2, batches=7))
    by_subsets(phases)  # what is kept of it for good is made once
    tracemalloc.start()
    try:
        assert by_subsets(phases)
        held = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert held <= planning_bytes(stages) + MIB // 4


@pytest.mark.parametrize(
    "problem",
    [
        star(10, 0, arena=Arena.SHARED, overlap=False, kinds=10),
        star(16, 0, arena=Arena.SHARED, overlap=False, kinds=16),
        star(12, 0, arena=Arena.PRIVATE, overlap=False, kinds=12),
    ],
    ids=["few", "many", "private"],
)
def test_what_is_searched_otherwise_takes_nothing(problem: Problem) -> None:
    assert by_subsets(Phases(problem)) is None
    assert problem.arena is Arena.PRIVATE or planning_bytes(len(problem.stages)) == 0


def test_stages_that_can_be_left_in_too_many_ways_are_searched() -> None:
    """All of them read frames, so that none is free to come anywhere."""
    problem = star(15, 0, arena=Arena.SHARED, overlap=False, kinds=15)
    free = tuple(replace(stage, reads_frames=True, needs=frozenset()) for stage in problem.stages)
    assert by_subsets(Phases(replace(problem, stages=free))) is None
