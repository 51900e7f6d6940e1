import numpy as np
import onnx
import pytest
from hypothesis import given
from hypothesis import strategies as st

from faceloom.errors import WeightsError
from faceloom.models.catalog import CATALOG
from faceloom.models.tflite import to_onnx
from faceloom.models.weights import WeightCache
from lite_files import one_operator
from lite_runs import assert_as_original, converted, input_shape, noise

NETWORKS = (
    "face_landmark.tflite",
    "face_landmarks_detector.tflite",
    "face_unet_fp32.tflite",
    "face_detection_short_range.tflite",
    "face_detection_full_range.tflite",
    "face_detection_back.tflite",
    "iris_landmark.tflite",
)


def content_of(cache: WeightCache, file: str) -> bytes:
    """A weight file of the catalog, or one that lies in a mirror; the test is skipped where it cannot be had."""
    entry = next((entry for entry in CATALOG.values() if entry.file == file), None)
    try:
        path = cache.pull(entry) if entry else None
    except WeightsError as error:
        pytest.skip(f"the weights cannot be had here: {error}")
    paths = [path] if path else [mirror / file for mirror in cache.mirrors if (mirror / file).is_file()]
    if not paths:
        pytest.skip(f"{file} is in no folder of FACELOOM_WEIGHTS")
    return paths[0].read_bytes()


@pytest.mark.parametrize("file", NETWORKS)
def test_a_converted_network_answers_as_the_original(cache: WeightCache, file: str) -> None:
    content = content_of(cache, file)
    assert_as_original(content, np.abs(noise(2, *input_shape(content))))


@pytest.mark.parametrize("file", NETWORKS)
def test_a_batch_is_bit_for_bit_its_items_one_by_one(cache: WeightCache, file: str) -> None:
    content = content_of(cache, file)
    images = np.abs(noise(3, *input_shape(content)))
    singles = [converted(content, image[None]) for image in images]
    for whole, parts in zip(converted(content, images), zip(*singles, strict=True), strict=True):
        np.testing.assert_array_equal(whole, np.concatenate(parts))


def test_an_unknown_operator_is_named(cache: WeightCache) -> None:
    with pytest.raises(WeightsError, match="TANH"):
        to_onnx(one_operator("TANH", [1, 2, 2, 1], [1, 2, 2, 1]), name="network")


def test_the_operator_of_sparse_weights_is_named(cache: WeightCache) -> None:
    with pytest.raises(WeightsError, match="DENSIFY"):
        to_onnx(content_of(cache, "face_detection_full_range_sparse.tflite"), name="network")


def small_file() -> bytes:
    """A convolution with a fused activation, whose every byte can be damaged in turn."""
    return one_operator(
        "CONV_2D", [1, 6, 5, 2], [1, 3, 3, 3], noise(3, 3, 3, 2), noise(3),
        kind="Conv2DOptions", StrideH=2, StrideW=2, DilationHFactor=1, DilationWFactor=1, FusedActivationFunction=1,
    )  # fmt: skip


def convert_or_refuse(content: bytes) -> onnx.ModelProto | None:
    """The network, or nothing if it is refused as it should be; any other error goes through."""
    try:
        return to_onnx(content, name="network")
    except WeightsError:
        return None


@given(st.binary(max_size=200))
def test_garbage_is_refused(content: bytes) -> None:
    with pytest.raises(WeightsError):
        to_onnx(content[:4] + b"TFL3" + content[4:], name="network")


def test_a_file_that_ends_early_is_refused_or_converted_but_breaks_nothing() -> None:
    content = small_file()
    for length in range(len(content)):
        convert_or_refuse(content[:length])


@pytest.mark.parametrize("value", [0, 1, 127, 128, 255])
def test_a_damaged_byte_anywhere_breaks_nothing(value: int) -> None:
    content = small_file()
    for i in range(len(content)):
        convert_or_refuse(content[:i] + bytes([value]) + content[i + 1 :])


@given(st.data())
def test_damage_to_a_real_file_breaks_nothing(cache: WeightCache, data: st.DataObject) -> None:
    content = bytearray(content_of(cache, "face_landmark.tflite"))
    # The tables of the graph are at the end; what stands before them is weights.
    # Nothing here may name the content: Hypothesis keeps strategies, and each would keep a megabyte.
    backs = st.lists(st.integers(1, 60_001), min_size=1, max_size=8)
    for back in data.draw(backs):
        content[-back] = data.draw(st.integers(0, 255))
    convert_or_refuse(bytes(content))
