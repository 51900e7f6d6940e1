import itertools
from collections.abc import Iterator
from dataclasses import replace

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from faceloom.errors import BudgetError
from faceloom.solver.problem import Problem, StageCost
from faceloom.solver.solve import solve
from faceloom.solver.wishes import (
    FREE,
    BatchWish,
    Wishes,
    in_words,
    largest_phase,
    smallest_wished_budget,
    solve_wished,
    squeezed,
    with_batches,
)
from solver.brute import random_problem, smallest_budget
from solver.places import random_placed_problem

problems = st.builds(random_problem, st.integers(0, 2**32))
batch_wishes = st.builds(BatchWish, batch=st.integers(1, 12), is_forced=st.booleans())


def partitions(stages: tuple[StageCost, ...]) -> Iterator[tuple[frozenset[str], ...]]:
    """Every way to lay stages in phases that have what they need in themselves or before them."""
    for places in itertools.product(range(len(stages)), repeat=len(stages)):
        number = {stage.stage: place for stage, place in zip(stages, places, strict=True)}
        used = sorted(set(places))
        if used == list(range(len(used))) and all(
            number[other] <= number[stage.stage] for stage in stages for other in stage.needs
        ):
            yield tuple(frozenset(name for name, place in number.items() if place == one) for one in used)


@given(problems | st.builds(random_placed_problem, st.integers(0, 2**32)))
def test_the_best_of_all_ways_to_lay_the_phases_is_the_best_plan(problem: Problem) -> None:
    assume(len(problem.stages) <= 4)
    found = []
    for laid in partitions(problem.stages):
        try:
            plan = solve_wished(problem, Wishes(phases=laid))
        except BudgetError:
            continue
        assert tuple(frozenset(p.stage for p in phase.placements) for phase in plan.phases) == laid
        assert plan.peak_bytes <= problem.budget_bytes
        found.append((plan.seconds, len(plan.phases), plan.peak_bytes))
    try:
        best = solve(problem)
    except BudgetError:
        assert not found
        return
    assert min(seconds for seconds, _, _ in found) == pytest.approx(best.seconds, rel=1e-9, abs=1e-12)
    equals = [one[1:] for one in found if one[0] == pytest.approx(best.seconds, rel=1e-9, abs=1e-12)]
    assert min(equals) == (len(best.phases), best.peak_bytes)


@given(problems, st.data())
def test_the_smallest_budget_of_a_wish_does_and_a_byte_less_does_not(problem: Problem, data: st.DataObject) -> None:
    assume(len(problem.stages) <= 4)
    wishes = Wishes(phases=data.draw(st.sampled_from(list(partitions(problem.stages)))))
    needed = smallest_wished_budget(problem, wishes)
    assert needed >= smallest_budget(problem)
    assert solve_wished(replace(problem, budget_bytes=needed), wishes).peak_bytes <= needed
    if needed:
        with pytest.raises(BudgetError):
            solve_wished(replace(problem, budget_bytes=needed - 1), wishes)
    assert set(largest_phase(problem, wishes)) in [set(phase) for phase in wishes.phases]


@given(problems, batch_wishes)
def test_batches_are_as_wished_and_a_wish_never_makes_a_faster_plan(problem: Problem, wish: BatchWish) -> None:
    name = problem.stages[0].stage
    wishes = Wishes(batches={name: wish})
    held = replace(problem, stages=with_batches(problem.stages, wishes))
    held = replace(held, budget_bytes=max(held.budget_bytes, smallest_budget(held), smallest_budget(problem)))
    plan, free = solve_wished(held, wishes), solve(replace(held, stages=problem.stages))
    batches = {p.stage: p.batch for phase in plan.phases for p in phase.placements}
    assert batches[name] == wish.batch if wish.is_forced else batches[name] <= wish.batch
    if wish.batch in problem.stages[0].batch_s or (not wish.is_forced and min(problem.stages[0].batch_s) <= wish.batch):
        assert plan.seconds >= free.seconds * (1 - 1e-9)


@given(st.integers(1, 64))
def test_the_seconds_of_a_batch_that_was_never_timed_lie_in_line_with_those_that_were(batch: int) -> None:
    stage = replace(random_problem(0).stages[0], batch_s={1: 0.1, 4: 0.25, 16: 0.85})
    (held,) = with_batches([stage], Wishes(batches={stage.stage: BatchWish(batch=batch, is_forced=True)}))
    (seconds,) = held.batch_s.values()
    if batch in stage.batch_s:
        assert seconds == stage.batch_s[batch]
    elif batch < 4:
        assert seconds == pytest.approx(0.1 + 0.05 * (batch - 1))
    elif batch < 16:
        assert seconds == pytest.approx(0.25 + 0.05 * (batch - 4))
    else:
        assert seconds / batch == pytest.approx(0.85 / 16)


@given(problems)
def test_what_is_too_large_alone_is_believed_to_fit_just_so_and_runs_alone(problem: Problem) -> None:
    wanted = {stage.stage for stage in problem.stages}
    believed, too_large = squeezed(problem)
    assert set(too_large) == {
        name
        for name in wanted
        if smallest_wished_budget(problem, Wishes(phases=(frozenset({name}),))) > problem.budget_bytes
    }
    for name, needed in too_large.items():
        assert needed == smallest_wished_budget(problem, Wishes(phases=(frozenset({name}),)))
    if problem.base_bytes > problem.budget_bytes:
        return
    plan = solve(believed)
    assert plan.peak_bytes <= problem.budget_bytes
    for phase in plan.phases:
        weighty = [
            p.stage for p in phase.placements if next(s for s in believed.stages if s.stage == p.stage).weights_bytes
        ]
        for placement in phase.placements:
            if placement.stage in too_large:
                assert placement.batch == 1
                assert weighty in ([], [placement.stage])


def test_a_wish_for_stages_that_a_job_has_not_is_no_wish() -> None:
    problem = random_problem(1)
    problem = replace(problem, budget_bytes=max(problem.budget_bytes, smallest_budget(problem)))
    others = Wishes(phases=(frozenset({"mask/none"}),), batches={"mask/none": BatchWish(batch=3)})
    held = replace(problem, stages=with_batches(problem.stages, others))
    assert solve_wished(held, others) == solve_wished(problem, FREE) == solve(problem)


def test_wishes_are_told_as_they_were_asked_for() -> None:
    batches = {"mask/unet": BatchWish(batch=4, is_forced=True), "detect/yunet": BatchWish(batch=2)}
    wishes = Wishes(batches=batches, phases=(frozenset({"a"}),), laid="--passes together")
    assert [text for text, _ in wishes.each()] == [
        "--batch mask/unet=4!",
        "--batch detect/yunet=2",
        "--passes together",
    ]
    assert str(wishes) == "--batch mask/unet=4! --batch detect/yunet=2 --passes together"
    assert wishes
    assert not FREE


def test_a_batch_that_is_wished_holds_on_the_host_too() -> None:
    seen = 0
    for seed in range(200):
        problem = random_placed_problem(seed)
        for stage in problem.stages:
            wishes = Wishes(batches={stage.stage: BatchWish(batch=3, is_forced=True)})
            (held,) = (one for one in with_batches(problem.stages, wishes) if one.stage == stage.stage)
            assert set(held.batch_s) == {3}
            assert (held.on_host is None) == (stage.on_host is None)
            if held.on_host:
                seen += 1
                assert set(held.on_host.batch_s) == {3}
    assert seen


@given(st.builds(random_placed_problem, st.integers(0, 2**32)))
def test_what_is_too_large_beside_a_host_is_squeezed_into_both_budgets(problem: Problem) -> None:
    assume(problem.host and problem.host.base_bytes <= problem.host.budget_bytes)
    assume(problem.base_bytes <= problem.budget_bytes)
    small, too_large = squeezed(problem)
    plan = solve(small)
    assert plan.peak_bytes <= problem.budget_bytes
    assert {stage.stage for stage in problem.stages} >= set(too_large)


def test_names_are_listed_as_in_a_sentence() -> None:
    assert [in_words(names) for names in (["a"], ["a", "b"], ["a", "b", "c"])] == ["a", "a and b", "a, b and c"]
