"""FaceMesh with the file of the package mediapipe 0.10.21: a later training, in half precision, of the same network."""

from dataclasses import dataclass

from faceloom.align import Alignment
from faceloom.align.facemesh import FaceMesh
from faceloom.stage import PinnedFile, Tensors


@dataclass(frozen=True, kw_only=True)
class Plugin(FaceMesh):
    """As ours but for the file and the names in it."""

    weights = PinnedFile(
        name="facemesh_mediapipe",
        file="face_landmark.tflite",
        sha256="1055cb9d4a9ca8b8c688902a3a5194311138ba256bcc94e336d8373a5f30c814",
        size_bytes=1_242_398,
        licence="Apache-2.0",
        places=("pypi:mediapipe==0.10.21!mediapipe/modules/face_landmark/face_landmark.tflite",),
    )

    def decode(self, outputs: Tensors) -> Alignment:
        return super().decode({"conv2d_20": outputs["conv2d_21"], "conv2d_30": outputs["conv2d_31"]})
