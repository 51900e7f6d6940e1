"""An ONNX file as a PyTorch module: the importer of the engine `torch`."""

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import torch
from google.protobuf.message import DecodeError
from onnx import numpy_helper

from faceloom.engines.torch_operators import Node, UnsupportedError, build, reads_on_host
from faceloom.errors import StageError


class OnnxGraph(torch.nn.Module):
    """The graph of an ONNX file; inputs by name in, outputs by name out.

    Its floating-point constants are buffers, which move and change type with the module; integers, which are shapes and
    the like, stay on the host. A tensor is let go of after its last use, so that calls hold no more than they need.
    """

    def __init__(self, nodes: Sequence[Node], constants: Mapping[str, torch.Tensor], outputs: Sequence[str]) -> None:
        """A graph of nodes in an order in which they can run.

        Raises:
            UnsupportedError: an operator is not among ours.
        """
        super().__init__()
        self._steps = tuple(zip(nodes, map(build, nodes), _last_uses(nodes, outputs), strict=True))
        self._outputs = tuple(outputs)
        on_device = {
            name for node in nodes for i, name in enumerate(node.inputs) if not reads_on_host(node.operator, i)
        }
        self._on_host = {
            name: tensor
            for name, tensor in constants.items()
            if name not in on_device or not tensor.is_floating_point()
        }
        self._buffer_names: dict[str, str] = {}
        for name, tensor in constants.items():
            if name not in self._on_host:
                self._buffer_names[name] = f"constant_{len(self._buffer_names)}"
                self.register_buffer(self._buffer_names[name], tensor)

    def forward(self, **inputs: torch.Tensor) -> dict[str, torch.Tensor]:
        """Runs the graph, and returns its outputs by name."""
        values: dict[str, torch.Tensor] = {**self._constants(), **inputs}
        for node, run, last_used in self._steps:
            values[node.output] = run(*(values[name] if name else None for name in node.inputs))
            for name in last_used:
                del values[name]
        return {name: values[name] for name in self._outputs}

    def _constants(self) -> dict[str, torch.Tensor]:
        buffers = dict(self.named_buffers())
        return {**self._on_host, **{name: buffers[buffer] for name, buffer in self._buffer_names.items()}}


def read_graph(path: Path) -> OnnxGraph:
    """Reads the graph of an ONNX file, on the host.

    Raises:
        StageError: it cannot be read, or has an operator that is not among ours; the message names it.
    """
    try:
        graph, opset = _parse(path)
        nodes, constants = _nodes(graph, opset), _constants(graph)
        return OnnxGraph(nodes, constants, [output.name for output in graph.output])
    except UnsupportedError as error:
        message = f"{path.name} cannot be run by the engine torch, which has no {error}; use --engine onnx"
        raise StageError(message, stage=path.stem) from error
    except (DecodeError, OSError, LookupError, TypeError, ValueError) as error:
        raise StageError(f"{path.name} is no ONNX file that can be read: {error}", stage=path.stem) from error


def _parse(path: Path) -> tuple[onnx.GraphProto, int]:
    model = onnx.load_model(path)
    opsets = [entry.version for entry in model.opset_import if entry.domain in ("", "ai.onnx")]
    if not opsets or not model.graph.node:
        raise ValueError("it has no operators")
    return model.graph, opsets[0]


def _nodes(graph: onnx.GraphProto, opset: int) -> list[Node]:
    return [_node(node, opset) for node in graph.node if node.op_type != "Constant"]


def _node(node: onnx.NodeProto, opset: int) -> Node:
    if node.domain not in ("", "ai.onnx"):
        raise UnsupportedError(f"operator {node.domain}.{node.op_type}")
    if len([name for name in node.output if name]) != 1:
        raise UnsupportedError(f"{node.op_type} with {len(node.output)} outputs")
    attributes = {attribute.name: _plain(onnx.helper.get_attribute_value(attribute)) for attribute in node.attribute}
    return Node(
        operator=node.op_type,
        inputs=tuple(node.input),
        output=node.output[0],
        attributes=attributes,
        opset=opset,
    )


def _plain(value: Any) -> Any:
    if isinstance(value, bytes):
        return value.decode()
    return list(value) if isinstance(value, Sequence) and not isinstance(value, str) else value


def _constants(graph: onnx.GraphProto) -> dict[str, torch.Tensor]:
    stored = {tensor.name: tensor for tensor in graph.initializer}
    written = {
        node.output[0]: attribute.t
        for node in graph.node
        if node.op_type == "Constant"
        for attribute in node.attribute
        if attribute.name == "value"
    }
    # A copy: what numpy_helper gives may look into the file's bytes, which may not be written to.
    return {name: torch.from_numpy(np.array(numpy_helper.to_array(t))) for name, t in {**stored, **written}.items()}


def _last_uses(nodes: Sequence[Node], outputs: Sequence[str]) -> Iterator[list[str]]:
    """For each node, the tensors that no later one reads and that are no outputs of the graph."""
    last = {name: i for i, node in enumerate(nodes) for name in (node.output, *node.inputs) if name}
    ends: list[list[str]] = [[] for _ in nodes]
    for name, i in last.items():
        if name not in outputs:
            ends[i].append(name)
    yield from ends
