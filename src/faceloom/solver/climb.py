"""Good phases soon: from a simple plan, one change at a time, as long as each makes it better."""

from collections.abc import Iterator, Sequence
from itertools import pairwise

from faceloom.solver.phases import Phases
from faceloom.solver.rank import Rank, Sets, rank


def together(phases: Phases) -> Sets:
    """A plan to begin with: every stage in the first phase that has room for it."""
    filled: list[int] = []
    for i, needs in enumerate(phases.needs):
        first = max((k for k, chosen in enumerate(filled) if chosen & needs), default=0)
        k = next((k for k in range(first, len(filled)) if phases.fits(filled[k] | 1 << i)), len(filled))
        filled[k:] = [filled[k] | 1 << i, *filled[k + 1 :]] if k < len(filled) else [1 << i]
    return tuple(filled)


def apart(phases: Phases) -> Sets:
    """Another one: every stage in a phase of its own."""
    return tuple(1 << i for i in range(len(phases.stages)))


def climb(phases: Phases, sets: Sets) -> Rank:
    """Makes a plan better, one change at a time, until no change does."""
    found = rank(phases, sets)
    while True:
        better = (rank(phases, sets) for sets in _changed(phases, found.sets))
        step = next((one for one in better if one < found), None)
        if step is None:
            return found
        found = step


def _changed(phases: Phases, sets: Sets) -> Iterator[Sets]:
    """All plans one change away: phases swapped or merged, stages swapped, or one moved, also to a new phase."""
    for i, (first, second) in enumerate(pairwise(sets)):
        yield from _valid(phases, (*sets[:i], second, first, *sets[i + 2 :]))
    for i, first in enumerate(sets):
        for j in range(i):
            yield from _valid(phases, _moved(sets, first, i, j))
        for bit in phases.one_of_each_kind(first):
            for j, other in enumerate(sets[:i]):
                for instead in phases.one_of_each_kind(other):
                    yield from _valid(phases, _moved(sets, bit | instead, i, j))
            for j in range(len(sets)):
                if j != i:
                    yield from _valid(phases, _moved(sets, bit, i, j))
            for j in range(len(sets) + 1 if first != bit else 0):
                without = [chosen & ~bit for chosen in sets]
                yield from _valid(phases, (*without[:j], bit, *without[j:]))


def _moved(sets: Sets, chosen: int, i: int, j: int) -> Sets:
    """The plan in which each of these stages of two phases is in the other one."""
    changed = list(sets)
    changed[i] ^= chosen
    changed[j] ^= chosen
    return tuple(one for one in changed if one)


def _valid(phases: Phases, sets: Sequence[int]) -> Iterator[Sets]:
    """The plan, if its phases fit and have what they need."""
    done = 0
    for chosen in sets:
        if not phases.has_needs(chosen, done) or not phases.fits(chosen):
            return
        done |= chosen
    yield tuple(sets)
