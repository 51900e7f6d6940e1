"""The multiple-choice knapsack, exactly: one choice out of every group, at the least cost that fits a size.

Sizes and costs are ints, so that equal is equal. Choices are weighed at a price for size, taken from the relaxed
problem in which choices may be mixed. The cheapest choices at that price give a bound from below; steps taken in order
of what they save give an answer, and so a bound from above. A choice that adds more than the gap between the two is in
no best answer. What is left is little, and is gone through group by group.

Source:
    Kellerer, Pferschy and Pisinger 2004, Knapsack Problems, chapter 11: dominance, the greedy algorithm on the lower
    hull, reduction of classes, dynamic programming with bounds.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from math import inf, log
from typing import NamedTuple, TypeAlias

Picks: TypeAlias = tuple[int, ...]
"""The index of the choice that is taken, for every group."""

_FIRST_SHIFT = 8
"""The first try allows for the gap over two to this; measured, like the next (benchmarks/planner.py)."""
_GROWTH = 4


class Variant(NamedTuple):
    """One of several choices, with its size and its cost."""

    size: int
    cost: int


class HullStep(NamedTuple):
    """A step from one choice on the lower hull of a group to the next."""

    saving: float
    """The logarithm of the cost saved for a unit of size, since costs may be too large for a float."""
    size: int
    cost: int
    to: int
    """The index of the choice that it leads to."""

    def weight(self, choice: Variant) -> int:
        """Returns size and cost in one number, at the price that this step pays for size."""
        return self.size * choice.cost + self.cost * choice.size


@dataclass(frozen=True, slots=True)
class Group:
    """Choices of which one is taken; sizes rise and costs fall, so that each is useful."""

    choices: tuple[Variant, ...]
    steps: tuple[HullStep, ...]

    @classmethod
    def of(cls, choices: Iterable[Variant]) -> "Group":
        """Makes a group of choices in any order; there has to be one, and none may be useless."""
        ordered = tuple(sorted(choices))
        return cls(ordered, _steps(ordered))


def cheapest(groups: Sequence[Group], room: int) -> Picks | None:
    """Finds the cheapest choices whose sizes add up to at most `room`, of equals the smallest; None if none do."""
    if sum(group.choices[0].size for group in groups) > room:
        return None
    picks, price = _greedy(groups, room)
    return _best(groups, room, picks, price) if price else picks


def _steps(choices: Sequence[Variant]) -> tuple[HullStep, ...]:
    """The lower hull as steps, each of which saves less for its size than the one before it."""
    hull = [HullStep(inf, 0, 0, 0)]
    for j in range(1, len(choices)):
        step = _step(choices, hull[-1].to, j)
        while len(hull) > 1 and hull[-1].saving <= step.saving:
            hull.pop()
            step = _step(choices, hull[-1].to, j)
        hull.append(step)
    return tuple(hull[1:])


def _step(choices: Sequence[Variant], begin: int, end: int) -> HullStep:
    size, cost = choices[end].size - choices[begin].size, choices[begin].cost - choices[end].cost
    return HullStep(log(cost) - log(size), size, cost, end)


def _greedy(groups: Sequence[Group], room: int) -> tuple[Picks, HullStep | None]:
    """A good answer, and the first step that no longer fits: its saving is the price; None where all steps fit."""
    picks = [0] * len(groups)
    room -= sum(group.choices[0].size for group in groups)
    stuck: dict[int, HullStep] = {}
    steps = sorted(((-step.saving, i, step) for i, group in enumerate(groups) for step in group.steps))
    for _, i, step in steps:
        if i in stuck:
            continue
        if step.size > room:
            stuck[i] = step
            continue
        picks[i] = step.to
        room -= step.size
    return tuple(picks), next(iter(stuck.values()), None)


def _best(groups: Sequence[Group], room: int, picks: Picks, price: HullStep) -> Picks:
    """The best answer, given one to start from.

    How far a good answer is from the bound is not known before, and the less it may be the less is left to go through.
    So it is tried first with little, then with more: an answer within what was allowed is the best of all.
    """
    bound = sum(min(price.weight(choice) for choice in group.choices) for group in groups) - price.cost * room
    gap = price.size * _cost(groups, picks) - bound
    allowed = gap >> _FIRST_SHIFT
    while True:
        found = _best_within(groups, room, price, allowed)
        if found:
            gap = min(gap, price.size * _cost(groups, found) - bound)
            if gap <= allowed:
                return found
        allowed = min(gap, allowed * _GROWTH + 1)


def _best_within(groups: Sequence[Group], room: int, price: HullStep, allowed: int) -> Picks | None:
    """The best of the answers that weigh at most so much more than the lightest choices do, if there are any."""
    least = [min(price.weight(choice) for choice in group.choices) for group in groups]
    kept = [
        [(j, choice) for j, choice in enumerate(group.choices) if price.weight(choice) - low <= allowed]
        for group, low in zip(groups, least, strict=True)
    ]
    order = sorted(range(len(groups)), key=lambda i: len(kept[i]))
    rest = sum(group[0][1].size for group in kept)
    limit = allowed
    frontier: list[tuple[int, int, Picks]] = [(0, 0, ())]
    for i in order:
        rest -= kept[i][0][1].size
        limit += least[i]
        frontier = _frontier(
            (size + choice.size, cost + choice.cost, (*so_far, j))
            for size, cost, so_far in frontier
            for j, choice in kept[i]
            if size + choice.size <= room - rest
            and price.size * (cost + choice.cost) + price.cost * (size + choice.size) <= limit
        )
    return tuple(j for _, j in sorted(zip(order, frontier[-1][2], strict=True))) if frontier else None


def _frontier(entries: Iterable[tuple[int, int, Picks]]) -> list[tuple[int, int, Picks]]:
    """The choices that are useful: the larger, the cheaper."""
    found: list[tuple[int, int, Picks]] = []
    for entry in sorted(entries):
        if not found or entry[1] < found[-1][1]:
            found.append(entry)
    return found


def _cost(groups: Sequence[Group], picks: Picks) -> int:
    return sum(group.choices[j].cost for group, j in zip(groups, picks, strict=True))
