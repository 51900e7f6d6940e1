from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from faceloom.align import Aligner, Alignment
from faceloom.engines.engine import Network
from faceloom.geometry.landmarks import five_keypoints
from plugins import chips, every

Load = Callable[[str], Network]
pytestmark = every(Aligner)


@pytest.fixture
def found(plugin: Aligner, network: Load, samples: Path) -> Alignment:
    return plugin.align(network(plugin.weights.name), chips(samples, size=plugin.input_size))


def test_every_chip_gets_68_landmarks(plugin: Aligner, found: Alignment) -> None:
    assert found.landmarks.shape == (5, 68, 2)
    assert found.landmarks.dtype == np.float32


def test_confidence_is_a_share(plugin: Aligner, found: Alignment) -> None:
    assert found.confidence.shape == (5,)
    assert ((found.confidence >= 0) & (found.confidence <= 1)).all()


def test_a_face_is_believed_to_be_one(plugin: Aligner, found: Alignment) -> None:
    assert (found.confidence > 0.5).all()


def test_landmarks_are_in_the_order_of_an_upright_face(plugin: Aligner, found: Alignment) -> None:
    left_eye, right_eye, nose, left_mouth, right_mouth = five_keypoints(found.landmarks[0])
    assert left_eye[0] < nose[0] < right_eye[0]
    assert left_mouth[0] < right_mouth[0]
    assert max(left_eye[1], right_eye[1]) < nose[1] < min(left_mouth[1], right_mouth[1])


def test_the_face_of_a_chip_is_found_in_its_middle(plugin: Aligner, found: Alignment) -> None:
    centres = found.landmarks.mean(axis=1) / plugin.input_size
    assert (np.abs(centres - 0.5) < 0.2).all()


def test_the_extent_holds_every_landmark(plugin: Aligner, found: Alignment) -> None:
    assert (found.landmarks >= found.extent[:, None, :2] - 0.5).all()
    assert (found.landmarks <= found.extent[:, None, 2:] + 0.5).all()


def test_a_batch_of_many_is_batches_of_one(plugin: Aligner, network: Load, samples: Path, found: Alignment) -> None:
    infer = network(plugin.weights.name)
    for i, chip in enumerate(chips(samples, size=plugin.input_size)):
        alone = plugin.align(infer, chip[None])
        np.testing.assert_array_equal(alone.landmarks[0], found.landmarks[i])
        np.testing.assert_array_equal(alone.confidence[0], found.confidence[i])
        np.testing.assert_array_equal(alone.extent[0], found.extent[i])


@pytest.mark.parametrize("value", [0, 255])
def test_an_even_chip_gets_numbers_all_the_same(plugin: Aligner, network: Load, value: int) -> None:
    size = plugin.input_size
    found = plugin.align(network(plugin.weights.name), np.full((2, size, size, 3), value, np.uint8))
    assert np.isfinite(found.landmarks).all()


def test_preparing_leaves_the_images_as_they_are(plugin: Aligner, samples: Path) -> None:
    images = chips(samples, size=plugin.input_size)
    plugin.prepare(images)
    np.testing.assert_array_equal(images, chips(samples, size=plugin.input_size))
