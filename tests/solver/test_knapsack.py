import itertools
import random

from hypothesis import given, settings
from hypothesis import strategies as st

from faceloom.solver.knapsack import Group, Variant, cheapest


def random_group(rng: random.Random, most: int) -> Group:
    """Sizes rise, costs fall."""
    count = rng.randint(1, 6)
    sizes, costs = (sorted(rng.sample(range(most), count)) for _ in range(2))
    return Group.of(Variant(size, cost) for size, cost in zip(sizes, reversed(costs), strict=True))


def best_by_trying(groups: list[Group], room: int) -> Variant | None:
    """The least cost, and the least size at that cost."""
    sums = (
        (sum(choice.cost for choice in picked), sum(choice.size for choice in picked))
        for picked in itertools.product(*(group.choices for group in groups))
    )
    cost, size = min((both for both in sums if both[1] <= room), default=(0, -1))
    return Variant(size, cost) if size >= 0 else None


def total(groups: list[Group], picks: tuple[int, ...]) -> Variant:
    chosen = [group.choices[j] for group, j in zip(groups, picks, strict=True)]
    return Variant(sum(choice.size for choice in chosen), sum(choice.cost for choice in chosen))


def test_no_choices_are_better_than_those_found() -> None:
    rng = random.Random(0)
    for _ in range(20 * settings().max_examples):
        most = rng.choice((8, 30, 10**6))  # few numbers: much is equal
        groups = [random_group(rng, most) for _ in range(rng.randint(1, 4))]
        room = rng.randrange(most * len(groups))
        picks = cheapest(groups, room)
        assert (picks and total(groups, picks)) == best_by_trying(groups, room)


@given(st.integers(0, 2**32), st.integers(0, 200), st.integers(0, 200))
def test_more_room_never_costs_more(seed: int, room: int, more: int) -> None:
    rng = random.Random(seed)
    groups = [random_group(rng, 60) for _ in range(4)]
    before, after = cheapest(groups, room), cheapest(groups, room + more)
    if before is not None:
        assert after is not None
        assert total(groups, after).cost <= total(groups, before).cost


def test_numbers_that_no_float_holds_are_compared_exactly() -> None:
    huge = 10**400
    groups = [Group.of([Variant(0, huge + 1), Variant(1, huge), Variant(huge, 0)]) for _ in range(2)]
    assert cheapest(groups, huge + 1) == (1, 2)


def test_choices_whose_sizes_and_costs_add_up_to_the_same_are_settled() -> None:
    """None of them can be ruled out by its price alone."""
    group = Group.of(Variant(size, 64 - size) for size in range(64))
    picks = cheapest([group] * 10, 333)
    assert picks
    assert sum(picks) == 333


def test_no_groups_take_nothing() -> None:
    assert cheapest([], 0) == ()
