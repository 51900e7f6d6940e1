"""Tells what a prepared network takes and answers: `python -m faceloom.models.signature FILE`, as JSON on stdout."""

import json
import sys
from collections.abc import Iterable

import onnx
from onnx import shape_inference

from faceloom.models.pixels import INPUT as PIXELS

Shapes = dict[str, list[int | None]]
TRIED = "faceloom.tried"
"""Key of a file's metadata: JSON of a picture's height and width, and of the shapes that were answered to it."""


def read_signature(model: onnx.ModelProto) -> tuple[Shapes, Shapes]:
    """Shapes of the inputs and of the outputs by name; None is a free axis, no axes a shape that nobody knows."""
    graph = shape_inference.infer_shapes(model).graph
    return _shapes(graph.input), _shapes(graph.output)


def _shapes(values: Iterable[onnx.ValueInfoProto]) -> Shapes:
    return {value.name: _shape(value) for value in values}


def _shape(value: onnx.ValueInfoProto) -> list[int | None]:
    """Of pixels (N, 1, H, 3·W) that of the images (N, 3, H, W) that they show."""
    kind = value.type.tensor_type
    shape = [side.dim_value if side.HasField("dim_value") else None for side in kind.shape.dim]
    if value.name == PIXELS:
        shape[1], shape[3] = 3, shape[3] and shape[3] // 3
    return shape


def read_tried(model: onnx.ModelProto) -> tuple[list[int], dict[str, list[int]]]:
    """Height and width of the picture that the network was tried on, and the shapes that it answered, as told in it."""
    told = {entry.key: entry.value for entry in model.metadata_props}
    size, answers = json.loads(told.get(TRIED, "[[0, 0], {}]"))
    return size, answers


if __name__ == "__main__":
    prepared = onnx.load(sys.argv[1])
    print(json.dumps([*read_signature(prepared), *read_tried(prepared)]))
