"""The best plan of a problem, exactly: dynamic programming over what may be done before what.

A phase costs what its own stages cost, whatever came before; so the best way to go on depends only on which stages are
done. From every such set each next phase is looked at that can still be part of a best plan: bounds from below, in
which every stage has the room to itself, spare most of them. For independent stages the work grows as 3^stages.
"""

from collections.abc import Iterator
from typing import NamedTuple

from faceloom.errors import BudgetError
from faceloom.solver.phases import Phases, clock_of, members
from faceloom.solver.places import movable, place, ways
from faceloom.solver.plan import HOST, Phase, Placement, Plan
from faceloom.solver.problem import Problem
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
        phases, best = _best_placed(problem, device)
    else:
        phases = Phases(problem)
        _check_budget(phases, device)
        best = _Search(phases).best(0)
    parts = tuple(_phase(phases, best.sets, i, device) for i in range(len(best.sets)))
    return Plan(
        phases=parts,
        chunk_frames=problem.frames,
        lanes=1,
        budget_bytes=problem.budget_bytes,
        peak_bytes=best.peak_bytes,
        seconds=phases.clock.seconds(best.ticks + phases.load_ticks(phases.everything)),
        host_budget_bytes=problem.host.budget_bytes if problem.host else 0,
        host_peak_bytes=max(phase.host_peak_bytes for phase in parts),
    )


def _best_placed(problem: Problem, device: str) -> "tuple[Phases, _Tail]":
    """Finds the best plan over all ways to place the stages; those that can be fastest are tried first.

    Each way is a problem of its own, in which every stage has its place, so that the best of their best plans is the
    best of all. What a way takes at least spares most of them.

    Raises:
        BudgetError: a stage fits alone in no place.
    """
    clock = clock_of(problem)
    bounds = []
    for on_host in ways(_places(problem, clock, device)):
        search = _Search(Phases(place(problem, on_host), clock))
        loads = search.phases.load_ticks(search.phases.everything)
        bounds.append((search.least_ticks(0) + loads, len(on_host), sorted(on_host), loads, search))
    found: tuple[tuple[object, ...], Phases, _Tail] | None = None
    for least, number, names, loads, search in sorted(bounds, key=lambda bound: bound[:3]):
        if found and least > found[2].ticks + found[1].load_ticks(found[1].everything):
            break
        tail = search.best(0)
        key = (tail.ticks + loads, tail.phases, tail.peak_bytes, number, names)
        if found is None or key < found[0]:
            found = key, search.phases, tail
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


def smallest_budget(problem: Problem) -> int:
    """The smallest budget in bytes that has a plan: that of the stage that needs most alone, all on the device."""
    phases = Phases(problem)
    return phases.least_bytes(phases.largest)


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


def _phase(phases: Phases, sets: tuple[int, ...], i: int, device: str) -> Phase:
    chosen = sets[i]
    best = phases.best(chosen, last=i == len(sets) - 1)
    ticks = best.ticks + phases.load_ticks(chosen) + (phases.switch_ticks if i else 0)
    return Phase(
        placements=tuple(
            Placement(stage=stage.stage, device=HOST if stage.is_on_host else device, batch=batch)
            for stage, batch in zip(phases.stages_of(chosen), best.batches, strict=True)
        ),
        peak_bytes=best.peak_bytes,
        seconds=phases.clock.seconds(ticks),
        host_peak_bytes=best.host_peak_bytes,
    )


class _Tail(NamedTuple):
    """The phases from some point on; the tail that compares as less is the better one."""

    ticks: int
    """The ticks without loading, which takes the same in every plan."""
    phases: int
    peak_bytes: int
    waits: int
    """How often a stage waits for another phase; the fewer, the earlier run stages that cost nothing."""
    sets: tuple[int, ...]


class _Bound(NamedTuple):
    """The least that a next phase and all phases after it can take."""

    ticks: int
    phases: int
    """The least number of phases."""
    chosen: int


class _Search:
    """The best phases after each set of stages, each computed once and only if it is asked for."""

    def __init__(self, phases: Phases) -> None:
        self.phases = phases
        self._best: dict[int, _Tail] = {phases.everything: _Tail(0, 0, 0, 0, ())}
        self._least: dict[int, int] = {phases.everything: 0}

    def best(self, done: int) -> _Tail:
        """Returns the best phases for what is left."""
        if done not in self._best:
            self._best[done] = self._find(done)
        return self._best[done]

    def _find(self, done: int) -> _Tail:
        rest = self.phases.everything & ~done
        found = self._tail(done, rest) if self.phases.fits(rest) else None
        if found and found.ticks <= self.least_ticks(done) + self.phases.switch_ticks:
            return found  # two phases or more would be no faster
        for bound in sorted(self._bounds(done)):
            if found and bound[:2] > found[:2]:
                break
            if found and self._ticks(done, bound.chosen) + self.least_ticks(done | bound.chosen) > found.ticks:
                continue
            tail = self._tail(done, bound.chosen)
            found = min(found, tail) if found else tail
        assert found, "a stage alone fits"
        return found

    def _tail(self, done: int, chosen: int) -> _Tail:
        """This phase and the best ones after it."""
        after = done | chosen
        rest = self.best(after)
        return _Tail(
            ticks=self._ticks(done, chosen) + rest.ticks,
            phases=1 + rest.phases,
            peak_bytes=max(self.phases.best(chosen, last=after == self.phases.everything).peak_bytes, rest.peak_bytes),
            waits=rest.waits + (self.phases.everything & ~after).bit_count(),
            sets=(chosen, *rest.sets),
        )

    def _ticks(self, done: int, chosen: int) -> int:
        last = done | chosen == self.phases.everything
        return self.phases.best(chosen, last=last).ticks + (self.phases.switch_ticks if done else 0)

    def _bounds(self, done: int) -> Iterator[_Bound]:
        switch = self.phases.switch_ticks if done else 0
        for chosen in self.phases.after(done):
            after = done | chosen
            last = after == self.phases.everything
            ticks = self.phases.bound(chosen, last=last) + switch + self.least_ticks(after)
            yield _Bound(ticks, 1 if last else 2, chosen)

    def least_ticks(self, done: int) -> int:
        """The least that what is left can take: one phase in which every stage is as fast as it is alone."""
        if done not in self._least:
            rest = self.phases.everything & ~done
            works = [self.phases.least_spent(1 << i) for i in members(rest)]
            host = self.phases.host_ticks(rest, last=True) + sum(work.host for work in works)
            least = self.phases.together(host, sum(work.device for work in works))
            self._least[done] = least + (self.phases.switch_ticks if done else 0)
        return self._least[done]
