"""LowerBounds from below: what the stages that are left take at least, and in how many phases.

A phase holds what fits into it, so what a phase costs by itself (switching to it, and the host's part) can be laid on
its stages by the share of the room that each fills: a stage pays for its calls at some batch, and for its share of a
phase that leaves room for this batch. The cheapest such batch is the least that the stage adds to any plan.
"""

from faceloom.solver.phases import Phases, members
from faceloom.solver.problem import Arena

_WHOLE = 1 << 64
"""A phase filled to its brim; shares are counted in whole parts of it, rounded down."""


class LowerBounds:
    """What stages add at least to any plan for a budget."""

    def __init__(self, phases: Phases) -> None:
        self.phases = phases
        problem = phases.problem
        self.least_host_ticks = min(phases.host_ticks(1 << i, last=True) for i in range(len(phases.stages)))
        """The least of the host's ticks in any phase that reads what its stages read."""
        phase_ticks = phases.switch_ticks + (0 if problem.overlap else self.least_host_ticks)
        self.alone_ticks = [sum(phases.least_spent(1 << i)) for i in range(len(phases.stages))]
        """The ticks of each stage's calls at its fastest."""
        self.stage_ticks = [_least_ticks(phases, i, phase_ticks) for i in range(len(phases.stages))]
        """The ticks of each stage's calls with its share of a phase."""
        self._parts = [_filled(phases, i, useful.held_bytes[0]) for i, useful in enumerate(phases.useful)]
        self._number: dict[int, int] = {0: 0}
        self._least: dict[int, int] = {0: 0}
        self._beyond: dict[tuple[int, bool], tuple[int, int]] = {}

    def least_phases(self, rest: int) -> int:
        """The least number of phases that hold these stages."""
        if rest not in self._number:
            least = -(-sum(self._parts[i] for i in members(rest)) // _WHOLE)
            self._number[rest] = max(least, 1 if self.phases.fits(rest) else 2)
        return self._number[rest]

    def least_ticks(self, rest: int) -> int:
        """The least ticks of these stages, as all phases that are left, with a switch to each of them."""
        if rest not in self._least:
            number = self.least_phases(rest)
            # where nothing else can come first, a phase that reads frames does, and is not the last of several
            reads_first = not any(self.phases.needs[i] & rest == 0 for i in members(rest & ~self.phases.reading))
            first_host = self.phases.host_ticks(rest, last=number == 1 or not reads_first)
            self._least[rest] = max(self._together(rest, number, first_host), self._apart(rest, first_host))
        return self._least[rest]

    def beyond_shares(self, chosen: int, *, last: bool) -> tuple[int, int]:
        """What a phase that more stages may join takes beyond its stages' shares: the host's part, and all of it.

        Stages that join take off at most their shares from the first, and from the second what of their shares is not
        calls. Where nothing runs side by side, both are all of it.
        """
        if (chosen, last) not in self._beyond:
            phases = self.phases
            work = phases.least_spent(chosen)
            reads = chosen & phases.reading
            host = work.host + (phases.host_ticks(chosen, last=last) if reads else self.least_host_ticks)
            own = sum(self.stage_ticks[i] for i in members(chosen))
            parts = (host, work.device) if phases.problem.overlap else (host + work.device, host + work.device)
            self._beyond[chosen, last] = parts[0] - own, parts[1] - own
        return self._beyond[chosen, last]

    def _together(self, rest: int, number: int, first_host: int) -> int:
        """As few phases as there can be, with each stage as fast as it is alone."""
        works = [self.phases.least_spent(1 << i) for i in members(rest)]
        other_host = self.least_host_ticks if rest & self.phases.reading else first_host
        host = first_host + (number - 1) * other_host + sum(work.host for work in works)
        return self.phases.together(host, sum(work.device for work in works)) + number * self.phases.switch_ticks

    def _apart(self, rest: int, first_host: int) -> int:
        """As many phases as are best for each stage."""
        more = 0 if self.phases.problem.overlap else first_host - self.least_host_ticks
        return more + sum(self.stage_ticks[i] for i in members(rest))


def _least_ticks(phases: Phases, i: int, phase_ticks: int) -> int:
    useful = phases.useful[i]
    if useful.is_on_host and phases.problem.overlap:
        return 0  # its calls may all hide behind the device's
    return min(
        ticks + phase_ticks * _filled(phases, i, held_bytes) // _WHOLE
        for ticks, held_bytes in zip(useful.ticks, useful.held_bytes, strict=True)
        if phases.stages[i].weights_bytes + held_bytes <= phases.room(0)
    )


def _filled(phases: Phases, i: int, held_bytes: int) -> int:
    """What a stage at some batch fills of a phase, as a part of a whole: the parts of a phase add up to one at most."""
    private = phases.problem.arena is Arena.PRIVATE
    own = phases.stages[i].weights_bytes + (held_bytes if private else 0)
    # shared activations leave to all weights what the largest of them do not take
    room = phases.room(0) - (0 if private else held_bytes)
    others = (_least_part(phases, j) for j in range(len(phases.stages)) if j != i)
    if own + min((part for part in others if part), default=0) > room:
        return _WHOLE
    return own * _WHOLE // room if own else 0


def _least_part(phases: Phases, i: int) -> int:
    held_bytes = phases.useful[i].held_bytes[0] if phases.problem.arena is Arena.PRIVATE else 0
    return phases.stages[i].weights_bytes + held_bytes
