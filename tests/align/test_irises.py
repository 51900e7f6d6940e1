"""`--attributes iris`: where the irises are, beside landmarks that stay what they are."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import faceloom
from conftest import prepared
from faceloom.api import extract
from faceloom.errors import RequestError
from faceloom.faces import Face
from faceloom.geometry.affine import apply
from faceloom.geometry.landmarks import outer_eye_distance
from faceloom.models.weights import WeightCache
from faceloom.orders.flows import make_flow
from jobs import exported
from turned_pictures import read, turned


@pytest.fixture(autouse=True)
def weights(cache: WeightCache) -> None:
    """Skips the test where the weights cannot be had."""
    for name in ("yunet", "facemesh", "facemesh_v2"):
        prepared(cache, name)


def found(image: Any, **options: Any) -> Face:
    told = {"align": "facemesh_v2", "mask": (), "attributes": ["iris"], **options}
    (frame,) = faceloom.stream([image], **told)
    return frame.faces[0]


@pytest.mark.parametrize(
    "options", [{}, {"realign": True, "refeed": 3}, {"align": ("facemesh", "facemesh_v2"), "normalize": "mean"}]
)
def test_irises_lie_in_the_eyes_and_landmarks_stay_what_they_are(samples: Path, options: dict[str, Any]) -> None:
    face = found(samples / "portrait.png", **options)
    same = found(samples / "portrait.png", **{**options, "attributes": ()})
    assert same.irises is None
    np.testing.assert_array_equal(face.landmarks, same.landmarks)
    assert face.irises is not None
    assert face.landmarks is not None
    eye_px = float(outer_eye_distance(face.landmarks))
    for iris, eye in ((face.irises[:5], face.landmarks[36:42]), (face.irises[5:], face.landmarks[42:48])):
        middle, right, upper, left, lower = iris
        assert np.linalg.norm(middle - eye.mean(axis=0)) < 0.06 * eye_px
        assert left[0] < middle[0] < right[0]
        assert upper[1] < middle[1] < lower[1]
        assert 0.08 * eye_px < np.linalg.norm(right - left) < 0.2 * eye_px


def test_irises_turn_with_the_picture(samples: Path) -> None:
    image = read(samples / "portrait.png")
    there, around = turned(image, 180)
    face, on_its_head = found(image), found(there, rotate="auto")
    assert face.irises is not None
    assert on_its_head.irises is not None
    assert face.landmarks is not None
    apart = np.linalg.norm(on_its_head.irises[0] - apply(around, face.irises[:1])[0])
    assert apart < 0.02 * float(outer_eye_distance(face.landmarks))


def test_a_result_folder_keeps_them_and_tells_them_only_where_they_are_asked_for(samples: Path, tmp_path: Path) -> None:
    options = {"align": "facemesh_v2", "mask": "none", "size": 64}
    extract(samples / "portrait.png", tmp_path / "with", attributes=["iris"], **options)  # type: ignore[arg-type]
    extract(samples / "portrait.png", tmp_path / "without", **options)  # type: ignore[arg-type]
    (line,) = map(json.loads, exported(tmp_path / "with").splitlines())
    irises = line.pop("irises")
    (other,) = map(json.loads, exported(tmp_path / "without").splitlines())
    assert line == other
    live = found(samples / "portrait.png").irises
    assert live is not None
    np.testing.assert_allclose(irises, live, atol=1e-3)


def test_without_an_aligner_that_sees_them_they_are_refused() -> None:
    with pytest.raises(RequestError, match="--align facemesh_v2"):
        make_flow({"attributes": ["iris"]})
    with pytest.raises(RequestError, match="there is no attributes 'blendshape'"):
        make_flow({"attributes": ["blendshape"], "align": "facemesh_v2"})
    assert "irises" not in make_flow({"align": "facemesh_v2"}).describe()["align/facemesh_v2"]
