"""Why no plan fits, and the smallest budget that would do."""

import math
from dataclasses import replace

from faceloom.errors import BudgetError
from faceloom.solver.problem import Problem, most_held_bytes
from faceloom.solver.solve import solve
from faceloom.solver.wishes import FREE, Wishes, in_words, largest_phase, smallest_wished_budget, solve_wished
from faceloom.supervisor.rooms import Room, whole_peak_bytes, within
from faceloom.units import KIB, MIB, format_bytes

_FROM_RUN_TO_RUN_BYTES = 600 * KIB
"""By how much the supervisor of one run holds more than that of another (measured: up to 500 KiB)."""


def refusal(
    problem: Problem, free: Problem, whole: Problem, room: Room, wishes: Wishes, *, is_measured: bool
) -> BudgetError:
    """Why no plan fits, or why none that is as wished does; `free` is without wishes, `whole` all in one phase."""
    if problem.host:
        return _too_large_for_device(problem, room, wishes)
    if wished := wishes.phases_of(problem.stages):
        return _not_as_wished(whole if len(wished) == 1 else problem, free, room, wishes)
    return _does_not_fit(problem, free, whole, room, is_measured=is_measured)


def _too_large_for_device(problem: Problem, room: Room, wishes: Wishes) -> BudgetError:
    """Why no plan fits a device and its host, as the whole run has them."""
    assert problem.host
    assert room.device_bytes is not None
    if problem.base_bytes > room.device_bytes:
        message = (
            f"the budget on {room.device} is {format_bytes(room.device_bytes)}, and its context and libraries alone"
            f" take {rounded_up(problem.base_bytes)}: raise --memory, free the device, or use --device cpu"
        )
        return BudgetError(message, needed_bytes=problem.base_bytes, budget_bytes=room.device_bytes)
    host = replace(problem.host, base_bytes=whole_peak_bytes(problem.host.base_bytes, room, 1))
    try:
        solve_wished(within(replace(problem, host=host), room, room.budget_bytes), wishes, device=room.device)
    except BudgetError as error:
        return error
    raise AssertionError("a problem that fits has no plan")


def _not_as_wished(problem: Problem, free: Problem, room: Room, wishes: Wishes) -> BudgetError:
    """Why no plan has the wished phases: the stages of one do not fit together; and what would do without the wish."""
    needed = whole_peak_bytes(_least_wished_bytes(problem, wishes), room, 1)
    names = largest_phase(problem, wishes)
    do, together = ("do", " together") if len(names) > 1 else ("does", "")
    message = (
        f"{in_words(names)} {do} not fit{together} into {format_bytes(room.budget_bytes)}, as {wishes} has it;"
        f" the smallest budget that would do is {rounded_up(needed)}{_without_wishes(free, room, needed)}: raise"
        " --memory, or leave it to the plan"
    )
    return BudgetError(message, stage=names[-1], needed_bytes=needed, budget_bytes=room.budget_bytes)


def _least_wished_bytes(problem: Problem, wishes: Wishes) -> int:
    """The smallest budget of a worker that has the wished phases, with all that their arenas reserve."""
    phases = [[s for s in problem.stages if s.stage in chosen] for chosen in wishes.phases_of(problem.stages)]
    real = [
        problem.base_bytes
        + sum(stage.weights_bytes for stage in stages)
        + most_held_bytes((stage, stage.smallest_batch) for stage in stages)
        for stages in phases
    ]
    return max(smallest_wished_budget(problem, wishes), *real)


def _without_wishes(free: Problem, room: Room, needed: int) -> str:
    """Says what would do if nothing were wished, where that is less."""
    least = whole_peak_bytes(smallest_wished_budget(free, FREE), room, 1)
    return f", and {rounded_up(least)} without that wish" if least < needed else ""


def _does_not_fit(problem: Problem, free: Problem, whole: Problem, room: Room, *, is_measured: bool) -> BudgetError:
    """Why no plan fits: one stage alone is too large, or reading and writing are; `whole` is all in one phase."""
    if not problem.stages:
        needed = whole_peak_bytes(problem.base_bytes, room, 1)
        message = (
            f"reading frames and writing what is found does not fit into {format_bytes(room.budget_bytes)};"
            f" the smallest budget that would do is {rounded_up(needed)}: raise --memory"
        )
        return BudgetError(message, needed_bytes=needed, budget_bytes=room.budget_bytes)
    try:
        solve(problem)
    except BudgetError as error:
        least = min(error.needed_bytes, _together_bytes(whole))
        base, needed = (whole_peak_bytes(size, room, 1) for size in (problem.base_bytes, least))
        guessed = "" if is_measured else ", by a guess"
        batch = next(stage.smallest_batch for stage in problem.stages if stage.stage == error.stage)
        how = "one item at a time" if batch == 1 else f"{batch} items at a time"
        message = (
            f"{error.stage} does not fit into {format_bytes(room.budget_bytes)}: alone, {how}, it takes"
            f" {format_bytes(needed - base)}, and processes, decoding and what waits to be stored {format_bytes(base)};"
            f" the smallest budget that would do is {rounded_up(needed)}{guessed}"
            f"{_without_wishes(free, room, needed)}: raise --memory, or choose a smaller plugin"
        )
        return BudgetError(message, stage=error.stage, needed_bytes=needed, budget_bytes=room.budget_bytes)
    raise AssertionError("a problem without a budget has no plan")


def _together_bytes(problem: Problem) -> int:
    """What a worker holds at most with all networks loaded, one item at a time, or while they are loaded."""
    most = most_held_bytes((stage, stage.smallest_batch) for stage in problem.stages)
    spikes = sorted((stage.load_spike * stage.weights_bytes, stage.weights_bytes) for stage in problem.stages)
    loaded = 0
    for spike, weights in reversed(spikes):
        loaded += weights
        most = max(most, math.ceil(loaded + spike) - sum(weights for _, weights in spikes))
    return problem.base_bytes + loaded + most


def rounded_up(size: int) -> str:
    """Rounds up, so that the number that users read and copy into the next command has a plan.

    Also if the processes of that one happen to hold a little more by themselves.
    """
    return f"{-(-(size + _FROM_RUN_TO_RUN_BYTES) // MIB):,} MiB"
