from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from faceloom.engines.engine import Network
from faceloom.faces import Masks
from faceloom.mask import NetworkMask
from plugins import chips, every

Load = Callable[[str], Network]
pytestmark = every(NetworkMask)


@pytest.fixture
def found(plugin: NetworkMask, network: Load, samples: Path) -> Masks:
    return plugin.segment(network(plugin.weights.name), chips(samples, size=plugin.input_size))


def test_every_chip_gets_a_mask_of_its_size(plugin: NetworkMask, found: Masks) -> None:
    assert found.shape == (5, plugin.input_size, plugin.input_size)
    assert found.dtype == np.uint8


def test_a_mask_covers_the_middle_of_a_face(plugin: NetworkMask, found: Masks) -> None:
    middle = plugin.input_size // 2
    assert (found[:, middle - 5 : middle + 5, middle - 5 : middle + 5] > 127).all()


def test_a_mask_leaves_the_corners_of_a_chip(plugin: NetworkMask, found: Masks) -> None:
    assert (found[:, [0, 0, -1, -1], [0, -1, 0, -1]] < 128).all()


def test_a_batch_of_many_is_batches_of_one(plugin: NetworkMask, network: Load, samples: Path, found: Masks) -> None:
    infer = network(plugin.weights.name)
    alone = [plugin.segment(infer, chip[None])[0] for chip in chips(samples, size=plugin.input_size)]
    np.testing.assert_array_equal(found, alone)


def test_a_black_chip_has_no_face(plugin: NetworkMask, network: Load) -> None:
    size = plugin.input_size
    masks = plugin.segment(network(plugin.weights.name), np.zeros((1, size, size, 3), np.uint8))
    assert (masks > 127).mean() < 0.05


def test_preparing_leaves_the_images_as_they_are(plugin: NetworkMask, samples: Path) -> None:
    images = chips(samples, size=plugin.input_size)
    plugin.prepare(images)
    np.testing.assert_array_equal(images, chips(samples, size=plugin.input_size))
