from collections.abc import Callable, Sequence
from pathlib import Path

import cv2
import numpy as np
import pytest

import faceloom
from faceloom.engines.engine import Network
from faceloom.faces import Face, Image
from ground_truth import lfpw

Load = Callable[[str], Network]


def read(path: Path) -> Image:
    return np.asarray(cv2.imread(str(path), cv2.IMREAD_COLOR_RGB), np.uint8)


def largest(images: Sequence[Image]) -> list[Face]:
    """The largest face of each."""
    frames = faceloom.stream(images, mask=(), detect_size=4096)
    return [max(frame.faces, key=lambda face: face.box[3] - face.box[1]) for frame in frames]


@pytest.fixture(scope="module")
def pictures(shared: Path) -> list[Image]:
    return [read(item.path) for item in lfpw(shared)]


@pytest.fixture(scope="module")
def faces(pictures: list[Image]) -> list[Face]:
    return largest(pictures)


def test_a_mirrored_picture_looks_and_tilts_the_other_way(pictures: list[Image], faces: list[Face]) -> None:
    for face, mirrored in zip(faces, largest([image[:, ::-1].copy() for image in pictures]), strict=True):
        assert face.pose is not None
        assert mirrored.pose is not None
        np.testing.assert_allclose(mirrored.pose, np.multiply(face.pose, (1, -1, -1)), atol=4)


def test_a_turned_picture_adds_to_roll(pictures: list[Image], faces: list[Face]) -> None:
    turned = []
    for image in pictures:
        height, width = image.shape[:2]
        turn = cv2.getRotationMatrix2D((width / 2, height / 2), -20, 1)  # counts against the clock
        turned.append(np.asarray(cv2.warpAffine(image, turn, (width, height), borderMode=cv2.BORDER_REFLECT), np.uint8))
    for face, other in zip(faces, largest(turned), strict=True):
        assert face.pose is not None
        assert other.pose is not None
        np.testing.assert_allclose(other.pose, np.add(face.pose, (0, 0, 20)), atol=4)


def test_each_blur_of_a_picture_is_less_sharp(pictures: list[Image], faces: list[Face]) -> None:
    for strength in (1, 2, 4):
        blurs = [np.asarray(cv2.GaussianBlur(image, (0, 0), strength), np.uint8) for image in pictures]
        blurred = largest(blurs)
        assert all((one.sharpness or 0) > (other.sharpness or 0) for one, other in zip(faces, blurred, strict=True))
        faces = blurred


def test_two_aligners_see_much_the_same_pose(pictures: list[Image], faces: list[Face], network: Load) -> None:
    network("pfld")  # or the test is skipped
    frames = faceloom.stream(pictures, mask=(), detect_size=4096, align="pfld")
    others = [max(frame.faces, key=lambda face: face.box[3] - face.box[1]) for frame in frames]
    poses, other_poses = (np.array([one.pose for one in found]) for found in (faces, others))
    assert (np.abs(poses - other_poses).mean(axis=0) < [6, 4, 2]).all()


def test_a_face_without_landmarks_has_neither(pictures: list[Image]) -> None:
    (frame,) = faceloom.stream(pictures[:1], align=None)
    assert frame.faces
    assert all(face.pose is None and face.sharpness is None for face in frame.faces)
