import onnx
import pytest
from hypothesis import given
from hypothesis import strategies as st

from faceloom.errors import WeightsError
from faceloom.models.convert import convert
from onnx_files import head, rewritable


def convert_or_refuse(content: bytes) -> onnx.ModelProto | None:
    """The network, or nothing if it is refused as it should be; any other error goes through."""
    try:
        return convert(content, file="network.onnx", axes=["batch"])
    except WeightsError:
        return None


@given(st.binary(max_size=200))
def test_garbage_is_refused(content: bytes) -> None:
    assert convert_or_refuse(content) is None


def test_a_file_of_another_kind_is_refused() -> None:
    with pytest.raises(WeightsError):
        convert(head().SerializeToString(), file="network.tflite", axes=[])


@pytest.mark.parametrize("model", [head(), rewritable()], ids=["head", "rewritable"])
def test_an_onnx_file_that_ends_early_breaks_nothing(model: onnx.ModelProto) -> None:
    content = model.SerializeToString()
    for length in range(len(content)):
        convert_or_refuse(content[:length])


@pytest.mark.parametrize("model", [head(), rewritable()], ids=["head", "rewritable"])
@pytest.mark.parametrize("value", [0, 1, 127, 128, 255])
def test_a_damaged_byte_of_an_onnx_file_breaks_nothing(model: onnx.ModelProto, value: int) -> None:
    content = model.SerializeToString()
    for i in range(len(content)):
        convert_or_refuse(content[:i] + bytes([value]) + content[i + 1 :])
