import itertools

import numpy as np
import pytest
from numpy.typing import NDArray

from faceloom.picking.choosing import Chosen, bin_of, cells_of, choose, edges_of


def chosen_of(
    points: NDArray[np.float32],
    count: int,
    *,
    qualities: NDArray[np.float64] | None = None,
    cells: NDArray[np.intp] | None = None,
    copies: NDArray[np.bool_] | None = None,
) -> Chosen:
    n = len(points)
    same = np.zeros((n, n), np.bool_) if copies is None else copies
    return choose(
        points,
        np.ones(n) if qualities is None else qualities,
        count=count,
        cells=np.zeros(n, np.intp) if cells is None else cells,
        copies_of=lambda row: same[row].copy(),
    )


def rows_of(chosen: Chosen) -> list[int]:
    return [one.row for one in chosen.choices]


def reach(apart: NDArray[np.float64], rows: tuple[int, ...] | list[int]) -> float:
    """How far the face that is farthest from its nearest pick is from it."""
    return float(apart[:, list(rows)].min(axis=1).max())


@pytest.mark.parametrize("seed", range(20))
def test_no_face_is_more_than_twice_as_far_from_a_pick_as_with_the_best_picks(seed: int) -> None:
    points = np.random.default_rng(seed).normal(size=(12, 3)).astype(np.float32)
    apart = np.linalg.norm(points[:, None].astype(np.float64) - points[None], axis=2)
    best = min(reach(apart, rows) for rows in itertools.combinations(range(12), 4))
    assert reach(apart, rows_of(chosen_of(points, 4))) <= 2 * best + 1e-3


@pytest.mark.parametrize("seed", range(10))
def test_each_pick_has_the_greatest_quality_times_distance(seed: int) -> None:
    rng = np.random.default_rng(seed)
    points, qualities = rng.normal(size=(30, 4)).astype(np.float32), rng.uniform(0.1, 1, 30)
    apart = np.linalg.norm(points[:, None].astype(np.float64) - points[None], axis=2)
    rows = rows_of(chosen_of(points, 8, qualities=qualities))
    assert rows[0] == int(qualities.argmax())
    for i in range(1, 8):
        gains = qualities * apart[:, rows[:i]].min(axis=1)
        gains[rows[:i]] = -1
        assert gains[rows[i]] >= gains.max() - 1e-3
    one = chosen_of(points, 8, qualities=qualities).choices[5]
    assert one.nearest == rows[int(apart[rows[5], rows[:5]].argmin())]
    assert one.distance == pytest.approx(apart[rows[5], rows[:5]].min(), abs=1e-3)


def test_all_are_picked_if_there_are_fewer() -> None:
    assert sorted(rows_of(chosen_of(np.eye(3, dtype=np.float32), 10))) == [0, 1, 2]
    assert chosen_of(np.zeros((0, 3), np.float32), 10).choices == ()


def test_faces_that_are_the_same_in_all_that_counts_are_taken_in_order() -> None:
    assert rows_of(chosen_of(np.ones((5, 2), np.float32), 3)) == [0, 1, 2]


def test_a_near_duplicate_of_a_pick_is_never_picked() -> None:
    copies = np.zeros((4, 4), np.bool_)
    copies[1, 2] = copies[2, 1] = True
    chosen = chosen_of(np.eye(4, dtype=np.float32), 4, qualities=np.array([0.1, 0.9, 0.8, 0.7]), copies=copies)
    assert set(rows_of(chosen)) == {0, 1, 3}
    assert chosen.copies == 1


def test_picks_are_spread_over_cells_as_evenly_as_there_are_faces() -> None:
    cells = np.array([0] * 20 + [1] * 2 + [2] * 5)
    rng = np.random.default_rng(1)
    chosen = chosen_of(rng.normal(size=(27, 2)).astype(np.float32), 12, qualities=rng.uniform(size=27), cells=cells)
    assert np.bincount(cells[rows_of(chosen)]).tolist() == [5, 2, 5]


def test_cells_are_named_by_the_bins_that_they_are_in() -> None:
    yaw, size = np.array([-30.0, 0, 30, np.nan]), np.array([10.0, 20, 20, 20])
    cells, names = cells_of({"yaw": yaw, "size": size}, {"yaw": 3, "size": 2})
    assert [names[cell] for cell in cells] == [
        "yaw -30 to -10, size 10 to 15",
        "yaw -10 to 10, size 15 to 20",
        "yaw 10 to 30, size 15 to 20",
        "yaw unknown, size 15 to 20",
    ]


def test_bins_hold_all_values_and_are_as_wide_as_each_other() -> None:
    values = np.random.default_rng(0).normal(size=200)
    edges = edges_of(values, 7)
    places = bin_of(values, edges)
    assert np.ptp(np.diff(edges)) < 1e-12
    assert (values >= edges[places]).all()
    assert (values <= edges[places + 1]).all()
    assert bin_of(np.array([np.nan]), edges).tolist() == [7]
