"""The lists hold what a matrix of all pairs would have told, in however many steps they are filled."""

import numpy as np
import pytest
from numpy.typing import NDArray

from faceloom.geometry import nearest
from faceloom.geometry.nearest import GRID, NONE, NearestLists, Rows, Steps, numbers_of, steps_of
from faceloom.geometry.rounded import RoundedVectors, by_floats

_KEPT = 64


def clustered(seed: int, *, numbers: int) -> NDArray[np.float32]:
    """Unit vectors of which most are alike and some are beside them."""
    random = np.random.default_rng(seed)
    middle = random.normal(size=numbers)
    spread = np.where(random.random((230, 1)) < 0.7, 0.05, 0.8)
    drawn = middle / np.linalg.norm(middle) + spread * random.normal(size=(230, numbers)) / np.sqrt(numbers)
    return np.asarray(drawn / np.linalg.norm(drawn, axis=1, keepdims=True), np.float32)


@pytest.fixture
def small_steps(monkeypatch: pytest.MonkeyPatch) -> None:
    """Lists are sorted, and limits rise, long before all pairs have been looked at."""
    monkeypatch.setattr(nearest, "_FOLD", 500)
    monkeypatch.setattr(nearest, "_TILE", 32)
    monkeypatch.setattr(nearest, "_SLAB", 8)


@pytest.mark.usefixtures("small_steps")
@pytest.mark.parametrize("numbers", [2, 8, 64])
@pytest.mark.parametrize("least", [0.3, 0.8, 0.97])
@pytest.mark.parametrize("seed", range(4))
def test_each_list_holds_the_nearest_of_all(seed: int, least: float, numbers: int) -> None:
    vectors = clustered(seed, numbers=numbers)

    def near(i: Rows, j: Rows) -> tuple[Steps, NDArray[np.bool_]]:
        products = np.einsum("nd,nd->n", vectors[i].astype(np.float64), vectors[j].astype(np.float64))
        return np.rint(products * GRID).astype(np.int64), np.ones(len(i), np.bool_)

    lists = NearestLists(RoundedVectors(vectors), near, least=round(least * GRID), multiply=by_floats)
    lists.fill()
    everyone = np.arange(len(vectors))
    for row in everyone:
        others = everyone[everyone != row]
        steps, _ = near(np.full(len(others), row), others)
        beyond = sorted(steps[steps > round(least * GRID)].tolist(), reverse=True)
        keys = lists.keys[row][lists.keys[row] != NONE]
        assert steps_of(keys).tolist() == beyond[:_KEPT]
        assert sorted(steps[np.searchsorted(others, numbers_of(keys))].tolist(), reverse=True) == beyond[:_KEPT]
        assert all(left <= lists.limits[row] for left in beyond[len(keys) :])
