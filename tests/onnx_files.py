"""A small ONNX file with the traps of exported face networks."""

from collections.abc import Sequence

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper


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
