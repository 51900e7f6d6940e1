"""A network's first layers, band after band of the picture, in place of layer after layer of the whole of it.

The first layers of a detector are the largest: YuNet's hold 19 MiB at 1024 x 576, all later ones 7. A row of what they
answer depends on few rows of the picture. So the picture is cut into bands that overlap by those rows, each goes
through all of these layers, and their answers are put together. Each value is computed from the same values in the same
order, so the bits are the same, in less memory, most of which stays in the processor's cache.

Source: Lin et al. 2021, "MCUNetV2: Memory-Efficient Patch-based Inference for Tiny Deep Learning", section 3.1.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Self

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

BANDS = 3
"""With more of them the rows by which they overlap take more time than the cache spares (measured, docs/design.md)."""
_ROWS = 2
"""The axis of an image (N, C, H, W) along which it is cut."""
_SLICE_OPSET = 10
"""From here on a Slice takes its bounds as inputs."""
_LAST = 2**62
_LEAST_STRIDE = 4
"""Layers that scale down by less are not worth the cutting."""
_POINTWISE = frozenset({"BatchNormalization", "Cast", "Clip", "LeakyRelu", "PRelu", "Relu", "Sigmoid"})
_WINDOWS = frozenset({"AveragePool", "Conv", "MaxPool"})


def in_bands(model: onnx.ModelProto, *, bands: int = BANDS) -> onnx.ModelProto | None:
    """A copy of the network that answers the same bits and holds less; None where there is nothing to be cut.

    Pictures that are too low to be cut go through the layers as they were.
    """
    layers = _worth_cutting(model)
    opset = max((entry.version for entry in model.opset_import if not entry.domain), default=0)
    if not layers or opset < _SLICE_OPSET:
        return None
    cut = onnx.ModelProto()
    cut.CopyFrom(model)
    read = {name for layer in layers for name in layer.node.input[1:]}
    weights = [tensor for tensor in cut.graph.initializer if tensor.name in read]
    replaced = {layer.node.output[0] for layer in layers}
    left = [node for node in cut.graph.node if node.output[0] not in replaced]
    del cut.graph.node[:]
    cut.graph.node.extend([*_cut(layers, bands, weights), *left])  # a picture's first layers are read by all others
    still_read = {name for node in left for name in node.input}
    for tensor in weights:
        if tensor.name not in still_read:
            cut.graph.initializer.remove(tensor)
    return cut


@dataclass(frozen=True, slots=True, kw_only=True)
class _Layer:
    """An operator that makes one image of another, and what it does to the rows."""

    node: onnx.NodeProto
    size: int = 1
    stride: int = 1
    pads: tuple[int, int] = (0, 0)
    """Above and below."""

    def again(self, image: str, output: str, *, is_top: bool, is_bottom: bool) -> onnx.NodeProto:
        """The same operator on a band, padded only where that ends at an edge of the picture."""
        node = onnx.NodeProto()
        node.CopyFrom(self.node)
        node.name, node.input[0], node.output[0] = output, image, output
        for entry in node.attribute:
            if entry.name == "pads":
                entry.ints[0] *= is_top
                entry.ints[2] *= is_bottom
        return node


@dataclass(frozen=True, slots=True, kw_only=True)
class _Reach:
    """Rows a to b of an answer depend on rows stride·a - above to stride·b + below of the picture."""

    stride: int = 1
    above: int = 0
    below: int = 0

    def from_before(self, layer: _Layer) -> Self:
        """The same, for the picture that a layer is given."""
        above = self.above * layer.stride + layer.pads[0]
        below = self.below * layer.stride + layer.size - layer.stride - layer.pads[0]
        return type(self)(stride=self.stride * layer.stride, above=above, below=below)


def _worth_cutting(model: onnx.ModelProto) -> list[_Layer]:
    """The layers from the picture on until it is as small as they make it."""
    layers = list(_chain(model))
    ends = [i for i, layer in enumerate(layers) if layer.stride > 1]
    if np.prod([layer.stride for layer in layers]) < _LEAST_STRIDE:
        return []
    end = ends[-1] + 1
    while end < len(layers) and layers[end].node.op_type in _POINTWISE:
        end += 1
    return layers[:end]


def _chain(model: onnx.ModelProto) -> Iterator[_Layer]:
    """Layers from the picture on, each of which alone reads what the one before it answers."""
    graph = model.graph
    constants = {tensor.name for tensor in graph.initializer}
    floats = {tensor.name for tensor in graph.initializer if tensor.data_type == TensorProto.FLOAT}
    answers = {output.name for output in graph.output}
    inputs = [value.name for value in graph.input if value.name not in constants]
    image = inputs[0] if len(inputs) == 1 else ""
    while image and image not in answers:
        readers = [node for node in graph.node if image in node.input]
        layer = _layer(readers[0], image, floats) if len(readers) == 1 else None
        if layer is None:
            return
        yield layer
        image = layer.node.output[0]


def _layer(node: onnx.NodeProto, image: str, floats: set[str]) -> _Layer | None:
    """An operator of one image and constants that can be cut, and answers float32; None if it is another."""
    told = {entry.name: helper.get_attribute_value(entry) for entry in node.attribute}
    is_of_one = node.input[0] == image and all(not name or name in floats for name in node.input[1:])
    if not is_of_one or len(node.output) != 1 or node.domain or told.get("to", TensorProto.FLOAT) != TensorProto.FLOAT:
        return None
    if node.op_type in _POINTWISE:
        return _Layer(node=node)
    sizes, strides, pads = told.get("kernel_shape", []), told.get("strides", [1, 1]), told.get("pads", [0] * 4)
    is_plain = (
        node.op_type in _WINDOWS
        and len(sizes) == len(strides) == 2
        and set(told.get("dilations", [1])) == {1}
        and told.get("auto_pad", b"NOTSET") == b"NOTSET"
        and not told.get("ceil_mode")
    )
    return _Layer(node=node, size=sizes[0], stride=strides[0], pads=(pads[0], pads[2])) if is_plain else None


class _Graph:
    """Operators as they are made, each named after what it answers."""

    def __init__(self, name: str) -> None:
        self.nodes: list[onnx.NodeProto] = []
        self._name = name

    def add(self, operator: str, inputs: Sequence[str], **attributes: Any) -> str:
        """Adds an operator, and gives the name of its answer."""
        answer = f"{self._name}:{len(self.nodes)}"
        self.nodes.append(helper.make_node(operator, inputs, [answer], name=answer, **attributes))
        return answer

    def number(self, value: int) -> str:
        return self.add("Constant", [], value=numpy_helper.from_array(np.array([value], np.int64)))

    def through(self, layers: Sequence[_Layer], image: str, *, is_top: bool = True, is_bottom: bool = True) -> str:
        """Adds layers one after the other."""
        for layer in layers:
            answer = f"{self._name}:{len(self.nodes)}"
            self.nodes.append(layer.again(image, answer, is_top=is_top, is_bottom=is_bottom))
            image = answer
        return image

    def branch(self, weights: Sequence[onnx.TensorProto]) -> onnx.GraphProto:
        """The graph as a branch, with weights of its own: only of such does the runtime make blocks of channels."""
        answer = helper.make_tensor_value_info(self.nodes[-1].output[0], TensorProto.FLOAT, None)
        branch = helper.make_graph(self.nodes, self._name, [], [answer])
        own = {tensor.name: f"{self._name}:{tensor.name}" for tensor in weights}
        for tensor in weights:
            copy = branch.initializer.add()
            copy.CopyFrom(tensor)
            copy.name = own[tensor.name]
        for node in branch.node:
            node.input[:] = [own.get(name, name) for name in node.input]
        return branch


def _cut(layers: Sequence[_Layer], bands: int, weights: Sequence[onnx.TensorProto]) -> list[onnx.NodeProto]:
    """The layers in bands, where a picture has rows enough, or else as they were."""
    image, output = layers[0].node.input[0], layers[-1].node.output[0]
    reach = _Reach()
    for layer in reversed(layers):
        reach = reach.from_before(layer)
    least_rows = bands * (max(reach.above, reach.below) + reach.stride)
    first = _Graph(f"{output}:cut")
    rows = first.add("Gather", [first.add("Shape", [image]), first.number(_ROWS)])
    times = first.add("Div", [rows, first.number(least_rows)])
    is_high = first.add("Cast", [times], to=TensorProto.BOOL)
    in_bands, whole = _Graph(f"{output}:bands"), _Graph(f"{output}:whole")
    _add_bands(in_bands, layers, reach, bands, rows=rows)
    whole.through(layers, image)
    choice = helper.make_node(
        "If",
        [is_high],
        [output],
        name=f"{output}:if",
        then_branch=in_bands.branch(weights),
        else_branch=whole.branch(weights),
    )
    return [*first.nodes, choice]


def _add_bands(graph: _Graph, layers: Sequence[_Layer], reach: _Reach, bands: int, *, rows: str) -> None:
    image, stride = layers[0].node.input[0], reach.stride
    borders = []
    for i in range(1, bands):
        part = graph.add("Div", [graph.add("Mul", [rows, graph.number(i)]), graph.number(bands * stride)])
        borders.append(graph.add("Mul", [part, graph.number(stride)]))
    starts = [graph.number(0), *(graph.add("Sub", [border, graph.number(reach.above)]) for border in borders)]
    ends = [*(graph.add("Add", [border, graph.number(reach.below)]) for border in borders), graph.number(_LAST)]
    answers = []
    for i in range(bands):
        band = graph.add("Slice", [image, starts[i], ends[i], graph.number(_ROWS)])
        answers.append(graph.through(layers, band, is_top=i == 0, is_bottom=i == bands - 1))
    graph.add("Concat", answers, axis=_ROWS)
