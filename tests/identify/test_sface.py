"""OpenCV's own FaceRecognizerSF is the oracle, on a network of SFace's interface."""

from pathlib import Path

import cv2
import numpy as np
import pytest

from faceloom.api import stream
from faceloom.engines.runtime import ON_CPU
from faceloom.engines.start import start_engine
from faceloom.faces import Image
from faceloom.geometry.affine import fit_similarity
from faceloom.geometry.landmarks import five_keypoints
from faceloom.identify.sface import SFace
from faceloom.models.weights import WeightCache, own_file
from identify_stand_ins import write_sface
from plugins import chips, picture


@pytest.fixture(scope="module")
def stand_in(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_sface(tmp_path_factory.mktemp("sface") / "sface.onnx")


def unit(vector: "np.typing.NDArray[np.float32]") -> "np.typing.NDArray[np.float32]":
    return vector / np.linalg.norm(vector)


def by_opencv(path: Path, chip: Image) -> "np.typing.NDArray[np.float32]":
    recognizer = cv2.FaceRecognizerSF.create(str(path), "")
    return unit(np.asarray(recognizer.feature(np.ascontiguousarray(chip[..., ::-1])), np.float32)[0])


def test_a_chip_has_the_embedding_that_opencv_gives_it(stand_in: Path, cache: WeightCache, samples: Path) -> None:
    prepared = cache.prepare(own_file(stand_in, SFace.weights))
    faces = chips(samples, size=112)
    found = SFace().embed(start_engine(ON_CPU).load(prepared), faces)
    theirs = [by_opencv(stand_in, chip) for chip in faces]
    np.testing.assert_allclose(found, theirs, atol=1e-5)


def test_a_face_is_laid_as_opencv_lays_it(stand_in: Path, samples: Path) -> None:
    (frame,) = stream(samples / "portrait.png", identify="sface", weights={"identify/sface": stand_in}, mask=[])
    (face,) = frame.faces
    assert face.landmarks is not None
    assert face.embedding is not None
    points = five_keypoints(face.landmarks)
    # OpenCV calls the eye at the image's left the right one, and has it first too.
    row = np.concatenate([[0, 0, 1, 1], points.reshape(-1), [1]]).astype(np.float32)[None]
    image = picture(samples / "portrait.png")
    recognizer = cv2.FaceRecognizerSF.create(str(stand_in), "")
    chip = np.asarray(recognizer.alignCrop(np.ascontiguousarray(image[..., ::-1]), row), np.uint8)[..., ::-1]
    frame_to_chip = fit_similarity(points, SFace.template)
    ours = cv2.warpAffine(image, frame_to_chip, (112, 112), flags=cv2.INTER_LINEAR)
    assert np.abs(chip.astype(int) - ours).mean() < 1
    assert float(by_opencv(stand_in, np.ascontiguousarray(chip)) @ face.embedding) > 0.99
