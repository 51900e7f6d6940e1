from pathlib import Path

import pytest

import ground_truth
from conftest import prepared
from faceloom.models.weights import WeightCache

LEAST = {"components": 0.66, "extended": 0.77, "unet": 0.86, "face": 0.85}


@pytest.fixture(scope="module")
def overlaps(shared: Path, cache: WeightCache) -> dict[str, float]:
    """IoU of each mask with the faces painted by hand in 50 pictures."""
    for name in ("yunet", "facemesh", "unet"):
        prepared(cache, name)  # skips where the weights cannot be had
    return ground_truth.mask_overlaps(list(ground_truth.fasseg(shared)), masks=tuple(LEAST))


@pytest.mark.parametrize("mask", LEAST)
def test_a_mask_overlaps_the_true_face_as_measured_before(overlaps: dict[str, float], mask: str) -> None:
    assert overlaps[mask] >= LEAST[mask]
