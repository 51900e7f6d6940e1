"""MediaPipe Face Mesh V2: 478 points, the vertices of FaceMesh and the irises, by a larger network on more pixels.

Source: Google's model card "MediaPipe Face Mesh V2" of 15 September 2022; the vertices are those of Kartynnik et al.
2019, arXiv 1907.06724.
"""

from dataclasses import dataclass
from typing import Any

import numpy as np

from faceloom.align import Aligner, Alignment, Square
from faceloom.align.facemesh import FaceMesh
from faceloom.faces import Images
from faceloom.geometry.affine import Points
from faceloom.geometry.landmarks import extent
from faceloom.geometry.schemes import SCHEMES
from faceloom.models.bundles import OUTPUT
from faceloom.models.catalog import CATALOG
from faceloom.stage import PinnedFile, Tensors
from faceloom.tensors import planes, sigmoid

_IRISES = slice(468, 478)
BLENDSHAPES = (
    "neutral",
    "browDownLeft",
    "browDownRight",
    "browInnerUp",
    "browOuterUpLeft",
    "browOuterUpRight",
    "cheekPuff",
    "cheekSquintLeft",
    "cheekSquintRight",
    "eyeBlinkLeft",
    "eyeBlinkRight",
    "eyeLookDownLeft",
    "eyeLookDownRight",
    "eyeLookInLeft",
    "eyeLookInRight",
    "eyeLookOutLeft",
    "eyeLookOutRight",
    "eyeLookUpLeft",
    "eyeLookUpRight",
    "eyeSquintLeft",
    "eyeSquintRight",
    "eyeWideLeft",
    "eyeWideRight",
    "jawForward",
    "jawLeft",
    "jawOpen",
    "jawRight",
    "mouthClose",
    "mouthDimpleLeft",
    "mouthDimpleRight",
    "mouthFrownLeft",
    "mouthFrownRight",
    "mouthFunnel",
    "mouthLeft",
    "mouthLowerDownLeft",
    "mouthLowerDownRight",
    "mouthPressLeft",
    "mouthPressRight",
    "mouthPucker",
    "mouthRight",
    "mouthRollLower",
    "mouthRollUpper",
    "mouthShrugLower",
    "mouthShrugUpper",
    "mouthSmileLeft",
    "mouthSmileRight",
    "mouthStretchLeft",
    "mouthStretchRight",
    "mouthUpperUpLeft",
    "mouthUpperUpRight",
    "noseSneerLeft",
    "noseSneerRight",
)
"""The parts of an expression, by their usual names; left and right are the person's own."""


@dataclass(frozen=True, kw_only=True)
class FaceMeshV2(Aligner):
    """Looks at the squares that FaceMesh looks at; a look is nearer to the truth, and takes four times as long."""

    weights = CATALOG["facemesh_v2"]
    input_size = 256
    first_square = Square(scale=1.3, turned=True)
    second_square = Square(scale=1.5, turned=True)
    # The mesh is 3 % larger than FaceMesh's (median of 540 faces), which is nothing to either (docs/accuracy.md).
    five_square = FaceMesh.five_square
    sees = frozenset({"irises", "blendshapes"})
    irises: bool = False
    """Whether the irises are told too."""
    blendshapes: bool = False
    """Whether the blendshapes are told too, by a second network behind the first."""

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.blendshapes:  # several faces in one call change the last bits of them (measured: by 1.4e-5)
            object.__setattr__(self, "max_batch", 1)

    @property
    def needed_weights(self) -> PinnedFile | None:
        """With blendshapes, both networks in one."""
        return CATALOG["facemesh_v2_blendshapes"] if self.blendshapes else self.weights

    @property
    def configuration(self) -> dict[str, Any]:
        return {name: value for name, value in super().configuration.items() if name not in self.sees or value}

    def prepare(self, images: Images) -> Tensors:
        return {"input_12": planes(images, scale=1 / 255)}

    def decode(self, outputs: Tensors) -> Alignment:
        points = mesh_points(outputs)
        # The third output tells whether the tongue is out.
        confidence = sigmoid(outputs["Identity_1"].reshape(-1))
        return Alignment(
            landmarks=SCHEMES["mesh"].to_ibug(points),
            confidence=confidence,
            extent=extent(points),
            irises=points[:, _IRISES] if self.irises else None,
            blendshapes=outputs[OUTPUT].astype(np.float32) if self.blendshapes else None,
        )


def mesh_points(outputs: Tensors) -> Points:
    """(N, 478, 2) chip pixels, the irises last; the depth that comes with each point is left out."""
    return outputs["Identity"].reshape(-1, 478, 3)[..., :2].astype(np.float32)
