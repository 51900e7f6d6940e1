"""Tells what a prepared network takes and answers: `python -m faceloom.models.signature FILE`, as JSON on stdout."""

import json
import sys
from collections.abc import Iterable

import onnx
from onnx import shape_inference

Shapes = dict[str, list[int | None]]


def read_signature(model: onnx.ModelProto) -> tuple[Shapes, Shapes]:
    """Shapes of the inputs and of the outputs by name; None is a free axis, no axes a shape that nobody knows."""
    graph = shape_inference.infer_shapes(model).graph
    return _shapes(graph.input), _shapes(graph.output)


def _shapes(values: Iterable[onnx.ValueInfoProto]) -> Shapes:
    return {
        value.name: [
            side.dim_value if side.HasField("dim_value") else None for side in value.type.tensor_type.shape.dim
        ]
        for value in values
    }


if __name__ == "__main__":
    print(json.dumps(read_signature(onnx.load(sys.argv[1]))))
