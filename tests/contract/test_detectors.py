from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from faceloom.detect import Detector
from faceloom.engines.engine import Network
from faceloom.faces import Candidates
from plugins import canvases, every

Load = Callable[[str], Network]
pytestmark = every(Detector)


def size_of(plugin: Detector) -> tuple[int, ...]:
    return plugin.canvas or (352, 320)


@pytest.fixture
def found(plugin: Detector, network: Load, samples: Path) -> tuple[Candidates, ...]:
    return plugin.detect(network(plugin.weights.name), canvases(samples, size_of(plugin)))


def test_every_canvas_gets_an_answer(plugin: Detector, found: tuple[Candidates, ...]) -> None:
    assert len(found) == 4


def test_faces_are_found_where_there_are_some(plugin: Detector, found: tuple[Candidates, ...]) -> None:
    assert all(len(candidates.scores) for candidates in found[:3])


def test_nothing_is_found_where_there_is_nothing(plugin: Detector, found: tuple[Candidates, ...]) -> None:
    assert found[3].boxes.shape == (0, 4)
    assert found[3].scores.shape == (0,)
    assert found[3].keypoints is None or found[3].keypoints.shape == (0, 5, 2)


def test_no_candidate_is_below_the_least_score(plugin: Detector, found: tuple[Candidates, ...]) -> None:
    assert all((candidates.scores >= plugin.min_score).all() for candidates in found)


def test_boxes_have_their_corners_in_order(plugin: Detector, found: tuple[Candidates, ...]) -> None:
    assert all((candidates.boxes[:, 2:] > candidates.boxes[:, :2]).all() for candidates in found)


def test_boxes_lie_on_the_canvas(plugin: Detector, found: tuple[Candidates, ...]) -> None:
    centres = np.concatenate([candidates.boxes.reshape(-1, 2, 2).mean(axis=1) for candidates in found])
    height, width = size_of(plugin)
    assert ((centres >= 0) & (centres <= (width, height))).all()


def test_keypoints_are_in_the_order_of_an_upright_face(plugin: Detector, found: tuple[Candidates, ...]) -> None:
    points = found[0].keypoints  # of the portrait
    if points is None:
        pytest.skip("this detector gives no keypoints")
    left_eye, right_eye, nose, left_mouth, right_mouth = points[found[0].scores.argmax()]
    assert left_eye[0] < nose[0] < right_eye[0]
    assert left_mouth[0] < right_mouth[0]
    assert max(left_eye[1], right_eye[1]) < nose[1] < min(left_mouth[1], right_mouth[1])


def test_a_batch_of_many_is_batches_of_one(
    plugin: Detector, network: Load, samples: Path, found: tuple[Candidates, ...]
) -> None:
    infer = network(plugin.weights.name)
    for canvas, candidates in zip(canvases(samples, size_of(plugin)), found, strict=True):
        (alone,) = plugin.detect(infer, canvas[None])
        np.testing.assert_array_equal(alone.boxes, candidates.boxes)
        np.testing.assert_array_equal(alone.scores, candidates.scores)
        np.testing.assert_array_equal(np.asarray(alone.keypoints), np.asarray(candidates.keypoints))


def test_preparing_leaves_the_images_as_they_are(plugin: Detector, samples: Path) -> None:
    images = canvases(samples, size_of(plugin))
    plugin.prepare(images)
    np.testing.assert_array_equal(images, canvases(samples, size_of(plugin)))
