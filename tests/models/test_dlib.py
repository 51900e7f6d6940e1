"""dlib's own answers are the reference: computed now where it is installed, and written down once from dlib 20.0.1."""

import contextlib
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from conftest import prepared
from faceloom.engines.engine import Network
from faceloom.errors import WeightsError
from faceloom.faces import Image
from faceloom.models.catalog import CATALOG
from faceloom.models.dlib import to_onnx
from faceloom.models.weights import WeightCache
from plugins import chips

ROWS = np.arange(150)[:, None]
PATTERN: Image = np.stack(
    np.broadcast_arrays((ROWS * ROWS.T // 7) % 256, (ROWS * 3 + ROWS.T) % 256, (ROWS.T * 5 - ROWS) % 256), axis=2
).astype(np.uint8)
FIRST_NUMBERS = (-0.061474, 0.111117, 0.072263, 0.016287, -0.045894, -0.046377, -0.057590, 0.003553)
"""`face_recognition_model_v1.compute_face_descriptor(PATTERN)` of dlib 20.0.1."""
LENGTH = 1.292874


@pytest.fixture(scope="module")
def content(cache: WeightCache) -> bytes:
    prepared(cache, "dlib")
    return cache.pull(CATALOG["dlib"]).read_bytes()


def tensor(images: Image) -> "np.typing.NDArray[np.float32]":
    return images.transpose(0, 3, 1, 2).astype(np.float32)


def test_a_pattern_has_the_numbers_that_dlib_gives_it(network: Callable[[str], Network]) -> None:
    (found,) = network("dlib")({"image": tensor(PATTERN[None])})["embedding"]
    np.testing.assert_allclose(found[:8], FIRST_NUMBERS, atol=2e-6)
    assert np.linalg.norm(found) == pytest.approx(LENGTH, abs=1e-5)


def test_faces_have_the_numbers_that_dlib_gives_them(
    network: Callable[[str], Network], content: bytes, samples: Path, tmp_path: Path
) -> None:
    dlib = pytest.importorskip("dlib")
    (tmp_path / "resnet.dat").write_bytes(content)
    oracle = dlib.face_recognition_model_v1(str(tmp_path / "resnet.dat"))
    faces = chips(samples, size=150)
    theirs = [np.array(oracle.compute_face_descriptor(np.ascontiguousarray(chip))) for chip in faces]
    np.testing.assert_allclose(network("dlib")({"image": tensor(faces)})["embedding"], theirs, atol=2e-6)


@pytest.mark.parametrize("length", [0, 1, 20, 300, 350, 20_000, 9_000_000, 22_400_000])
def test_a_file_that_ends_too_early_is_refused(content: bytes, length: int) -> None:
    with pytest.raises(WeightsError, match=r"short\.dat is no face recognition network"):
        to_onnx(content[:length], name="short.dat")


@given(st.binary(max_size=200))
def test_any_other_file_is_refused(other: bytes) -> None:
    with pytest.raises(WeightsError, match="no face recognition network"):
        to_onnx(other, name="other.dat")


def test_a_damaged_header_raises_nothing_else(content: bytes) -> None:
    random = np.random.default_rng(0)
    for at in random.integers(0, 345, 30).tolist():
        damaged = bytearray(content)
        damaged[at] ^= int(random.integers(1, 256))
        with contextlib.suppress(WeightsError):
            to_onnx(bytes(damaged), name="damaged.dat")
