"""A network that takes pixels as they lie in memory, in place of planes of floats.

A convolution over three planes is one over rows in which the three values of each pixel stand side by side: three times
as wide, in steps of three times as many columns. So nobody makes planes, and what goes in is a quarter as large.
"""

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

ORDERS = {"rgb": (0, 1, 2), "bgr": (2, 1, 0)}
"""The planes that a network takes, as channels of RGB, by their name."""
INPUT = "pixels"
"""The name of the one input, (N, 1, H, 3·W) uint8."""


def take_pixels(model: onnx.ModelProto, order: str) -> onnx.ModelProto:
    """A copy of a network of planes (N, 3, H, W) with values of 0 to 255 that takes RGB pixels (N, 1, H, 3·W).

    It answers the same but for the rounding of float32: the first layer adds in another order.

    Raises:
        ValueError: its first layer is something else than a convolution with weights of its own.
    """
    taking = onnx.ModelProto()
    taking.CopyFrom(model)
    graph = taking.graph
    weights = {tensor.name: tensor for tensor in graph.initializer}
    (planes,) = [value for value in graph.input if value.name not in weights]
    readers = [node for node in graph.node if planes.name in node.input]
    if len(readers) != 1 or not _is_plain(readers[0], planes.name) or readers[0].input[1] not in weights:
        raise ValueError("its first layer is no convolution that can take pixels")
    (first,) = readers
    kernel = numpy_helper.to_array(weights[first.input[1]])[:, list(ORDERS[order])]  # (out, 3, height, width)
    interleaved = kernel.transpose(0, 2, 3, 1).reshape(len(kernel), 1, kernel.shape[2], -1)
    graph.initializer.append(numpy_helper.from_array(np.ascontiguousarray(interleaved), f"{INPUT}:weights"))
    _widen(first, interleaved.shape[2:])
    first.input[0], first.input[1] = f"{INPUT}:floats", f"{INPUT}:weights"
    graph.node.insert(0, helper.make_node("Cast", [INPUT], [f"{INPUT}:floats"], name=INPUT, to=TensorProto.FLOAT))
    _declare(planes)
    _drop(graph, weights)
    return taking


def _is_plain(node: onnx.NodeProto, image: str) -> bool:
    told = {entry.name: helper.get_attribute_value(entry) for entry in node.attribute}
    return (
        node.op_type == "Conv"
        and node.input[0] == image
        and told.get("group", 1) == 1
        and set(told.get("dilations", [1])) == {1}
        and told.get("auto_pad", b"NOTSET") == b"NOTSET"
    )


def _widen(node: onnx.NodeProto, kernel_shape: tuple[int, ...]) -> None:
    """Makes a convolution step and pad by pixels of three columns."""
    told = {entry.name: list(helper.get_attribute_value(entry)) for entry in node.attribute if entry.ints}
    (down, across), (above, left, below, right) = told.get("strides", [1, 1]), told.get("pads", [0] * 4)
    kept = [entry for entry in node.attribute if entry.name not in {"kernel_shape", "strides", "pads"}]
    del node.attribute[:]
    node.attribute.extend(kept)
    settings = {
        "kernel_shape": kernel_shape,
        "strides": (down, 3 * across),
        "pads": (above, 3 * left, below, 3 * right),
    }
    node.attribute.extend(helper.make_attribute(name, values) for name, values in settings.items())


def _declare(value: onnx.ValueInfoProto) -> None:
    value.name = INPUT
    kind = value.type.tensor_type
    kind.elem_type = TensorProto.UINT8
    channels, width = kind.shape.dim[1], kind.shape.dim[3]
    channels.dim_value = 1
    if width.HasField("dim_value"):
        width.dim_value *= 3


def _drop(graph: onnx.GraphProto, weights: dict[str, onnx.TensorProto]) -> None:
    """Removes the constants that no layer reads any more, and shapes that were known before."""
    read = {name for node in graph.node for name in node.input}
    for name, tensor in weights.items():
        if name not in read:
            graph.initializer.remove(tensor)
    del graph.value_info[:]
