"""Plans whose phases fit with what an arena reserves for the largest stage and what another stage holds outside of it.

`faceloom.solver` takes a phase to hold what its largest stage does. But the arena's block is as large as the stage that
wants most of it, and stays so while another stage runs, which may hold more outside: frames, canvases, tensors.
"""

from collections.abc import Iterator, Sequence
from dataclasses import replace
from itertools import product

from faceloom.errors import BudgetError
from faceloom.solver.plan import Phase, Plan
from faceloom.solver.problem import Problem, StageCost, most_held_bytes
from faceloom.solver.wishes import Wishes, solve_wished

_TRIES = 6
_MANY = 5
"""From so many stages and one on, not all ways to lay them are tried."""


def solve_reserved(problem: Problem, wishes: Wishes, *, device: str) -> Plan | None:
    """The best plan that is found, with the peaks that it really has; None if there is none.

    What the solver does not know of is taken off the budget until its plan fits. If that leaves too little, the ways to
    lay the stages in phases are tried, the smallest batches too.
    """
    plan = _solved(problem, problem, wishes, device)
    if problem.host or plan is None or plan.peak_bytes <= problem.budget_bytes:
        return plan
    tried = problem
    for _ in range(_TRIES):
        over = plan.peak_bytes - problem.budget_bytes
        tried = replace(tried, budget_bytes=tried.budget_bytes - over)
        plan = _solved(tried, problem, wishes, device)
        if plan is None or plan.peak_bytes <= problem.budget_bytes:
            break
    if plan is not None and plan.peak_bytes <= problem.budget_bytes:
        return plan
    laid = (
        _solved(some, problem, way, device)
        for way in _ways(problem, wishes)
        for some in (problem, with_smallest_batches(problem))
    )
    fitting = [one for one in laid if one and one.peak_bytes <= problem.budget_bytes]
    return min(fitting, key=lambda one: (one.seconds, one.peak_bytes), default=None)


def with_smallest_batches(problem: Problem) -> Problem:
    """The problem in which no stage has another batch than its smallest."""
    stages = tuple(replace(s, batch_s={s.smallest_batch: s.batch_s[s.smallest_batch]}) for s in problem.stages)
    return replace(problem, stages=stages)


def _solved(tried: Problem, problem: Problem, wishes: Wishes, device: str) -> Plan | None:
    try:
        found = solve_wished(tried, wishes, device=device)
    except BudgetError:
        return None
    if problem.host:
        return found
    stages = {stage.stage: stage for stage in problem.stages}
    phases = tuple(_with_arena(phase, problem, [stages[p.stage] for p in phase.placements]) for phase in found.phases)
    return replace(found, phases=phases, peak_bytes=max(phase.peak_bytes for phase in phases))


def _with_arena(phase: Phase, problem: Problem, stages: Sequence[StageCost]) -> Phase:
    held = most_held_bytes(zip(stages, (placement.batch for placement in phase.placements), strict=True))
    peak = problem.base_bytes + sum(stage.weights_bytes for stage in stages) + held
    return replace(phase, peak_bytes=max(phase.peak_bytes, peak))


def _ways(problem: Problem, wishes: Wishes) -> Iterator[Wishes]:
    """The ways to cut the stages, in their order, into phases; of many stages only all cuts or none."""
    if wishes.phases:
        yield wishes
        return
    names = [stage.stage for stage in _in_order(problem)]
    gaps = len(names) - 1
    every = product((True, False), repeat=gaps) if gaps < _MANY else [(True,) * gaps, (False,) * gaps]
    for cuts in every:
        phases = [[names[0]]]
        for name, is_cut in zip(names[1:], cuts, strict=True):
            phases = [*phases, [name]] if is_cut else [*phases[:-1], [*phases[-1], name]]
        yield replace(wishes, phases=tuple(map(frozenset, phases)))


def _in_order(problem: Problem) -> list[StageCost]:
    """The stages, each after those it needs."""
    names = {stage.stage for stage in problem.stages}
    left, ordered = list(problem.stages), list[StageCost]()
    while left:
        ready = next(stage for stage in left if stage.needs & names <= {one.stage for one in ordered})
        left.remove(ready)
        ordered.append(ready)
    return ordered
