"""The multiple-choice knapsack: one choice out of every group, at the least cost that fits a size. Exact.

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
from typing import NamedTuple, TypeAlias

Picks: TypeAlias = tuple[int, ...]
"""For every group the index of the choice that is taken."""


class Choice(NamedTuple):
    """One of several things to take."""

    size: int
    cost: int


class Step(NamedTuple):
    """From one choice on the lower hull of a group to the next."""

    saving: float
    """Cost for a unit of size."""
    size: int
    cost: int
    to: int
    """Index of the choice it leads to."""


@dataclass(frozen=True, slots=True)
class Group:
    """Choices one of which is taken: sizes rise, costs fall, so that each is good for something."""

    choices: tuple[Choice, ...]
    steps: tuple[Step, ...]

    @classmethod
    def of(cls, choices: Iterable[Choice]) -> "Group":
        """The group of these choices, in any order; there has to be one, and none useless."""
        ordered = tuple(sorted(choices))
        return cls(ordered, _steps(ordered))


def cheapest(groups: Sequence[Group], room: int) -> Picks | None:
    """The choices of least cost whose sizes add up to at most `room`, and the smallest of these; None if none do."""
    if sum(group.choices[0].size for group in groups) > room:
        return None
    picks, price = _greedy(groups, room)
    return _best(groups, room, picks, price) if price else picks


def _steps(choices: Sequence[Choice]) -> tuple[Step, ...]:
    """The lower hull as steps, each of which saves less for its size than the one before."""
    hull = [Step(0, 0, 0, 0)]
    for j in range(1, len(choices)):
        step = _step(choices, hull[-1].to, j)
        while len(hull) > 1 and hull[-1].saving <= step.saving:
            hull.pop()
            step = _step(choices, hull[-1].to, j)
        hull.append(step)
    return tuple(hull[1:])


def _step(choices: Sequence[Choice], begin: int, end: int) -> Step:
    size, cost = choices[end].size - choices[begin].size, choices[begin].cost - choices[end].cost
    return Step(cost / size, size, cost, end)


def _greedy(groups: Sequence[Group], room: int) -> tuple[Picks, Step | None]:
    """A good answer, and the first step that no longer fits: its saving is the price; None where all steps fit."""
    picks = [0] * len(groups)
    room -= sum(group.choices[0].size for group in groups)
    stuck: dict[int, Step] = {}
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


def _best(groups: Sequence[Group], room: int, picks: Picks, price: Step) -> Picks:
    """The best answer that is at least as good as the one given."""
    taken = [group.choices[j] for group, j in zip(groups, picks, strict=True)]

    def weight(choice: Choice) -> int:
        return price.size * choice.cost + price.cost * choice.size

    least = [min(map(weight, group.choices)) for group in groups]
    gap = price.size * sum(choice.cost for choice in taken) - (sum(least) - price.cost * room)
    kept = [
        [(j, choice) for j, choice in enumerate(group.choices) if weight(choice) - low <= gap]
        for group, low in zip(groups, least, strict=True)
    ]
    order = sorted(range(len(groups)), key=lambda i: len(kept[i]))
    rest = sum(group[0][1].size for group in kept)
    limit = gap
    frontier: list[tuple[int, int, Picks]] = [(0, 0, ())]
    for i in order:
        rest -= kept[i][0][1].size
        limit += least[i]
        merged = sorted(
            (size + choice.size, cost + choice.cost, (*so_far, j))
            for size, cost, so_far in frontier
            for j, choice in kept[i]
            if size + choice.size <= room - rest
            and price.size * (cost + choice.cost) + price.cost * (size + choice.size) <= limit
        )
        frontier = []
        for entry in merged:
            if not frontier or entry[1] < frontier[-1][1]:
                frontier.append(entry)
    best = frontier[-1][2]
    return tuple(j for _, j in sorted(zip(order, best, strict=True)))
