import itertools
import random

import pytest

from faceloom.tracking.assignment import assign


def cost_of(costs: list[dict[int, int]], columns: tuple[int | None, ...], unpaired: int) -> int | None:
    """What an assignment costs; None: it is none."""
    taken = [column for column in columns if column is not None]
    if len(taken) != len(set(taken)):
        return None
    if any(column is not None and column not in row for row, column in zip(costs, columns, strict=True)):
        return None
    return sum(unpaired if c is None else row[c] for row, c in zip(costs, columns, strict=True))


@pytest.mark.parametrize("seed", range(150))
def test_no_assignment_is_cheaper(seed: int) -> None:
    rng = random.Random(seed)
    rows, columns = rng.randint(0, 4), rng.randint(1, 4)
    costs = [{c: rng.randint(0, 12) for c in range(columns) if rng.random() < 0.6} for _ in range(rows)]
    unpaired = rng.choice([0, 3, 9, 20])
    every = itertools.product([None, *range(columns)], repeat=rows)
    least = min(cost for one in every if (cost := cost_of(costs, one, unpaired)) is not None)
    assert cost_of(costs, tuple(assign(costs, unpaired=unpaired)), unpaired) == least


def test_it_is_what_scipy_finds() -> None:
    optimize, np = pytest.importorskip("scipy.optimize"), pytest.importorskip("numpy")
    rng = random.Random(7)
    costs = [{c: rng.randint(0, 1000) for c in range(max(0, r - 9), r + 9)} for r in range(120)]
    full = np.full((120, 300), 10**9)
    for row, of_row in enumerate(costs):
        for column, cost in of_row.items():
            full[row, column] = cost
        full[row, 150 + row] = 700
    rows, columns = optimize.linear_sum_assignment(full)
    answer = tuple(assign(costs, unpaired=700))
    assert cost_of(costs, answer, 700) == full[rows, columns].sum()


def test_a_row_goes_without_where_that_is_cheaper() -> None:
    assert assign([{0: 10}, {0: 4}], unpaired=5) == [None, 0]
