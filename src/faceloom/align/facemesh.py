"""MediaPipe FaceMesh: 468 points, of which, or between which, the 68 lie.

Source: Kartynnik et al. 2019, arXiv 1907.06724, "Real-time Facial Surface Geometry from Monocular Video on
Mobile GPUs".
"""

from dataclasses import dataclass

import numpy as np

from faceloom.align import Aligner, Alignment, Square
from faceloom.faces import Images
from faceloom.geometry.affine import Points
from faceloom.geometry.five import FiveSquare
from faceloom.geometry.landmarks import extent, from_mesh
from faceloom.models.catalog import CATALOG
from faceloom.stage import Tensors
from faceloom.tensors import planes, sigmoid


@dataclass(frozen=True, kw_only=True)
class FaceMesh(Aligner):
    """Looks at the square that five keypoints tell.

    Where there are none, or none that are plausible, it looks twice: at the detector's box, then at the square around
    what it found there.
    """

    weights = CATALOG["facemesh"]
    input_size = 192
    # MediaPipe's 1.5 belongs to the box of its own detector; YuNet's is taller (docs/accuracy.md).
    first_square = Square(scale=1.3, turned=True)
    second_square = Square(scale=1.5, turned=True)
    # Made by tools/fit_five_square.py from 540 faces.
    five_square = FiveSquare(
        (
            (0.000, -0.049, 2.554),
            (0.306, 0.049, 0.323),
            (0.306, -0.049, -0.323),
            (-1.207, 0.000, 0.000),
            (0.297, -0.084, 0.317),
            (0.297, 0.084, -0.317),
            (0.012, 0.046, -0.334),
            (-0.012, 0.046, -0.334),
            (0.000, -0.135, 0.181),
            (-0.011, 0.022, 0.244),
            (0.011, 0.022, 0.244),
        )
    )

    joins_answers = True

    def prepare(self, images: Images) -> Tensors:
        return {"input_1": planes(images, scale=1 / 255)}

    def decode(self, outputs: Tensors) -> Alignment:
        points = mesh_points(outputs)
        confidence = sigmoid(outputs["conv2d_30"].reshape(-1))
        return Alignment(landmarks=from_mesh(points), confidence=confidence, extent=extent(points))


def mesh_points(outputs: Tensors) -> Points:
    """(N, 468, 2) chip pixels; the depth that comes with each point is left out."""
    return outputs["conv2d_20"].reshape(-1, 468, 3)[..., :2].astype(np.float32)
