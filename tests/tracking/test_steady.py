import numpy as np
import pytest

from faceloom.tracking.steady import steady

TIMES = np.arange(60) / 25


def shaking(values: np.ndarray) -> float:
    return float(np.sqrt((np.diff(values, 2, axis=0) ** 2).mean()))


def test_what_goes_faster_evenly_stays_as_it_is_whenever_its_frames_are() -> None:
    times = np.cumsum(np.random.default_rng(1).uniform(0.01, 0.08, 40))
    values = np.stack([3 * times**2 - times + 7, 5 - 2 * times], axis=1)
    assert steady(values, times) == pytest.approx(values)


def test_what_shakes_shakes_less_than_half_as_much() -> None:
    noise = np.random.default_rng(2).normal(size=(60, 68, 2))
    assert shaking(steady(noise, TIMES)) < shaking(noise) / 2


def test_nothing_lags_behind() -> None:
    """By the cross-correlation of velocities: best without a shift, and as good a frame before as a frame after."""
    path = 100 * np.sin(TIMES * 4)
    found = steady(path + 0.3 * np.random.default_rng(3).normal(size=60), TIMES)
    truth, moved = np.diff(path), np.diff(found)
    same = {shift: float(truth[5:-5] @ np.roll(moved, -shift)[5:-5]) for shift in range(-3, 4)}
    assert max(same, key=lambda shift: same[shift]) == 0
    before, here, after = same[-1], same[0], same[1]
    assert abs((before - after) / (2 * (before - 2 * here + after))) < 0.1


def test_it_is_the_same_backwards() -> None:
    values = np.random.default_rng(4).normal(size=(30, 3))
    times = TIMES[:30]
    assert steady(values[::-1], times[-1] - times[::-1])[::-1] == pytest.approx(steady(values, times))


@pytest.mark.parametrize("count", [0, 1, 2, 3])
def test_of_few_nothing_can_be_told(count: int) -> None:
    values = np.random.default_rng(5).normal(size=(count, 2))
    assert steady(values, TIMES[:count]).tolist() == values.tolist()
