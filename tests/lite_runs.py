"""What a TensorFlow Lite file answers: converted by us, and in the original runtime."""

import numpy as np
import onnxruntime
import pytest
from numpy.typing import NDArray

from faceloom.models.convert import convert

Floats = NDArray[np.float32]


def converted(content: bytes, inputs: Floats) -> list[Floats]:
    """What the converted network answers; images are channels-last here, as in the original."""
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    model = convert(content, file="network.tflite", axes=[])
    session = onnxruntime.InferenceSession(model.SerializeToString(), options, providers=["CPUExecutionProvider"])
    values = np.ascontiguousarray(inputs.transpose(0, 3, 1, 2)) if inputs.ndim == 4 else inputs
    outputs = session.run(None, {session.get_inputs()[0].name: values})
    return [output.transpose(0, 2, 3, 1) if output.ndim == 4 else output for output in outputs]


def original(content: bytes, inputs: Floats) -> list[Floats]:
    """What the original runtime answers, one input at a time."""
    runtime = pytest.importorskip("ai_edge_litert.interpreter")
    interpreter = runtime.Interpreter(model_content=content, num_threads=1)
    interpreter.allocate_tensors()
    answers = []
    for item in inputs:
        interpreter.set_tensor(interpreter.get_input_details()[0]["index"], item[None])
        interpreter.invoke()
        answers.append([interpreter.get_tensor(detail["index"]) for detail in interpreter.get_output_details()])
    return [np.concatenate(parts) for parts in zip(*answers, strict=True)]


def noise(*shape: int, seed: int = 0) -> Floats:
    return np.random.default_rng(seed).uniform(-1, 1, shape).astype(np.float32)


def input_shape(content: bytes) -> list[int]:
    dims = convert(content, file="network.tflite", axes=[]).graph.input[0].type.tensor_type.shape.dim
    _, channels, height, width = (side.dim_value for side in dims)
    return [height, width, channels]


def assert_as_original(content: bytes, inputs: Floats) -> None:
    for ours, theirs in zip(converted(content, inputs), original(content, inputs), strict=True):
        np.testing.assert_allclose(ours, theirs, atol=1e-4 * max(1.0, float(np.abs(theirs).max())))
