"""The best plan of a problem, exactly.

Of all ways to cut the stages into phases the fastest is found first (`search`). Then the budget is lowered as long as
there is a plan as fast: the last one needs least memory. Many stages whose activations share a block are gone through
set by set instead, in tables (`subsets`). In the end stages are moved to the earliest phase that they can run in at no
cost (`climb`).
"""

from collections.abc import Sequence
from dataclasses import replace

from faceloom.errors import BudgetError
from faceloom.solver.bounds import LowerBounds
from faceloom.solver.climb import apart, climb, together
from faceloom.solver.phases import Phases, clock_of
from faceloom.solver.places import movable, place, ways
from faceloom.solver.plan import HOST, Phase, Placement, Plan
from faceloom.solver.problem import Problem, in_order
from faceloom.solver.rank import Rank, Sets, rank
from faceloom.solver.search import faster, smallest
from faceloom.solver.subsets import by_subsets
from faceloom.solver.ticks import Ticks
from faceloom.units import MIB, format_bytes


def solve(problem: Problem, *, device: str = "cpu") -> Plan:
    """Finds the plan of least seconds; among equals that of fewest phases, then that of the smallest peak.

    Seconds count as equal where they differ by less than 1e-12 of themselves. The same problem has the same plan.

    Args:
        problem: as `read_problem` checks it.
        device: named in the plan; the problem's costs are those on this device.

    Raises:
        BudgetError: no plan fits, since a stage alone at its smallest batch does not.
    """
    if problem.host:
        phases, best = _best_placed(_heaviest_first(problem), device)
    else:
        _check_budget(Phases(problem), device)
        phases = Phases(_heaviest_first(problem))
        best = _best(phases)
    phases = phases.within(best.peak_bytes)
    order = [stage.stage for stage in in_order(problem.stages)]
    parts = tuple(_phase(phases, best.sets, i, device, order) for i in range(len(best.sets)))
    return Plan(
        phases=parts,
        chunk_frames=problem.frames,
        lanes=1,
        budget_bytes=problem.budget_bytes,
        peak_bytes=best.peak_bytes,
        seconds=phases.clock.seconds(best.ticks - phases.switch_ticks + phases.load_ticks(phases.everything)),
        host_budget_bytes=problem.host.budget_bytes if problem.host else 0,
        host_peak_bytes=max(phase.host_peak_bytes for phase in parts),
    )


def _heaviest_first(problem: Problem) -> Problem:
    """The same problem in the order that is searched fastest: what is hard to fit in comes first."""
    return replace(problem, stages=tuple(sorted(problem.stages, key=lambda stage: -stage.least_bytes)))


def _best(phases: Phases) -> Rank:
    """Finds the best plan: the fastest, in the least memory in which one is as fast."""
    best = climb(phases, together(phases))
    if best.phases > 1 or best.ticks > LowerBounds(phases).least_ticks(phases.everything):
        sets = by_subsets(phases)
        best = rank(phases, sets) if sets else _searched(phases, best)
    if phases.problem.host:  # where batches are the fastest that fit, smaller ones may be as fast
        best = smallest(phases, best)
    return climb(phases.within(best.peak_bytes), best.sets)


def _searched(phases: Phases, best: Rank) -> Rank:
    """Finds the best plan by branch and bound, given one to begin with."""
    best = min(best, climb(phases, apart(phases)))
    sets = faster(phases, best.cost)
    best = rank(phases, sets) if sets else best
    return smallest(phases, best) if best.phases > 1 and not phases.problem.host else best


def _best_placed(problem: Problem, device: str) -> tuple[Phases, Rank]:
    """Finds the best plan over all ways to place the stages; those that can be fastest are tried first.

    Each way is a problem of its own, in which every stage has its place, so that the best of their best plans is the
    best of all. What a way takes at least spares most of them.

    Raises:
        BudgetError: a stage fits alone in no place.
    """
    clock = clock_of(problem)
    bounds = []
    for on_host in ways(_places(problem, clock, device)):
        phases = Phases(place(problem, on_host), clock)
        loads = phases.load_ticks(phases.everything)
        bounds.append(
            (LowerBounds(phases).least_ticks(phases.everything) + loads, len(on_host), sorted(on_host), loads, phases)
        )
    found: tuple[tuple[object, ...], Phases, Rank] | None = None
    for least, number, names, loads, phases in sorted(bounds, key=lambda bound: bound[:3]):
        if found and least > found[2].ticks + found[1].load_ticks(found[1].everything):
            break
        best = _best(phases)
        key = (best.ticks + loads, best.phases, best.peak_bytes, number, names)
        if found is None or key < found[0]:
            found = key, phases, best
    assert found, "every stage has a place"
    return found[1:]


def _places(problem: Problem, clock: Ticks, device: str) -> dict[str, list[bool]]:
    """For every stage whether it may be on the host, or not, as far as it fits there alone.

    Raises:
        BudgetError: a stage does in no place.
    """
    could_move = movable(problem)
    on_device, on_host = (Phases(place(problem, names), clock) for names in ((), could_move))
    places: dict[str, list[bool]] = {}
    for i, stage in enumerate(on_device.stages):
        name = stage.stage
        places[name] = [False] if on_device.fits(1 << i) else []
        if name in could_move and on_host.fits(1 << i):
            places[name].append(True)
        if not places[name]:
            raise _fits_nowhere(on_device, on_host if name in could_move else None, i, device)
    return places


def _fits_nowhere(on_device: Phases, on_host: Phases | None, i: int, device: str) -> BudgetError:
    problem, stage = on_device.problem, on_device.stages[i]
    assert problem.host
    needed_bytes, host_bytes = on_device.least_bytes(1 << i), on_device.least_host_bytes(1 << i)
    instead = f", and on the host instead {_rounded_up(on_host.least_host_bytes(1 << i))}" if on_host else ""
    return BudgetError(
        f"stage {stage.stage!r} needs {_rounded_up(needed_bytes)} of {device} at batch {stage.smallest_batch}, but the "
        f"budget there is {format_bytes(problem.budget_bytes)}, with {_rounded_up(host_bytes)} of the host{instead}, "
        f"but the budget there is {format_bytes(problem.host.budget_bytes)}; raise --memory or --ram, or choose "
        "a smaller plugin",
        stage=stage.stage,
        needed_bytes=needed_bytes,
        budget_bytes=problem.budget_bytes,
    )


def _rounded_up(size_bytes: int) -> str:
    """Rounds up, so that the number that users read and copy into the next command has a plan."""
    return f"{-(-size_bytes // MIB):,} MiB"


def _check_budget(phases: Phases, device: str) -> None:
    needed_bytes, budget_bytes = phases.least_bytes(phases.largest), phases.problem.budget_bytes
    if needed_bytes <= budget_bytes:
        return
    (stage,) = phases.stages_of(phases.largest)
    needed = _rounded_up(needed_bytes)
    raise BudgetError(
        f"stage {stage.stage!r} needs {needed} at batch {stage.smallest_batch}, "
        f"{format_bytes(phases.problem.base_bytes)} of it for what is held whatever runs, but the budget on {device} "
        f"is {format_bytes(budget_bytes)}; {needed} is the smallest that would do: raise --memory, or choose a "
        "smaller plugin",
        stage=stage.stage,
        needed_bytes=needed_bytes,
        budget_bytes=budget_bytes,
    )


def _phase(phases: Phases, sets: Sets, i: int, device: str, order: Sequence[str]) -> Phase:
    chosen = sets[i]
    best = phases.best(chosen, last=i == len(sets) - 1)
    ticks = best.ticks + phases.load_ticks(chosen) + (phases.switch_ticks if i else 0)
    placements = [
        Placement(stage=stage.stage, device=HOST if stage.is_on_host else device, batch=batch)
        for stage, batch in zip(phases.stages_of(chosen), best.batches, strict=True)
    ]
    return Phase(
        placements=tuple(sorted(placements, key=lambda placement: order.index(placement.stage))),
        peak_bytes=best.peak_bytes,
        seconds=phases.clock.seconds(ticks),
        host_peak_bytes=best.host_peak_bytes,
    )
