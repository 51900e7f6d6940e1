from pathlib import Path

import cv2
import numpy as np
import pytest

import faceloom
from conftest import prepared
from faceloom.api import extract
from faceloom.faces import Face
from faceloom.geometry.affine import apply
from faceloom.geometry.chips import frame_to_chip
from faceloom.geometry.drawings import Drawing
from faceloom.models.weights import WeightCache
from jobs import exported
from plugins import picture

ndimage = pytest.importorskip("scipy.ndimage")
SIZE = 256


@pytest.fixture(autouse=True)
def weights(cache: WeightCache) -> None:
    """Skips the test where the weights cannot be had."""
    for name in ("yunet", "facemesh", "unet"):
        prepared(cache, name)


def faces_of(samples: Path, *, blur: float) -> list[Face]:
    """Those of a picture, with both masks."""
    image = picture(samples / "portrait.png")
    blurred = np.asarray(cv2.GaussianBlur(image, (0, 0), blur), np.uint8) if blur else image
    (frame,) = faceloom.stream([blurred], mask=["unet", "face"], mask_size=SIZE, min_score=0.3)
    assert frame.faces
    return list(frame.faces)


@pytest.mark.parametrize("blur", [0, 6, 12])
def test_it_is_one_piece_without_holes_that_holds_all_between_the_landmarks(samples: Path, blur: float) -> None:
    for face in faces_of(samples, blur=blur):
        assert face.landmarks is not None
        covered = face.masks["face"] >= 128
        assert ndimage.label(covered)[1] == 1
        np.testing.assert_array_equal(covered, ndimage.binary_fill_holes(covered))
        in_chip = apply(frame_to_chip(face.landmarks, size=SIZE), face.landmarks)
        assert covered[Drawing("components/1", (0.0,)).draw(in_chip, size=SIZE) >= 128].all()


def test_a_clear_face_has_nearly_the_mask_of_the_network(samples: Path) -> None:
    (face,) = faces_of(samples, blur=0)
    one, other = (face.masks[name] >= 128 for name in ("unet", "face"))
    assert (one & other).sum() / (one | other).sum() > 0.9


def test_it_is_the_same_in_any_batch_and_pass(samples: Path, tmp_path: Path) -> None:
    for name, wishes in {"one": {"passes": "together"}, "two": {"passes": "separate", "batch": {"mask": "3!"}}}.items():
        extract(samples / "crowd.jpg", tmp_path / name, size=64, mask=["face"], **wishes)  # type: ignore[arg-type]
    assert exported(tmp_path / "one") == exported(tmp_path / "two")
