"""The best plan of a problem, exactly: dynamic programming over what may be done before what.

A phase costs what its own stages cost, whatever came before; so the best way to go on depends only on which stages are
done. From every such set each next phase is looked at that can still be part of a best plan: bounds from below, in
which every stage has the room to itself, spare most of them. For independent stages the work grows as 3^stages.
"""

from collections.abc import Iterator
from typing import NamedTuple

from faceloom.errors import BudgetError
from faceloom.plan.phases import Phases, members
from faceloom.plan.plan import Phase, Placement, Plan
from faceloom.plan.problem import Problem
from faceloom.units import MIB, format_bytes


def solve(problem: Problem, *, device: str = "cpu") -> Plan:
    """The plan of least seconds; among equals that of fewest phases, then of the smallest peak.

    Seconds count as equal where they differ by less than 1e-12 of themselves. The same problem has the same plan.

    Args:
        problem: as `read_problem` checks it.
        device: named in the plan; the problem's costs are those on this device.

    Raises:
        BudgetError: no plan fits, since a stage alone at its smallest batch does not.
    """
    phases = Phases(problem)
    _check_budget(phases, device)
    best = _Search(phases).best(0)
    return Plan(
        phases=tuple(_phase(phases, best.sets, i, device) for i in range(len(best.sets))),
        chunk_frames=problem.frames,
        lanes=1,
        budget_bytes=problem.budget_bytes,
        peak_bytes=best.peak_bytes,
        seconds=phases.clock.seconds(best.ticks + phases.load_ticks(phases.everything)),
    )


def smallest_budget(problem: Problem) -> int:
    """The smallest budget in bytes that has a plan: that of the stage that needs most alone."""
    phases = Phases(problem)
    return phases.least_bytes(phases.largest)


def _check_budget(phases: Phases, device: str) -> None:
    needed_bytes, budget_bytes = phases.least_bytes(phases.largest), phases.problem.budget_bytes
    if needed_bytes <= budget_bytes:
        return
    (stage,) = phases.stages_of(phases.largest)
    # rounded up: whoever copies the number into the next command gets a plan
    needed = f"{-(-needed_bytes // MIB):,} MiB"
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
            Placement(stage=stage.stage, device=device, batch=batch)
            for stage, batch in zip(phases.stages_of(chosen), best.batches, strict=True)
        ),
        peak_bytes=best.peak_bytes,
        seconds=phases.clock.seconds(ticks),
    )


class _Tail(NamedTuple):
    """The phases from some point on; the one that compares as less is better."""

    ticks: int
    """Without loading, which takes the same in every plan."""
    phases: int
    peak_bytes: int
    waits: int
    """How often a stage waits for another phase: what costs nothing runs early."""
    sets: tuple[int, ...]


class _Bound(NamedTuple):
    """What a next phase and all after it take at least."""

    ticks: int
    phases: int
    """At least, too."""
    chosen: int


class _Search:
    """The best phases after each set of stages, each worked out once and only if it is asked for."""

    def __init__(self, phases: Phases) -> None:
        self._phases = phases
        self._best: dict[int, _Tail] = {phases.everything: _Tail(0, 0, 0, 0, ())}
        self._least: dict[int, int] = {phases.everything: 0}

    def best(self, done: int) -> _Tail:
        """The best phases for what is left."""
        if done not in self._best:
            self._best[done] = self._find(done)
        return self._best[done]

    def _find(self, done: int) -> _Tail:
        rest = self._phases.everything & ~done
        found = self._tail(done, rest) if self._phases.fits(rest) else None
        if found and found.ticks <= self._least_ticks(done) + self._phases.switch_ticks:
            return found  # two phases or more would be no faster
        for bound in sorted(self._bounds(done)):
            if found and bound[:2] > found[:2]:
                break
            if found and self._ticks(done, bound.chosen) + self._least_ticks(done | bound.chosen) > found.ticks:
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
            peak_bytes=max(
                self._phases.best(chosen, last=after == self._phases.everything).peak_bytes, rest.peak_bytes
            ),
            waits=rest.waits + (self._phases.everything & ~after).bit_count(),
            sets=(chosen, *rest.sets),
        )

    def _ticks(self, done: int, chosen: int) -> int:
        last = done | chosen == self._phases.everything
        return self._phases.best(chosen, last=last).ticks + (self._phases.switch_ticks if done else 0)

    def _bounds(self, done: int) -> Iterator[_Bound]:
        switch = self._phases.switch_ticks if done else 0
        for chosen in self._phases.after(done):
            after = done | chosen
            last = after == self._phases.everything
            ticks = self._phases.bound(chosen, last=last) + switch + self._least_ticks(after)
            yield _Bound(ticks, 1 if last else 2, chosen)

    def _least_ticks(self, done: int) -> int:
        """What is left takes at least this: one phase in which every stage is as fast as it is alone."""
        if done not in self._least:
            rest = self._phases.everything & ~done
            device = sum(self._phases.least_ticks(1 << i) for i in members(rest))
            least = self._phases.together(self._phases.host_ticks(rest, last=True), device)
            self._least[done] = least + (self._phases.switch_ticks if done else 0)
        return self._least[done]
