"""Any detector that answers boxes, from a file of the user's own: `--detect onnx --weights detect/onnx=FILE`."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from faceloom.detect import Detector
from faceloom.faces import Candidates, Images
from faceloom.stage import PinnedFile, Signature, Tensors
from faceloom.tensors import BGR, RGB, Values

_NEEDED = ("boxes", "scores")


@dataclass(frozen=True, kw_only=True)
class OnnxDetector(Detector):
    """Takes pictures of any size with three planes of colour, and answers candidates that it has decoded itself.

    Its outputs are `boxes` (B, K, 4) as x0, y0, x1, y1, `scores` (B, K) in 0..1, or (B, K, 2) whose second is the
    face's, and, if it has them, `keypoints` (B, K, 10).
    """

    weights = PinnedFile(
        name="detect-onnx",
        file="detect.onnx",
        sha256="",
        size_bytes=0,
        licence="the file's",
        about="any ONNX network that answers boxes, by --weights detect/onnx=FILE (docs/plugins.md)",
        places=(),
        dynamic=("batch", "height", "width"),
    )
    input_name: str = "input"
    """The file decides."""
    order: str = "rgb"
    scale: float = 1.0
    mean: tuple[float, ...] = (0.0, 0.0, 0.0)
    deviation: tuple[float, ...] = (1.0, 1.0, 1.0)
    unit: str = "px"
    """Of boxes and keypoints: `px` of the canvas, or `share` of its width and height."""

    def __post_init__(self) -> None:
        if self.order not in {"rgb", "bgr"} or self.unit not in {"px", "share"}:
            raise ValueError("the order is rgb or bgr, the unit px or share")

    @classmethod
    def options_for(cls, signature: Signature) -> Mapping[str, Any]:
        name, _ = signature.images()
        if missing := [name for name in _NEEDED if name not in signature.outputs]:
            raise ValueError(f"it answers {', '.join(signature.outputs)}, and no {' and no '.join(missing)}")
        return {"input_name": name}

    def prepare(self, images: Images) -> Tensors:
        order = RGB if self.order == "rgb" else BGR
        values = Values(order=order, scale=self.scale, mean=self.mean, deviation=self.deviation)
        return {self.input_name: values.of(images)}

    def decode(self, outputs: Tensors, *, height: int, width: int) -> tuple[Candidates, ...]:
        side = (width, height) if self.unit == "share" else (1, 1)
        boxes = outputs["boxes"] * np.array([*side, *side], np.float32)
        scores = outputs["scores"][..., -1] if outputs["scores"].ndim == 3 else outputs["scores"]
        points = outputs.get("keypoints")
        keypoints = None if points is None else points.reshape(*scores.shape, 5, 2) * np.array(side, np.float32)
        return tuple(
            self._candidates(boxes[i], scores[i], None if keypoints is None else keypoints[i])
            for i in range(len(scores))
        )

    def _candidates(
        self, boxes: NDArray[np.float32], scores: NDArray[np.float32], keypoints: NDArray[np.float32] | None
    ) -> Candidates:
        kept = scores >= self.min_score
        return Candidates(
            boxes=boxes[kept], scores=scores[kept], keypoints=None if keypoints is None else keypoints[kept]
        )
