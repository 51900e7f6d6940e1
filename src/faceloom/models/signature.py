"""Tells what a prepared network takes and answers: `python -m faceloom.models.signature FILE`, as JSON on stdout."""

import json
import sys
from collections.abc import Iterable

import onnx
from onnx import shape_inference

Shapes = dict[str, list[int | None]]
TRIED = "faceloom.tried"
"""Key of a file's metadata: JSON of a picture's height and width, and of the shapes that were answered to it."""


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


def read_tried(model: onnx.ModelProto) -> tuple[list[int], dict[str, list[int]]]:
    """Height and width of the picture that the network was tried on, and the shapes that it answered, as told in it."""
    told = {entry.key: entry.value for entry in model.metadata_props}
    size, answers = json.loads(told.get(TRIED, "[[0, 0], {}]"))
    return size, answers


if __name__ == "__main__":
    prepared = onnx.load(sys.argv[1])
    print(json.dumps([*read_signature(prepared), *read_tried(prepared)]))
