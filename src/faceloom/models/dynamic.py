"""Frees axes that an ONNX file fixes, so that one file serves every batch and image size."""

from collections.abc import Sequence

import numpy as np
import onnx
from onnx import numpy_helper

from faceloom.errors import WeightsError

AXES = ("batch", "channels", "height", "width")


def free_axes(model: onnx.ModelProto, axes: Sequence[str], *, name: str) -> onnx.ModelProto:
    """A copy of the network whose first input has the named axes free (`batch`, `height`, `width`).

    Three traps are mended on the way, each of which fails silently or noisily in exported face networks:
    weights listed among the inputs (they block constant folding and fill the log), a Reshape to
    [1, -1, ...] that folds the batch into the second axis, and recorded shapes that no longer hold.

    Raises:
        WeightsError: the network does not take one image tensor.
    """
    freed = onnx.ModelProto()
    freed.CopyFrom(model)
    graph = freed.graph
    weights = {tensor.name for tensor in graph.initializer}
    inputs = [value for value in graph.input if value.name not in weights]
    if len(inputs) != 1 or len(inputs[0].type.tensor_type.shape.dim) != len(AXES):
        raise WeightsError(f"{name}: one input (batch, channels, height, width) was expected", name=name)
    for axis, side in zip(AXES, inputs[0].type.tensor_type.shape.dim, strict=True):
        if axis in axes:
            side.dim_param = axis
    for value in [value for value in graph.input if value.name in weights]:
        graph.input.remove(value)
    del graph.value_info[:]
    for output in graph.output:
        _forget_shape(output)
    if "batch" in axes:
        _unfold_batch(graph)
    return freed


def _forget_shape(value: onnx.ValueInfoProto) -> None:
    value.type.tensor_type.ClearField("shape")


def _unfold_batch(graph: onnx.GraphProto) -> None:
    """[1, -1, ...] becomes [0, -1, ...], and 0 copies the batch from the tensor being reshaped."""
    targets = {node.input[1] for node in graph.node if node.op_type == "Reshape"}
    for tensor in graph.initializer:
        shape = numpy_helper.to_array(tensor)
        if tensor.name in targets and shape.size > 1 and shape[0] == 1:
            tensor.CopyFrom(numpy_helper.from_array(np.array([0, *shape[1:]], np.int64), tensor.name))
