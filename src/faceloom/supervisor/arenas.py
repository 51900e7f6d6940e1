"""Plans whose phases fit with what an arena reserves for the largest stage and what another stage holds outside of it.

`faceloom.solver` takes a phase to hold what its largest stage does. But the arena's block is as large as the stage that
wants most of it, and stays so while another stage runs, which may hold more outside: frames, canvases, tensors.
"""

from collections.abc import Iterable, Sequence
from dataclasses import replace

from faceloom.errors import BudgetError
from faceloom.solver.plan import Phase, Plan
from faceloom.solver.problem import Problem, StageCost
from faceloom.solver.wishes import Wishes, solve_wished

_TRIES = 6


def solve_reserved(problem: Problem, wishes: Wishes, *, device: str) -> Plan | None:
    """The best plan that is found, with the peaks that it really has; None if there is none.

    What the solver does not know of is taken off the budget until its plan fits; then the smallest batches are tried,
    and those with each stage in a phase of its own, where nothing is left out.
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
    smallest = with_smallest_batches(problem)
    alone = replace(wishes, phases=wishes.phases or tuple(frozenset({stage.stage}) for stage in _in_order(problem)))
    more = (_solved(smallest, problem, wanted, device) for wanted in (wishes, alone))
    return next((one for one in (plan, *more) if one and one.peak_bytes <= problem.budget_bytes), None)


def with_smallest_batches(problem: Problem) -> Problem:
    """The problem in which no stage has another batch than its smallest."""
    stages = tuple(replace(s, batch_s={s.smallest_batch: s.batch_s[s.smallest_batch]}) for s in problem.stages)
    return replace(problem, stages=stages)


def most_held_bytes(stages: Iterable[tuple[StageCost, int]]) -> int:
    """What the stages of a phase hold beside their weights, each at its batch, one after another."""
    held = [(stage.arena_bytes(batch), stage.held_bytes(batch)) for stage, batch in stages]
    arena = max((arena for arena, _ in held), default=0)
    return arena + max((whole - own for own, whole in held), default=0)


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


def _in_order(problem: Problem) -> list[StageCost]:
    """The stages, each after those it needs."""
    names = {stage.stage for stage in problem.stages}
    left, ordered = list(problem.stages), list[StageCost]()
    while left:
        ready = next(stage for stage in left if stage.needs & names <= {one.stage for one in ordered})
        left.remove(ready)
        ordered.append(ready)
    return ordered
