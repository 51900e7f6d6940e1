"""MediaPipe's bundle of a face landmarker (`.task`, a zip) as one ONNX network: the mesh, and its blendshapes.

Source: MediaPipe's graph of blendshapes, face_blendshapes_graph.cc (Apache-2.0), for which of the 478 points the second
network is given, and in which order. It takes them in pixels, and levels out where they lie and how large they are.
"""

import io
import zipfile

import numpy as np
import onnx
import onnx.compose
from onnx import helper, numpy_helper

from faceloom.errors import WeightsError
from faceloom.models import tflite

MESH, BLENDSHAPES = "face_landmarks_detector.tflite", "face_blendshapes.tflite"
POINTS = 478
OUTPUT = "blendshapes"
# fmt: off
GIVEN = (
    0, 1, 4, 5, 6, 7, 8, 10, 13, 14, 17, 21, 33, 37, 39, 40, 46, 52, 53, 54, 55, 58, 61, 63, 65, 66, 67, 70,
    78, 80, 81, 82, 84, 87, 88, 91, 93, 95, 103, 105, 107, 109, 127, 132, 133, 136, 144, 145, 146, 148, 149,
    150, 152, 153, 154, 155, 157, 158, 159, 160, 161, 162, 163, 168, 172, 173, 176, 178, 181, 185, 191, 195,
    197, 234, 246, 249, 251, 263, 267, 269, 270, 276, 282, 283, 284, 285, 288, 291, 293, 295, 296, 297, 300,
    308, 310, 311, 312, 314, 317, 318, 321, 323, 324, 332, 334, 336, 338, 356, 361, 362, 365, 373, 374, 375,
    377, 378, 379, 380, 381, 382, 384, 385, 386, 387, 388, 389, 390, 397, 398, 400, 402, 405, 409, 415, 454,
    466, 468, 469, 470, 471, 472, 473, 474, 475, 476, 477,
)
# fmt: on
"""The points of the mesh that the second network is given."""


def to_onnx(content: bytes, *, name: str) -> onnx.ModelProto:
    """The mesh's network with another output, `blendshapes`; `name` is for error messages.

    Raises:
        WeightsError: no such bundle, or one of its networks cannot be converted.
    """
    try:
        with zipfile.ZipFile(io.BytesIO(content)) as bundle:
            mesh, second = (tflite.to_onnx(bundle.read(member), name=member) for member in (MESH, BLENDSHAPES))
    except (zipfile.BadZipFile, KeyError, NotImplementedError, EOFError, OSError) as error:
        raise WeightsError(f"{name} is no bundle of a face landmarker: {error}", name=name) from error
    return _joined(mesh, onnx.compose.add_prefix(second, "blendshapes/"))


def _joined(mesh: onnx.ModelProto, second: onnx.ModelProto) -> onnx.ModelProto:
    """Both networks, the second given points of what the first answers first."""
    (given,), (told,) = second.graph.input, second.graph.output
    points = mesh.graph.output[0].name
    constants = {
        "points/shape": np.array([0, POINTS, 3], np.int64),
        "points/given": np.array(GIVEN, np.int64),
        "points/starts": np.array([0], np.int64),
        "points/ends": np.array([2], np.int64),
        "points/axes": np.array([2], np.int64),
    }
    between = [
        helper.make_node("Reshape", [points, "points/shape"], ["points/all"]),
        helper.make_node("Gather", ["points/all", "points/given"], ["points/some"], axis=1),
        helper.make_node("Slice", ["points/some", "points/starts", "points/ends", "points/axes"], [given.name]),
        helper.make_node("Identity", [told.name], [OUTPUT]),
    ]
    output = helper.make_tensor_value_info(OUTPUT, onnx.TensorProto.FLOAT, ["batch", 52])
    graph = helper.make_graph(
        [*mesh.graph.node, *between[:3], *second.graph.node, between[3]],
        "landmarker",
        mesh.graph.input,
        [*mesh.graph.output, output],
        [
            *mesh.graph.initializer,
            *second.graph.initializer,
            *(numpy_helper.from_array(values, name) for name, values in constants.items()),
        ],
    )
    model = helper.make_model(
        graph, opset_imports=mesh.opset_import, ir_version=mesh.ir_version, producer_name=mesh.producer_name
    )
    onnx.checker.check_model(model, full_check=True)
    return model
