"""A first guess at what a network costs, from its graph alone, for as long as nothing has been measured.

Imports the `onnx` package inside: about 50 MiB that stay with the process that asks.
"""

import math
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from faceloom.errors import StageError
from faceloom.memory.footprints import Footprint
from faceloom.units import MIB

if TYPE_CHECKING:
    import onnx

ACTIVATIONS_FACTOR = 3
"""A guess is so many times the activations that must live at once, since allocators and workspaces hold more."""
LOAD_SPIKE = 1.0
"""While a network is loaded, the file's copy of the weights exists beside the runtime's."""
PROCESS_BYTES = 128 * MIB
"""What a worker holds with its runtimes imported and no network loaded, rounded up (measured: 86 MiB)."""
START_S = 1.0
"""A nominal value, since no graph tells it."""
SWITCH_S = 0.05
"""A nominal value, since no graph tells it."""

OPERATIONS_S = 1e10
"""The nominal speed of one core: multiply-adds and elements written, a second."""
LOAD_BYTES_S = 100e6
"""The nominal speed of loading: bytes of weights a second."""
_ELEMENT_BYTES = 4
"""Of a tensor whose type is not known: float32, as nearly all."""
_SMALL = 1024
"""Constants of up to so many elements may be shapes, whose values inference needs."""


def guess_footprint(network: Path, input_shapes: Mapping[str, tuple[int, ...]]) -> Footprint:
    """Guesses what the network of an ONNX file needs for the one item that the shapes stand for.

    `item_bytes` is `ACTIVATIONS_FACTOR` times the most that must live at once when the nodes run in the file's order;
    `fixed_bytes` is 0. A tensor of unknown shape counts as the largest known one. Seconds are those of a nominal
    speed and good for an order of magnitude. An odd graph makes for a poor guess, never for an error.

    Args:
        network: the file; weights that it keeps in other files are counted, not read.
        input_shapes: of the graph's inputs by name, with a batch of 1; one that is not named has its free axes at 1.

    Raises:
        StageError: the file cannot be read as ONNX.
    """
    model = _load(network)
    weights_bytes = sum(_weights_bytes(graph) for graph in _graphs(model.graph))
    tensors = _tensors(model, input_shapes)
    operations = sum(_operations(node, tensors) for graph in _graphs(model.graph) for node in graph.node)
    return Footprint(
        weights_bytes=weights_bytes,
        load_spike=LOAD_SPIKE,
        load_s=weights_bytes / LOAD_BYTES_S,
        fixed_bytes=0,
        arena_fixed_bytes=0,
        arena_item_bytes=0,
        transient_bytes=0,
        item_bytes=ACTIVATIONS_FACTOR * _live_bytes(model.graph, tensors),
        batch_s={1: operations / OPERATIONS_S},
        process_bytes=PROCESS_BYTES,
        start_s=START_S,
        switch_s=SWITCH_S,
        is_measured=False,
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class _Tensors:
    """What is known of a network's tensors by name."""

    shapes: Mapping[str, tuple[int, ...]]
    element_bytes: Mapping[str, int]
    weights: Collection[str]
    """Those that take no room among the activations."""
    largest: int
    """Elements of the largest activation whose shape is known."""

    def elements(self, name: str) -> int:
        return math.prod(self.shapes[name]) if name in self.shapes else self.largest

    def activation_bytes(self, name: str) -> int:
        if not name or name in self.weights:  # an output that is left out has no name
            return 0
        return self.elements(name) * self.element_bytes.get(name, _ELEMENT_BYTES)


def _load(network: Path) -> "onnx.ModelProto":
    import onnx
    from google.protobuf.message import DecodeError

    try:
        model = onnx.load_model_from_string(network.read_bytes())
    except (OSError, DecodeError) as error:
        raise StageError(f"{network.name} cannot be read as ONNX: {error}", stage=network.stem) from error
    if not model.HasField("graph"):
        raise StageError(f"{network.name} cannot be read as ONNX: it has no graph", stage=network.stem)
    return model


def _graphs(graph: "onnx.GraphProto") -> Iterator["onnx.GraphProto"]:
    """The graph and those inside its nodes: branches, bodies of loops."""
    yield graph
    for node in graph.node:
        for inner in _inner_graphs(node):
            yield from _graphs(inner)


def _inner_graphs(node: "onnx.NodeProto") -> Iterator["onnx.GraphProto"]:
    for attribute in node.attribute:
        if attribute.HasField("g"):
            yield attribute.g
        yield from attribute.graphs


def _weights_bytes(graph: "onnx.GraphProto") -> int:
    constants = [attribute.t for node in graph.node for attribute in node.attribute if attribute.HasField("t")]
    tensors = [*graph.initializer, *constants]
    return sum(math.prod(tensor.dims) * _bytes_of_type(tensor.data_type) for tensor in tensors)


def _bytes_of_type(data_type: int) -> int:
    import onnx

    try:
        return onnx.helper.tensor_dtype_to_np_dtype(data_type).itemsize
    except (KeyError, TypeError, ValueError):  # undefined, or newer than the package
        return _ELEMENT_BYTES


def _tensors(model: "onnx.ModelProto", input_shapes: Mapping[str, tuple[int, ...]]) -> _Tensors:
    shapes = {tensor.name: tuple(tensor.dims) for graph in _graphs(model.graph) for tensor in graph.initializer}
    constants = [node for graph in _graphs(model.graph) for node in graph.node if node.op_type == "Constant"]
    weights = {*shapes, *(name for node in constants for name in node.output)}
    element_bytes = {}
    for graph in _graphs(_inferred(model, input_shapes).graph):
        for value in [*graph.input, *graph.value_info, *graph.output]:
            kind = value.type.tensor_type
            element_bytes[value.name] = _bytes_of_type(kind.elem_type)
            if kind.HasField("shape") and all(side.HasField("dim_value") for side in kind.shape.dim):
                shapes[value.name] = tuple(max(0, side.dim_value) for side in kind.shape.dim)
    largest = max((math.prod(shape) for name, shape in shapes.items() if name not in weights), default=0)
    return _Tensors(shapes=shapes, element_bytes=element_bytes, weights=weights, largest=largest)


def _inferred(model: "onnx.ModelProto", input_shapes: Mapping[str, tuple[int, ...]]) -> "onnx.ModelProto":
    """The network with the shapes of its tensors, as far as they can be found; its large weights are left out."""
    import onnx
    import onnx.shape_inference

    known = onnx.ModelProto()
    known.CopyFrom(model)
    _set_input_shapes(known.graph, input_shapes)
    _replace_large_weights(known.graph)
    try:
        return onnx.shape_inference.infer_shapes(known, data_prop=True)
    except Exception:  # the package's own classes share no base but this
        return known


def _set_input_shapes(graph: "onnx.GraphProto", input_shapes: Mapping[str, tuple[int, ...]]) -> None:
    weights = {tensor.name for tensor in graph.initializer}
    for value in graph.input:
        if value.name not in weights and value.type.HasField("tensor_type"):
            sides = value.type.tensor_type.shape.dim
            shape = input_shapes.get(value.name) or [side.dim_value or 1 for side in sides]
            del sides[:]
            for side in shape:
                sides.add().dim_value = side
    # What the file says of other tensors may hold for another input size only.
    del graph.value_info[:]
    for value in graph.output:
        value.type.tensor_type.ClearField("shape")


def _replace_large_weights(graph: "onnx.GraphProto") -> None:
    """Makes inputs of them: inference needs only their shapes, but would copy their values more than once."""
    import onnx

    listed = {value.name for value in graph.input}
    kept = []
    for tensor in graph.initializer:
        if math.prod(tensor.dims) <= _SMALL:
            kept.append(tensor)
        elif tensor.name not in listed:
            graph.input.append(onnx.helper.make_tensor_value_info(tensor.name, tensor.data_type, tensor.dims))
    small = onnx.GraphProto(initializer=kept)
    del graph.initializer[:]
    graph.initializer.extend(small.initializer)


def _live_bytes(graph: "onnx.GraphProto", tensors: _Tensors) -> int:
    """The most that activations take at once; inputs and outputs of the graph stay to the end."""
    last_use = {name: i for i, node in enumerate(graph.node) for name in _reads(node)}
    staying = {value.name for value in [*graph.input, *graph.output]}
    live = {value.name: tensors.activation_bytes(value.name) for value in graph.input}
    most = sum(live.values())
    for i, node in enumerate(graph.node):
        live |= {name: tensors.activation_bytes(name) for name in node.output}
        inside = max((_live_bytes(inner, tensors) for inner in _inner_graphs(node)), default=0)
        most = max(most, sum(live.values()) + inside)
        for name in {*_reads(node), *node.output} - staying:
            if last_use.get(name, i) <= i:
                live.pop(name, None)
    return most


def _reads(node: "onnx.NodeProto") -> Iterator[str]:
    """Names of all tensors that a node, or a graph inside of it, takes."""
    yield from node.input
    for inner in _inner_graphs(node):
        yield from (value.name for value in inner.output)
        for inner_node in inner.node:
            yield from _reads(inner_node)


def _operations(node: "onnx.NodeProto", tensors: _Tensors) -> int:
    """Multiply-adds of what costs most, and elements written of everything."""
    written = sum(tensors.elements(name) for name in node.output if name)
    first, second = [tensors.shapes.get(name, ()) for name in [*node.input, "", ""][:2]]
    match node.op_type:
        case "Conv":
            return written * math.prod(second[1:])
        case "ConvTranspose":
            return math.prod(first) * math.prod(second[1:])
        case "Gemm" | "MatMul":
            return written * math.prod(first[-1:])
        case "Constant":
            return 0
        case _:
            return written
