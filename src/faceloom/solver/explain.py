"""Explanations: why a plan is as it is, in sentences."""

from itertools import pairwise

from faceloom.solver.phases import Phases, mask_of
from faceloom.solver.places import place
from faceloom.solver.plan import HOST, Phase, Plan
from faceloom.solver.problem import Problem, most_held_bytes
from faceloom.units import format_bytes


def explain(plan: Plan, problem: Problem) -> tuple[str, ...]:
    """Says for every boundary between phases why the two are not one; a plan of one phase has one line.

    Args:
        plan: what `solve` answers to the problem.
        problem: the same, with the same budget.
    """
    if len(plan.phases) == 1:
        used, budget = format_bytes(plan.peak_bytes), format_bytes(problem.budget_bytes)
        return (f"everything fits together: {used} of {budget}",)
    moved = [p.stage for phase in plan.phases for p in phase.placements if p.device == HOST]
    phases = Phases(place(problem, moved) if problem.host else problem)
    return tuple(
        _why_split(phases, earlier, later, last=later is plan.phases[-1]) for earlier, later in pairwise(plan.phases)
    )


def _why_split(phases: Phases, earlier: Phase, later: Phase, *, last: bool) -> str:
    both = _set_of(phases, earlier) | _set_of(phases, later)
    names, others = _names(phases, later), _names(phases, earlier)
    least_bytes, budget_bytes, host = _least_bytes(phases, both), phases.problem.budget_bytes, phases.problem.host
    where = ""
    if phases.fits(both) and (host or least_bytes <= budget_bytes):
        return f"{names} would fit beside {others}, but {_loss(phases, earlier, later, last=last)}"
    if least_bytes <= budget_bytes and host:
        least_bytes, budget_bytes, where = phases.least_host_bytes(both), host.budget_bytes, " of RAM"
    excess_bytes = least_bytes - budget_bytes
    verb = "does" if len(_weighty(phases, later)) == 1 else "do"
    needed = f"{format_bytes(least_bytes)}{where} at {_smallest_batches(phases, both)}"
    return f"{names} {verb} not fit beside {others}: together they need {needed}, {format_bytes(excess_bytes)} too much"


def _least_bytes(phases: Phases, both: int) -> int:
    """What a phase needs, with what an arena keeps for one of its stages beside what another holds outside of it."""
    stages = phases.stages_of(both)
    held = most_held_bytes((stage, stage.smallest_batch) for stage in stages)
    real = phases.problem.base_bytes + sum(stage.weights_bytes for stage in stages) + held
    return phases.least_bytes(both) if phases.problem.host else max(phases.least_bytes(both), real)


def _loss(phases: Phases, earlier: Phase, later: Phase, *, last: bool) -> str:
    """Says what it would cost to make one phase of two."""
    first, second = _set_of(phases, earlier), _set_of(phases, later)
    merged = phases.best(first | second, last=last)
    # loading is the same, and so is switching to the first of the two
    split_ticks = phases.best(first, last=False).ticks + phases.switch_ticks + phases.best(second, last=last).ticks
    lost_s = phases.clock.seconds(merged.ticks - split_ticks)
    if lost_s < 0:
        return f"they are apart as wished: together they would take {-lost_s:,.1f} s less"
    batches = {p.stage: p.batch for p in (*earlier.placements, *later.placements)}
    merged_batches = zip(phases.stages_of(first | second), merged.batches, strict=True)
    shrunk, batch = max(merged_batches, key=lambda pair: batches[pair[0].stage] / pair[1])
    if batch == batches[shrunk.stage]:
        return f"together they would take {lost_s:,.1f} s longer"
    return f"with {shrunk.stage} at batch {batch} instead of {batches[shrunk.stage]}: {lost_s:,.1f} s slower"


def _smallest_batches(phases: Phases, chosen: int) -> str:
    batches = {stage.smallest_batch for stage in phases.stages_of(chosen)}
    return f"batch {min(batches)}" if len(batches) == 1 else "their smallest batches"


def _names(phases: Phases, phase: Phase) -> str:
    *names, last = _weighty(phases, phase)
    return f"{', '.join(names)} and {last}" if names else last


def _weighty(phases: Phases, phase: Phase) -> list[str]:
    """The stages that take memory, if there are any; otherwise all."""
    stages = phases.stages_of(_set_of(phases, phase))
    return [stage.stage for stage in stages if stage.least_bytes or stage.is_on_host] or [
        stage.stage for stage in stages
    ]


def _set_of(phases: Phases, phase: Phase) -> int:
    names = {placement.stage for placement in phase.placements}
    return mask_of(i for i, stage in enumerate(phases.stages) if stage.stage in names)
