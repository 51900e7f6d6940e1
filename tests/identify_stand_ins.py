"""Networks of the same interface as published ones, for tests where those cannot be had."""

from pathlib import Path

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper


def write_sface(path: Path, *, seed: int = 0) -> Path:
    """Takes `data` (1, 3, 112, 112) from 0 to 255, answers `fc1` (1, 128), as SFace of OpenCV's zoo does."""
    random = np.random.default_rng(seed)
    constants = {
        "mean": np.array(127.5),
        "scale": np.array(1 / 128),
        "kernel": random.normal(size=(8, 3, 16, 16)) / 16,
        "matrix": random.normal(size=(128, 8 * 49)),
        "bias": np.zeros(128),
    }
    nodes = [
        helper.make_node("Sub", ["data", "mean"], ["centred"]),
        helper.make_node("Mul", ["centred", "scale"], ["scaled"]),
        helper.make_node("Conv", ["scaled", "kernel"], ["maps"], strides=[16, 16], kernel_shape=[16, 16]),
        helper.make_node("Relu", ["maps"], ["positive"]),
        helper.make_node("Flatten", ["positive"], ["flat"]),
        helper.make_node("Gemm", ["flat", "matrix", "bias"], ["fc1"], transB=1),
    ]
    return _write(path, nodes, constants, takes={"data": [1, 3, 112, 112]}, answers={"fc1": [1, 128]})


def write_arcface(path: Path, *, shape: tuple[int | str, ...], answer: tuple[int | str, ...]) -> Path:
    """Takes `face` of this shape, answers its pixels' means, called of another shape if that is told."""
    nodes = [helper.make_node("GlobalAveragePool", ["face"], ["mean"]), helper.make_node("Flatten", ["mean"], ["out"])]
    return _write(path, nodes, {}, takes={"face": list(shape)}, answers={"out": list(answer)})


def _write(
    path: Path,
    nodes: list[onnx.NodeProto],
    constants: dict[str, "np.typing.NDArray[np.float64]"],
    *,
    takes: dict[str, list[int | str]],
    answers: dict[str, list[int | str]],
) -> Path:
    graph = helper.make_graph(
        nodes,
        "stand-in",
        [helper.make_tensor_value_info(name, TensorProto.FLOAT, shape) for name, shape in takes.items()],
        [helper.make_tensor_value_info(name, TensorProto.FLOAT, shape) for name, shape in answers.items()],
        [numpy_helper.from_array(values.astype(np.float32), name) for name, values in constants.items()],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 13)], ir_version=8)
    path.write_bytes(model.SerializeToString())
    return path
