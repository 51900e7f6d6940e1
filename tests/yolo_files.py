"""Small ONNX files that answer as YOLO's face detectors do, and see a face wherever a cell of 32 pixels is white."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from onnx import TensorProto, helper, numpy_helper

STRIDES = (8, 16, 32)
HALF_PX = 40
"""Of a face's sides."""
FIVE = np.array([[-15, -20], [15, -20], [0, 0], [-12, 18], [12, 18]], np.float32)
"""Its keypoints, from its middle."""


def yolo(path: Path, *, layout: str, size: tuple[int, int], takes_many: bool = True) -> Path:
    """Writes a network that takes pictures of one size only, (N, 3, H, W) in 0..1, one at a time or many."""
    nodes = [helper.make_node("ReduceMean", ["image"], ["grey"], axes=[1] if takes_many else [0, 1], keepdims=1)]
    for stride in STRIDES:
        pool = [stride, stride]
        nodes += [
            helper.make_node("AveragePool", ["grey"], [f"mean{stride}"], kernel_shape=pool, strides=pool),
            helper.make_node("Reshape", [f"mean{stride}", "in_a_row"], [f"row{stride}"]),
        ]
    nodes += [
        helper.make_node("Concat", [f"row{stride}" for stride in STRIDES], ["bright"], axis=2),  # (N, 1, K)
        helper.make_node("Mul", ["bright", "is_large"], ["score"]),
        helper.make_node("Mul", ["score", "nothing"], ["zero"]),
        *(helper.make_node("Add", [f"{name}_known", "zero"], [name]) for name in ("box", "five", "one")),
    ]
    if layout == "yolov8":
        nodes.append(helper.make_node("Concat", ["box", "score", "five"], ["output0"], axis=1))
    else:
        nodes += [
            helper.make_node("Concat", ["box", "one", "five", "score"], ["columns"], axis=1),
            helper.make_node("Transpose", ["columns"], ["rows"], perm=[0, 2, 1]),
            helper.make_node("Mul", ["rows", "nothing"], ["others"]),
            helper.make_node("Concat", ["others", "rows", "others"], ["output0"], axis=1),
        ]
    graph = helper.make_graph(
        nodes,
        layout,
        [helper.make_tensor_value_info("image", TensorProto.FLOAT, [1, 3, *size])],
        [helper.make_tensor_value_info("output0", TensorProto.FLOAT, None)],
        [numpy_helper.from_array(value, name) for name, value in _constants(layout, size).items()],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 13)], ir_version=8)
    path.write_bytes(model.SerializeToString())
    return path


def _constants(layout: str, size: tuple[int, int]) -> dict[str, NDArray[np.generic]]:
    grids = [np.mgrid[: size[0] // stride, : size[1] // stride][::-1].reshape(2, -1) * stride for stride in STRIDES]
    middles = np.concatenate([grid + stride / 2 for grid, stride in zip(grids, STRIDES, strict=True)], axis=1)  # (2, K)
    points = middles[None] + FIVE[:, :, None]  # (5, 2, K)
    if layout == "yolov8":
        points = np.concatenate([points, np.ones_like(points[:, :1])], axis=1)
    is_large = np.repeat([0.0, 0.0, 1.0], [grid.shape[1] for grid in grids])
    return {
        "in_a_row": np.array([0, 1, -1]),
        "nothing": np.zeros(1, np.float32),
        "is_large": is_large.astype(np.float32)[None, None],
        "one_known": np.ones((1, 1, len(is_large)), np.float32),
        "box_known": np.concatenate([middles, np.full_like(middles, 2 * HALF_PX)]).astype(np.float32)[None],
        "five_known": points.reshape(1, -1, len(is_large)).astype(np.float32),
    }


def picture(size: tuple[int, int], middles: Sequence[tuple[int, int]], *, block: int = 32) -> NDArray[np.uint8]:
    """A black picture (H, W, 3) with white blocks around these middles (x, y)."""
    image = np.zeros((*size, 3), np.uint8)
    for x, y in middles:
        image[y - block // 2 : y + block // 2, x - block // 2 : x + block // 2] = 255
    return image
