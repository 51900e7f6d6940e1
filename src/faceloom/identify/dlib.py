"""dlib's face recognition network: a ResNet of 29 convolutions, 128 numbers. It needs no dlib: its file becomes ONNX.

Source: King 2017, `dlib_face_recognition_resnet_model_v1`; chips as `get_face_chip_details` of dlib's
`image_transforms/interpolation.h` lays them at 150 pixels and a padding of 0.25, from five of its points.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from faceloom.faces import Images
from faceloom.identify import Identifier
from faceloom.models.catalog import CATALOG
from faceloom.stage import Tensors
from faceloom.tensors import planes


@dataclass(frozen=True, kw_only=True)
class Dlib(Identifier):
    """Looks at chips of 150 pixels: the whole face from brow to chin."""

    weights = CATALOG["dlib"]
    input_size = 150
    # dlib's mean face: eye centres, nose tip and mouth corners of its 68 points, (0.25 + p) / 1.5 of the side.
    template = np.array(
        [[47.5492, 46.5990], [100.4761, 46.5990], [74.0127, 76.5625], [50.4149, 103.0233], [97.6104, 103.0233]],
        np.float32,
    )
    same_person = 0.91  # dlib's own distance of 0.6 between vectors of the length that its network gives, 1.41

    def prepare(self, images: Images) -> Tensors:
        return {"image": planes(images)}

    def decode(self, outputs: Tensors) -> NDArray[np.float32]:
        return np.asarray(outputs["embedding"], np.float32)
