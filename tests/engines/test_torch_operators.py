"""Each operator against ONNX Runtime, on graphs of one node."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
from numpy.typing import NDArray
from onnx import helper, numpy_helper

from faceloom.choices import EngineName
from faceloom.engines.onnx import OnnxEngine
from faceloom.engines.runtime import Runtime
from faceloom.engines.start import start_engine
from faceloom.errors import StageError

pytest.importorskip("torch", reason="PyTorch is not installed")


Array = NDArray[Any]
RUNTIME = Runtime(engine=EngineName.TORCH)
NOISE = np.random.default_rng(3)


def floats(*shape: int) -> Array:
    return np.asarray(NOISE.standard_normal(shape), np.float32)


def integers(*values: int) -> Array:
    return np.array(values, np.int64)


def saved(folder: Path, operator: str, *others: Array | None, opset: int = 13, **attributes: Any) -> Path:
    """A network of one node, whose first input is `x` and whose others are constants."""
    names = [f"c{i}" if other is not None else "" for i, other in enumerate(others)]
    node = helper.make_node(operator, ["x", *names], ["y"], **attributes)
    constants = [numpy_helper.from_array(c, n) for c, n in zip(others, names, strict=True) if c is not None]
    x = helper.make_tensor_value_info("x", onnx.TensorProto.FLOAT, None)
    kind = onnx.TensorProto.INT64 if operator in {"Cast", "Shape"} else onnx.TensorProto.FLOAT
    graph = helper.make_graph([node], "one", [x], [helper.make_tensor_value_info("y", kind, None)], constants)
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", opset)], ir_version=8)
    path = folder / "one.onnx"
    path.write_bytes(model.SerializeToString())
    return path


def answers(path: Path, inputs: Mapping[str, Array]) -> tuple[Array, Array]:
    """What PyTorch and ONNX Runtime answer."""
    ours, theirs = (engine.load(path)(inputs)["y"] for engine in (start_engine(RUNTIME), OnnxEngine()))
    return ours, theirs


IMAGE = floats(2, 4, 11, 13)
DOUBLE = np.array([1, 1, 2, 2], np.float32)
WINDOW = {"kernel_shape": [3, 3], "strides": [2, 2]}
CASES: list[tuple[str, Array, list[Array | None], dict[str, Any]]] = [
    ("Conv", IMAGE, [floats(6, 4, 3, 3), floats(6)], {**WINDOW, "pads": [0, 0, 1, 1]}),
    ("Conv", IMAGE, [floats(6, 4, 3, 3)], {**WINDOW, "pads": [0, 2, 1, 2], "dilations": [2, 1]}),
    ("Conv", IMAGE, [floats(8, 2, 3, 5)], {"kernel_shape": [3, 5], "group": 2, "pads": [1, 2, 1, 2]}),
    ("Conv", floats(2, 4, 9), [floats(3, 4, 3)], {"kernel_shape": [3], "pads": [2, 1]}),
    ("ConvTranspose", IMAGE, [floats(4, 5, 2, 2)], {"kernel_shape": [2, 2], "strides": [2, 2]}),
    (
        "ConvTranspose",
        IMAGE,
        [floats(4, 5, 3, 3), floats(5)],
        {**WINDOW, "pads": [1, 1, 1, 1], "output_padding": [1, 1]},
    ),
    ("MaxPool", IMAGE, [], {**WINDOW, "pads": [0, 0, 1, 1]}),
    ("MaxPool", -np.abs(IMAGE), [], {**WINDOW, "pads": [2, 1, 0, 1]}),
    ("MaxPool", IMAGE, [], {"kernel_shape": [2, 3], "dilations": [2, 2]}),
    ("AveragePool", IMAGE, [], {**WINDOW, "pads": [1, 1, 1, 1]}),
    ("AveragePool", IMAGE, [], {**WINDOW, "pads": [1, 1, 1, 1], "count_include_pad": 1}),
    ("AveragePool", IMAGE, [], {"kernel_shape": [2, 2], "strides": [2, 2], "ceil_mode": 1}),
    ("GlobalAveragePool", IMAGE, [], {}),
    ("Flatten", IMAGE, [], {}),
    ("Flatten", IMAGE, [], {"axis": 2}),
    ("BatchNormalization", IMAGE, [floats(4), floats(4), floats(4), np.abs(floats(4))], {"epsilon": 1e-3}),
    ("Gemm", floats(3, 5), [floats(7, 5), floats(7)], {"transB": 1, "alpha": 0.5, "beta": 2.0}),
    ("Gemm", floats(5, 3), [floats(5, 7)], {"transA": 1}),
    ("Relu", IMAGE, [], {}),
    ("LeakyRelu", IMAGE, [], {"alpha": 0.3}),
    ("LeakyRelu", IMAGE, [], {}),
    ("PRelu", IMAGE, [floats(4, 1, 1)], {}),
    ("PRelu", IMAGE, [floats(1)], {}),
    ("PRelu", IMAGE, [floats(13)], {}),
    ("PRelu", floats(2, 4, 4, 4), [floats(4, 1, 1)], {}),
    ("PRelu", floats(2, 4, 4, 4), [floats(4)], {}),
    ("Sigmoid", IMAGE, [], {}),
    ("Exp", IMAGE, [], {}),
    ("Softmax", IMAGE, [], {"axis": 1}),
    ("Softmax", IMAGE, [], {}),
    ("Add", IMAGE, [floats(4, 1, 1)], {}),
    ("Sub", IMAGE, [floats(4, 1, 1)], {}),
    ("Mul", IMAGE, [floats(4, 1, 1)], {}),
    ("Div", IMAGE, [floats(4, 1, 1)], {}),
    ("Resize", IMAGE, [None, DOUBLE], {"mode": "linear", "coordinate_transformation_mode": "half_pixel"}),
    (
        "Resize",
        IMAGE,
        [None, None, integers(2, 4, 22, 39)],
        {"mode": "nearest", "coordinate_transformation_mode": "asymmetric", "nearest_mode": "floor"},
    ),
    (
        "Resize",
        IMAGE,
        [None, None, integers(2, 4, 5, 40)],
        {"mode": "linear", "coordinate_transformation_mode": "align_corners"},
    ),
    ("Concat", IMAGE, [floats(2, 1, 11, 13), floats(2, 3, 11, 13)], {"axis": 1}),
    ("Slice", IMAGE, [integers(1, -3), integers(2**63 - 1, -1), integers(2, 3)], {}),
    ("Slice", IMAGE, [integers(0), integers(9), integers(-1), integers(2)], {}),
    ("Reshape", IMAGE, [integers(0, -1, 13)], {}),
    ("Transpose", IMAGE, [], {"perm": [0, 2, 3, 1]}),
    ("Transpose", IMAGE, [], {}),
    ("Unsqueeze", IMAGE, [integers(0, -1)], {}),
    ("Gather", IMAGE, [integers(2, -1)], {"axis": 2}),
    ("Gather", IMAGE, [np.array(1)], {"axis": 1}),
    ("Pad", IMAGE, [integers(0, 0, 1, 2, 0, 3, 0, 1)], {"mode": "constant"}),
    ("Pad", IMAGE, [integers(0, 0, 1, 2, 0, 3, 0, 1), np.array(-2.5, np.float32)], {}),
    ("Cast", 3 * IMAGE, [], {"to": onnx.TensorProto.INT64}),
    ("Shape", IMAGE, [], {}),
]


@pytest.mark.parametrize(("operator", "x", "others", "attributes"), CASES, ids=[case[0] for case in CASES])
def test_an_operator_answers_what_onnxruntime_answers(
    tmp_path: Path, operator: str, x: Array, others: list[Array | None], attributes: dict[str, Any]
) -> None:
    ours, theirs = answers(saved(tmp_path, operator, *others, **attributes), {"x": x})
    assert ours.shape == theirs.shape
    np.testing.assert_allclose(ours, theirs, rtol=1e-5, atol=1e-5)


OLDER: list[tuple[str, list[Array], dict[str, Any]]] = [
    ("Softmax", [], {"axis": 2}),
    ("Softmax", [], {}),
    ("Slice", [], {"axes": [2, 3], "starts": [0, -4], "ends": [9, 2**63 - 1]}),
    ("Pad", [], {"pads": [0, 0, 1, 2, 0, 3, 0, 1], "value": 1.5}),
    ("Unsqueeze", [], {"axes": [0, 3]}),
]


@pytest.mark.parametrize(("operator", "others", "attributes"), OLDER, ids=[case[0] for case in OLDER])
def test_an_operator_of_set_9_means_what_it_meant_then(
    tmp_path: Path, operator: str, others: list[Array], attributes: dict[str, Any]
) -> None:
    ours, theirs = answers(saved(tmp_path, operator, *others, opset=9, **attributes), {"x": IMAGE})
    assert ours.shape == theirs.shape
    np.testing.assert_allclose(ours, theirs, rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize(
    ("operator", "others", "attributes", "words"),
    [
        ("Softplus", [], {}, "operator Softplus"),
        ("Conv", [floats(6, 4, 3, 3)], {"kernel_shape": [3, 3], "auto_pad": "SAME_UPPER"}, "auto_pad='SAME_UPPER'"),
        ("MaxPool", [], {**WINDOW, "ceil_mode": 1}, "ceil_mode=1"),
        ("Resize", [None, DOUBLE], {"mode": "cubic"}, "mode='cubic'"),
        ("Pad", [integers(*[1] * 8)], {"mode": "reflect"}, "mode='reflect'"),
        ("Cast", [], {"to": onnx.TensorProto.STRING}, "number 8"),
    ],
)
def test_what_is_not_among_our_operators_is_refused_by_name(
    tmp_path: Path, operator: str, others: list[Array | None], attributes: dict[str, Any], words: str
) -> None:
    path = saved(tmp_path, operator, *others, **attributes)
    with pytest.raises(StageError, match=words) as caught:
        start_engine(RUNTIME).load(path)
    assert caught.value.stage == "one"
    assert "--engine onnx" in str(caught.value)
