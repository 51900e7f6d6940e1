"""YuNet against OpenCV's own class with the same weight file, at the pictures' own size."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
import pytest

import faceloom
from faceloom.errors import WeightsError
from faceloom.geometry.affine import Points
from faceloom.geometry.boxes import Boxes, Scores, iou
from faceloom.models.catalog import CATALOG
from faceloom.models.weights import WeightCache


@dataclass(frozen=True, slots=True, kw_only=True)
class Found:
    """The faces of one picture."""

    boxes: Boxes
    scores: Scores
    keypoints: Points


def ours(paths: Sequence[Path]) -> Iterator[Found]:
    for frame in faceloom.stream(paths, detect="yunet", align=None, detect_size=8192, min_score=0.6):
        yield Found(
            boxes=np.array([face.box for face in frame.faces], np.float32).reshape(-1, 4),
            scores=np.array([face.score for face in frame.faces], np.float32),
            keypoints=np.array([face.keypoints for face in frame.faces], np.float32).reshape(-1, 5, 2),
        )


def theirs(paths: Sequence[Path], weights: Path) -> Iterator[Found]:
    detector = cv2.FaceDetectorYN.create(str(weights), "", (320, 320), 0.6, 0.3, 5000)
    for path in paths:
        image = np.asarray(cv2.imread(str(path)))
        detector.setInputSize(image.shape[1::-1])
        _, faces = detector.detect(image)
        rows = np.asarray(faces, np.float32).reshape(-1, 15) if faces is not None else np.zeros((0, 15), np.float32)
        corners = np.concatenate([rows[:, :2], rows[:, :2] + rows[:, 2:4]], axis=1)
        yield Found(boxes=corners, scores=rows[:, 14], keypoints=rows[:, 4:14].reshape(-1, 5, 2))


def paired(paths: Sequence[Path], cache: WeightCache) -> list[tuple[Found, Found]]:
    """What we and OpenCV find in each picture; OpenCV's in the order of ours."""
    try:
        weights = cache.pull(CATALOG["yunet"])
    except WeightsError as error:
        pytest.skip(f"the weights cannot be had here: {error}")
    pairs = []
    for one, other in zip(ours(paths), theirs(paths, weights), strict=True):
        assert len(one.boxes) == len(other.boxes)
        order = iou(one.boxes, other.boxes).argmax(axis=1) if len(one.boxes) else np.zeros(0, np.intp)
        assert sorted(order) == list(range(len(order)))
        pairs.append(
            (one, Found(boxes=other.boxes[order], scores=other.scores[order], keypoints=other.keypoints[order]))
        )
    return pairs


@pytest.fixture(scope="module", params=["samples", "dlib_examples", "lfw_subset_krasserm"])
def pairs(request: pytest.FixtureRequest, cache: WeightCache) -> list[tuple[Found, Found]]:
    if request.param == "samples":
        folder: Path = request.getfixturevalue("samples")
        return paired([folder / "crowd.jpg", folder / "portrait.png"], cache)
    shared: Path = request.getfixturevalue("shared")
    return paired(sorted((shared / request.param).rglob("*.jpg")), cache)


def test_faces_are_those_of_opencv(pairs: list[tuple[Found, Found]]) -> None:
    overlaps = np.concatenate([np.diagonal(iou(one.boxes, other.boxes)) for one, other in pairs])
    assert overlaps.size
    assert overlaps.min() >= 0.98


def test_scores_are_those_of_opencv(pairs: list[tuple[Found, Found]]) -> None:
    for one, other in pairs:
        np.testing.assert_allclose(one.scores, other.scores, atol=0.01)


def test_keypoints_are_those_of_opencv(pairs: list[tuple[Found, Found]]) -> None:
    for one, other in pairs:
        np.testing.assert_allclose(one.keypoints, other.keypoints, atol=0.5)
