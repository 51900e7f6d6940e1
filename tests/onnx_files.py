"""Small ONNX files: one with the traps of exported face networks, and any that a test makes up."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import onnx
import onnxruntime
from numpy.typing import NDArray
from onnx import TensorProto, helper, numpy_helper

Floats = NDArray[np.float32]


def head(*, inputs: Sequence[str] = ("image",)) -> onnx.ModelProto:
    """A head as exported face networks have it: 2 values a pixel, all pixels of one image in a row."""
    kernel = np.arange(2 * 3 * 9, dtype=np.float32).reshape(2, 3, 3, 3)
    nodes = [
        helper.make_node("Conv", ["image", "kernel"], ["maps"], pads=[1, 1, 1, 1]),
        helper.make_node("Transpose", ["maps"], ["pixels"], perm=[0, 2, 3, 1]),
        helper.make_node("Reshape", ["pixels", "shape"], ["out"]),
    ]
    weights = [numpy_helper.from_array(kernel, "kernel"), numpy_helper.from_array(np.array([1, -1, 2]), "shape")]
    graph = helper.make_graph(
        nodes,
        "head",
        [
            *(helper.make_tensor_value_info(name, TensorProto.FLOAT, [1, 3, 4, 5]) for name in inputs),
            helper.make_tensor_value_info("kernel", TensorProto.FLOAT, [2, 3, 3, 3]),
        ],
        [helper.make_tensor_value_info("out", TensorProto.FLOAT, [1, 20, 2])],
        weights,
        value_info=[helper.make_tensor_value_info("maps", TensorProto.FLOAT, [1, 2, 4, 5])],
    )
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 13)], ir_version=8)


def network(nodes: Sequence[onnx.NodeProto], *, channels: int, opset: int = 13, **constants: Any) -> onnx.ModelProto:
    """A network of these nodes over `image`, of so many channels; what nobody reads is what it answers."""
    read = {name for node in nodes for name in node.input}
    answers = [name for node in nodes for name in node.output if name not in read]
    graph = helper.make_graph(
        nodes,
        "network",
        [helper.make_tensor_value_info("image", TensorProto.FLOAT, ["batch", channels, 6, 5])],
        [helper.make_tensor_value_info(name, TensorProto.FLOAT, None) for name in answers],
        [numpy_helper.from_array(np.asarray(values), name) for name, values in constants.items()],
    )
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", opset)], ir_version=8)


def rewritable() -> onnx.ModelProto:
    """A network in which everything is found that is rewritten."""
    nodes = [
        *(
            node
            for i in (0, 1)
            for node in (
                helper.make_node("Conv", ["image", "weights", "bias"], [f"all{i}"]),
                helper.make_node("Conv", [f"all{i}", "kernel", "bias"], [f"head{i}"], group=2),
            )
        ),
        helper.make_node("PRelu", ["head0", "slope"], ["sloped"]),
        helper.make_node("Pad", ["sloped", "pads"], ["padded"]),
    ]
    ones = np.ones((2, 3, 1, 1), np.float32)
    pads = np.array([0, 0, 0, 0, 0, 1, 0, 0])
    bias, kernel, slope = ones[:, 0, 0, 0], ones[:, :1], -ones[:, 0, :1]
    return network(nodes, channels=3, weights=ones, bias=bias, kernel=kernel, slope=slope, pads=pads)


def session_of(model: onnx.ModelProto) -> Any:
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    options.log_severity_level = 3
    return onnxruntime.InferenceSession(model.SerializeToString(), options, providers=["CPUExecutionProvider"])


def answers(session: Any, images: Floats) -> list[Floats]:
    return [np.asarray(output) for output in session.run(None, {session.get_inputs()[0].name: images})]


def endless(*, pixels: bool = False) -> onnx.ModelProto:
    """A network that takes a picture, or its pixels, and never answers: a loop of 2^62 rounds."""
    name = "image"
    inside = ["round", "on", "value"]
    kinds = [TensorProto.INT64, TensorProto.BOOL, TensorProto.FLOAT]
    body = helper.make_graph(
        [
            helper.make_node("Identity", ["on"], ["on_again"]),
            helper.make_node("Sin", ["value"], ["next"]),
        ],
        "body",
        [helper.make_tensor_value_info(one, kind, []) for one, kind in zip(inside, kinds, strict=True)],
        [
            helper.make_tensor_value_info("on_again", TensorProto.BOOL, []),
            helper.make_tensor_value_info("next", TensorProto.FLOAT, []),
        ],
    )
    nodes = [
        helper.make_node("ReduceMean", [name], ["mean"], keepdims=0),
        helper.make_node("Loop", ["rounds", "always", "mean"], ["last"], body=body),
        helper.make_node("Add", [name, "last"], ["out"]),
    ]
    answers = helper.make_tensor_value_info("out", TensorProto.FLOAT, None)
    pictures = helper.make_tensor_value_info(name, TensorProto.FLOAT, ["batch", 3, "height", "width"])
    constants = {"rounds": np.array(2**62), "always": np.array(True)}
    weights = [numpy_helper.from_array(values, key) for key, values in constants.items()]
    if pixels:
        nodes.insert(0, helper.make_node("Cast", ["pixels"], [name], to=TensorProto.FLOAT))
        pictures = helper.make_tensor_value_info("pixels", TensorProto.UINT8, ["batch", 1, "height", "columns"])
    graph = helper.make_graph(nodes, "endless", [pictures], [answers], weights)
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 13)], ir_version=8)
