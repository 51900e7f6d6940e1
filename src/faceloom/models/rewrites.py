"""Rewrites of a graph that keep its values, to float32 rounding, and take less time in ONNX Runtime.

On a CPU the runtime computes convolutions on blocks of channels, and reorders a tensor wherever an operator that does
not know that layout comes between two of them. What can be said as a convolution is therefore said as one.
"""

from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import helper, numpy_helper, shape_inference

Values = NDArray[Any]

_IMAGE_RANK = 4
_SLICE_OPSET = 10
"""From here on a Slice takes its bounds as inputs."""
_WIDEST_IDENTITY = 512
"""Channels; multiplying by the identity costs their square, copying them does not."""


def rewrite(model: onnx.ModelProto) -> onnx.ModelProto:
    """A copy of the network that answers the same in less time."""
    rewritten = onnx.ModelProto()
    rewritten.CopyFrom(model)
    for step in (_merge_heads, _prelu_by_convolution, _pad_by_convolution):
        nodes = list(step(_Network(rewritten)))
        del rewritten.graph.node[:]
        rewritten.graph.node.extend(nodes)
    _drop_unused_constants(rewritten.graph)
    return rewritten


class _Network:
    """A graph with what is known of its tensors; new constants can be stored in it."""

    def __init__(self, model: onnx.ModelProto) -> None:
        self._graph = model.graph
        self.nodes = list(model.graph.node)
        self.opset = max((entry.version for entry in model.opset_import if not entry.domain), default=0)
        self._constants = {tensor.name: tensor for tensor in model.graph.initializer}
        inferred = shape_inference.infer_shapes(model).graph
        self._shapes = {
            value.name: [side.dim_value for side in value.type.tensor_type.shape.dim]
            for value in [*inferred.input, *inferred.value_info, *inferred.output]
        }
        self._answers = {output.name for output in model.graph.output}
        self._readers: dict[str, list[onnx.NodeProto]] = defaultdict(list)
        for node in self.nodes:
            for name in node.input:
                self._readers[name].append(node)

    def constants(self, names: Sequence[str]) -> list[Values]:
        """The values of those tensors that are constant."""
        return [numpy_helper.to_array(self._constants[name]) for name in names if name in self._constants]

    def channels(self, name: str) -> int:
        """Of a tensor of images (N, C, H, W); 0 where that is not known."""
        shape = self._shapes.get(name, [])
        return shape[1] if len(shape) == _IMAGE_RANK else 0

    def only_reader(self, name: str) -> onnx.NodeProto | None:
        """The one node that reads a tensor, unless others do or the network answers it."""
        readers = self._readers[name]
        return readers[0] if len(readers) == 1 and name not in self._answers else None

    def store(self, values: Values, name: str) -> str:
        self._graph.initializer.append(numpy_helper.from_array(np.ascontiguousarray(values), name))
        return name


def _prelu_by_convolution(network: _Network) -> Iterator[onnx.NodeProto]:
    """y = x + (1 - a)·relu(-x): two depthwise convolutions of one weight a channel.

    The runtime fuses the relu into the first and the sum into the second. FaceMesh takes 3.6 ms with its own PRelu,
    1.4 with elementwise operators, 0.8 like this (measured, benchmarks/engines.py).
    """
    for node in network.nodes:
        channels = network.channels(node.input[0]) if node.op_type == "PRelu" else 0
        slopes = [slope for slope in network.constants(node.input[1:]) if slope.shape[-3:] == (channels, 1, 1)]
        if not slopes:
            yield node
            continue
        x, y, slope = node.input[0], node.output[0], slopes[0].reshape(-1)
        yield _scale(network, x, -np.ones_like(slope), f"{y}:negated")
        yield helper.make_node("Relu", [f"{y}:negated"], [f"{y}:negative"])
        yield _scale(network, f"{y}:negative", 1 - slope, f"{y}:scaled")
        yield helper.make_node("Add", [f"{y}:scaled", x], [y], name=node.name)


def _scale(network: _Network, image: str, factors: Values, output: str) -> onnx.NodeProto:
    weights = network.store(factors.reshape(-1, 1, 1, 1), f"{output}:weights")
    return helper.make_node("Conv", [image, weights], [output], group=len(factors), kernel_shape=[1, 1])


def _pad_by_convolution(network: _Network) -> Iterator[onnx.NodeProto]:
    """Channels of zeros beside those of an image: a convolution with the identity."""
    for node in network.nodes:
        padding = _channel_padding(network, node) if node.op_type == "Pad" else None
        channels = network.channels(node.input[0]) if padding else 0
        if not padding or not channels or channels + sum(padding) > _WIDEST_IDENTITY:
            yield node
            continue
        identity = np.pad(np.eye(channels, dtype=np.float32), (padding, (0, 0)))
        weights = network.store(identity[:, :, None, None], f"{node.output[0]}:identity")
        yield helper.make_node("Conv", [node.input[0], weights], node.output, name=node.name, kernel_shape=[1, 1])


def _channel_padding(network: _Network, node: onnx.NodeProto) -> tuple[int, int] | None:
    """How many channels of zeros a Pad puts before and after, if it does that and nothing else."""
    pads = network.constants(node.input[1:])
    is_of_zeros = len(node.input) == 2 and _attribute(node, "mode") in (None, b"constant")
    if not is_of_zeros or not pads or pads[0].shape != (2 * _IMAGE_RANK,):
        return None
    before, after = int(pads[0][1]), int(pads[0][1 + _IMAGE_RANK])
    is_of_channels = np.abs(pads[0]).sum() == before + after and min(before, after) >= 0
    return (before, after) if is_of_channels else None


@dataclass(frozen=True, slots=True, kw_only=True)
class _Head:
    """A convolution of an image, and the depthwise one that alone reads it."""

    image: str
    nodes: tuple[onnx.NodeProto, onnx.NodeProto]
    weights: tuple[Values, Values]
    biases: tuple[Values, Values]

    @property
    def kind(self) -> tuple[object, ...]:
        """Heads that have this in common can be one."""
        return (self.image, *map(_settings, self.nodes), *(weights.shape[1:] for weights in self.weights))


def _merge_heads(network: _Network) -> Iterator[onnx.NodeProto]:
    """Heads of the same image become one, whose channels are then told apart.

    A block costs the same however few of its 16 channels are used (8 without AVX-512): YuNet's heads of 1, 1, 4 and
    10 channels take as long as four of 16 (measured: 0.7 of its 8.5 ms).
    """
    families: dict[tuple[object, ...], list[_Head]] = defaultdict(list)
    for node in network.nodes if network.opset >= _SLICE_OPSET else ():
        head = _head(network, node)
        if head:
            families[head.kind].append(head)
    replaced: dict[str, list[onnx.NodeProto]] = {}
    for heads in families.values():
        if len(heads) > 1:
            replaced |= {node.output[0]: [] for head in heads for node in head.nodes}
            replaced[heads[0].nodes[0].output[0]] = list(_merged(network, heads))
    for node in network.nodes:
        yield from replaced.get(node.output[0], [node])


def _head(network: _Network, first: onnx.NodeProto) -> _Head | None:
    second = network.only_reader(first.output[0])
    if second is None or not first.op_type == second.op_type == "Conv":
        return None
    constants = network.constants([*first.input[1:], *second.input[1:]])
    if len(constants) != 4:
        return None
    weights, biases = (constants[0], constants[2]), (constants[1], constants[3])
    channels = len(biases[0])
    is_depthwise = weights[1].shape[:2] == (channels, 1) and _attribute(second, "group") in (channels, None)
    if _attribute(first, "group") not in (1, None) or not is_depthwise:
        return None
    return _Head(image=first.input[0], nodes=(first, second), weights=weights, biases=biases)


def _merged(network: _Network, heads: Sequence[_Head]) -> Iterator[onnx.NodeProto]:
    """One head that computes what these do, and a slice of its answer for each of them."""
    tensor = heads[0].image
    ends = np.cumsum([len(head.biases[0]) for head in heads])
    for i, group in enumerate((1, int(ends[-1]))):
        target = f"{heads[0].nodes[i].output[0]}:all"
        weights = network.store(np.concatenate([head.weights[i] for head in heads]), f"{target}:weights")
        biases = network.store(np.concatenate([head.biases[i] for head in heads]), f"{target}:biases")
        node = helper.make_node("Conv", [tensor, weights, biases], [target], name=target, group=group)
        node.attribute.extend(entry for entry in heads[0].nodes[i].attribute if entry.name != "group")
        yield node
        tensor = target
    axis = network.store(np.array([1], np.int64), f"{tensor}:axis")
    for head, end in zip(heads, ends, strict=True):
        output = head.nodes[1].output[0]
        start = network.store(np.array([end - len(head.biases[0])], np.int64), f"{output}:start")
        stop = network.store(np.array([end], np.int64), f"{output}:end")
        yield helper.make_node("Slice", [tensor, start, stop, axis], [output], name=output)


def _settings(node: onnx.NodeProto) -> tuple[bytes, ...]:
    """The attributes of a convolution, but for the number of groups."""
    entries = (entry.SerializeToString(deterministic=True) for entry in node.attribute if entry.name != "group")
    return tuple(sorted(entries))


def _attribute(node: onnx.NodeProto, name: str) -> Any:
    """The value of an attribute, None if it is left at its default."""
    return next((helper.get_attribute_value(entry) for entry in node.attribute if entry.name == name), None)


def _drop_unused_constants(graph: onnx.GraphProto) -> None:
    used = {name for node in graph.node for name in node.input} | {output.name for output in graph.output}
    kept = [tensor for tensor in graph.initializer if tensor.name in used]
    del graph.initializer[:]
    graph.initializer.extend(kept)
