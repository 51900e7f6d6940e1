"""What plans are compared by."""

from typing import NamedTuple

from faceloom.solver.phases import Phases

Sets = tuple[int, ...]
"""The stages of every phase, in the order of the phases."""


class Cost(NamedTuple):
    """What phases take, without loading, which takes the same in every plan; the lesser is the better."""

    ticks: int
    """With a switch to each phase, also to the first."""
    phases: int


class Rank(NamedTuple):
    """Everything that a plan is compared by; the lesser is the better."""

    ticks: int
    phases: int
    peak_bytes: int
    waits: int
    """How often a stage waits for another phase; the fewer, the earlier run stages that cost nothing."""
    sets: Sets

    @property
    def cost(self) -> Cost:
        """The part of it that is time."""
        return Cost(self.ticks, self.phases)


def rank(phases: Phases, sets: Sets) -> Rank:
    """Ranks a plan whose phases all fit."""
    best = [phases.best(chosen, last=chosen == sets[-1]) for chosen in sets]
    return Rank(
        ticks=sum(phase.ticks for phase in best) + len(sets) * phases.switch_ticks,
        phases=len(sets),
        peak_bytes=max(phase.peak_bytes for phase in best),
        waits=sum(i * chosen.bit_count() for i, chosen in enumerate(sets)),
        sets=sets,
    )
