"""The fastest phases of a problem, exactly: branch and bound over the stages of one phase after another.

What a phase costs depends on its stages alone, but for one that reads frames, which has nothing to write if it is the
last. So much of what could be tried is the same thing in another order, and of every such lot one is tried: twins come
in the order given; stages that nothing waits for come in the order of the first of them; and a stage that would slow
nobody down is not left for later. Of all best plans the one in which the first stage runs earliest, then the second,
and so on, is among those that are left, so nothing is lost.
"""

from itertools import accumulate
from typing import NamedTuple

from faceloom.solver.bounds import LowerBounds
from faceloom.solver.climb import climb
from faceloom.solver.phases import Phases, members
from faceloom.solver.rank import Cost, Rank, Sets


def faster(phases: Phases, limit: Cost) -> Sets | None:
    """Finds the fastest plan, of equals one of fewest phases; None if none is better than the limit."""
    search = _Search(phases, limit)
    search.go_on(_Start(0, Cost(0, 0), ()))
    return search.found


def smallest(phases: Phases, best: Rank) -> Rank:
    """Finds the plan that needs least memory of all that are as good as the best one in all else."""
    search = _Lowering(phases, best)
    search.go_on(_Start(0, Cost(0, 0), ()))
    return search.best


class _Start(NamedTuple):
    """A plan's first phases."""

    done: int
    cost: Cost
    """With a switch to each phase, also the first."""
    sets: Sets


class _Rest(NamedTuple):
    """What is left after some phases, as the next one is filled."""

    start: _Start
    bounds: LowerBounds
    """Those that the rest was made with."""
    stages: tuple[int, ...]
    hidden: tuple[int, ...]
    """For each of the stages how much they and those after it can take off the bound, hidden behind the host's work."""
    shared: tuple[int, ...]
    """The same, as shares of the phase."""
    least_ticks: int
    """The least ticks with every stage at its share."""
    fits: bool
    """Whether all of it fits, so that the next phase may be the last."""


class _Search:
    def __init__(self, phases: Phases, limit: Cost) -> None:
        self.phases = phases
        self.bounds = LowerBounds(phases)
        self.limit = limit
        self.found: Sets | None = None
        self._after_twin = _twins(phases)
        self._reached: dict[int, Cost] = {}

    def go_on(self, start: _Start) -> None:
        """Tries all ways to go on that may be better than what was found."""
        rest = self.phases.everything & ~start.done
        if not rest:
            self._take(start)
            return
        if self._is_hopeless(start.cost, rest) or self._reached.get(start.done, self.limit) <= start.cost:
            return
        self._reached[start.done] = start.cost
        self._fill(self._rest(start), 0, 0)

    def _take(self, start: _Start) -> None:
        """Notes a plan that is better than what was found before."""
        self.found, self.limit = start.sets, start.cost

    def _rest(self, start: _Start) -> _Rest:
        rest = self.phases.everything & ~start.done
        stages = members(rest)
        own = [self.bounds.stage_ticks[i] for i in stages]
        shares = [max(0, ticks - self.bounds.alone_ticks[i]) for i, ticks in zip(stages, own, strict=True)]
        return _Rest(
            start=start,
            bounds=self.bounds,
            stages=stages,
            hidden=_sums_from(own),
            shared=_sums_from(shares),
            least_ticks=start.cost.ticks + self.phases.switch_ticks + sum(own),
            fits=self.phases.fits(rest),
        )

    def _is_hopeless(self, cost: Cost, rest: int) -> bool:
        """Whether nothing that begins at such a cost and still has to do the rest is better than what was found."""
        least = Cost(cost.ticks + self.bounds.least_ticks(rest), cost.phases + self.bounds.least_phases(rest))
        return least >= self.limit

    def _fill(self, rest: _Rest, chosen: int, k: int) -> None:
        """Tries all phases of the stages chosen and any from the k-th on, first with it, then without."""
        if rest.bounds is not self.bounds:
            rest = self._rest(rest.start)
        if self._is_slow(rest, chosen, k):
            return
        if k == len(rest.stages):
            if chosen:
                self._close(rest.start, chosen)
            return
        i = rest.stages[k]
        done, fuller = rest.start.done | chosen, chosen | 1 << i
        if not (self.phases.needs[i] | self._after_twin[i]) & ~done and self.phases.fits(fuller):
            self._fill(rest, fuller, k + 1)
        if k or self._may_wait(rest.start.done):
            self._fill(rest, chosen, k + 1)

    def _is_slow(self, rest: _Rest, chosen: int, k: int) -> bool:
        """Whether no phase of the stages chosen and some from the k-th on is part of anything better."""
        if self.phases.problem.host:
            return False  # where the host has a part in a stage's calls, shares do not bound what they hide behind
        host, calls = self.bounds.beyond_shares(chosen, last=rest.fits)
        ticks = rest.least_ticks + max(host - rest.hidden[k], calls - rest.shared[k])
        return Cost(ticks, rest.start.cost.phases + 1) >= self.limit

    def _may_wait(self, done: int) -> bool:
        """Whether the first stage that is left may be left for later: not where all phases could change places."""
        rest = self.phases.everything & ~done
        return bool(rest & self.phases.reading) or any(self.phases.users[i] for i in members(rest))

    def _close(self, start: _Start, chosen: int) -> None:
        """Goes on after a phase of the stages chosen."""
        phases, after = self.phases, start.done | chosen
        last, rest = after == phases.everything, phases.everything & ~after
        before = Cost(start.cost.ticks + phases.switch_ticks, start.cost.phases + 1)
        if self._is_hopeless(before._replace(ticks=before.ticks + phases.bound(chosen, last=last)), rest):
            return
        cost = before._replace(ticks=before.ticks + phases.best(chosen, last=last).ticks)
        if self._is_hopeless(cost, rest) or self._leaves_a_place(chosen, after):
            return
        self.go_on(_Start(after, cost, (*start.sets, chosen)))

    def _leaves_a_place(self, chosen: int, after: int) -> bool:
        """Whether a stage that is left could join the phase and would cost no more than where it comes later."""
        phases = self.phases
        taken = phases.best(chosen, last=False).ticks
        for i in members(phases.everything & ~after & ~phases.reading):
            fuller = chosen | 1 << i
            saved = 0 if phases.problem.overlap else self.bounds.alone_ticks[i]
            if phases.needs[i] & ~after or not phases.fits(fuller) or phases.bound(fuller, last=False) > taken + saved:
                continue
            if phases.best(fuller, last=False).ticks <= taken + saved:
                return True
        return False


class _Lowering(_Search):
    """A search that lowers the budget below each plan that it finds."""

    def __init__(self, phases: Phases, best: Rank) -> None:
        super().__init__(phases, Cost(best.ticks, best.phases + 1))
        self.best = best
        self._lower()

    def go_on(self, start: _Start) -> None:
        """As before, with the first phases at what they take now: they may be slower since the budget was lowered, and
        would bar the way to what is as good as they were."""
        if all(map(self.phases.fits, start.sets)):
            super().go_on(start._replace(cost=self._cost(start)))

    def _cost(self, start: _Start) -> Cost:
        last = len(start.sets) - 1 if start.done == self.phases.everything else -1
        taken = (self.phases.best(chosen, last=i == last).ticks for i, chosen in enumerate(start.sets))
        return Cost(sum(taken) + len(start.sets) * self.phases.switch_ticks, len(start.sets))

    def _close(self, start: _Start, chosen: int) -> None:
        if self.phases.fits(chosen):
            super()._close(start, chosen)

    def _take(self, start: _Start) -> None:
        found = climb(self.phases, start.sets)  # its first phases may be slower by now
        if found.cost < self.limit:
            self.best = found
            self._lower()

    def _lower(self) -> None:
        """Lowers the budget below the best plan; if nothing can be as fast there, all is found."""
        self.phases = self.phases.within(self.best.peak_bytes - 1)
        self._reached.clear()
        if self.phases.fits(self.phases.largest):
            self.bounds = LowerBounds(self.phases)
        if not self.phases.fits(self.phases.largest) or self._is_hopeless(Cost(0, 0), self.phases.everything):
            self.limit = Cost(0, 0)


def _twins(phases: Phases) -> list[int]:
    """For every stage the one of its kind before it, as a set; it comes no later."""
    kinds = phases.kinds
    before = ([j for j in range(i) if kinds[j] == kinds[i]] for i in range(len(kinds)))
    return [1 << twins[-1] if twins else 0 for twins in before]


def _sums_from(values: list[int]) -> tuple[int, ...]:
    """For every place the sum of the values from there on; at the end 0."""
    return tuple(accumulate(reversed(values), initial=0))[::-1]
