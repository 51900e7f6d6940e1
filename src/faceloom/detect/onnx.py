"""Any detector of a known layout, from a file of the user's own: `--detect onnx --weights detect/onnx=FILE`."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from faceloom.detect import Detector
from faceloom.detect.layouts.layout import Heads, Layout, Places
from faceloom.detect.layouts.table import LAYOUTS, recognised
from faceloom.faces import Candidates, Images
from faceloom.stage import PinnedFile, Signature, Tensors
from faceloom.tensors import OwnInput, one_of

_UNTOLD = {"layout": "boxes", "side_multiple": 32}
"""What configurations leave out, so that folders made before there was a choice can still be gone on with."""


@dataclass(frozen=True, kw_only=True)
class OnnxDetector(OwnInput, Detector):
    """Takes pictures with three planes of colour; what it answers is told apart by its outputs."""

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
    layout: str = "boxes"
    """The file decides, and with it what the options of the input and the unit usually are."""
    unit: str = "px"
    """Of boxes and keypoints: `px` of the canvas, or `share` of its width and height."""
    side_multiple: int = 32  # type: ignore[misc]  # of this plugin an option

    def __post_init__(self) -> None:
        super().__post_init__()
        Detector.__post_init__(self)
        one_of(self.layout, LAYOUTS, "layout")
        one_of(self.unit, ("px", "share"), "unit")

    @property
    def configuration(self) -> dict[str, Any]:
        return {name: value for name, value in super().configuration.items() if value != _UNTOLD.get(name)}

    @classmethod
    def options_for(cls, signature: Signature) -> Mapping[str, Any]:
        name, _ = signature.images()
        layout = recognised(signature.answered, signature.tried)
        return {**layout.usual, "layout": layout.name, "input_name": name}

    def prepare(self, images: Images) -> Tensors:
        return self.tensors(images)

    def decode(self, outputs: Tensors, *, height: int, width: int) -> tuple[Candidates, ...]:
        layout = LAYOUTS[self.layout]
        heads = layout.heads(outputs)
        return tuple(self._candidates(layout, heads, i, size=(height, width)) for i in range(len(heads.scores)))

    def _candidates(self, layout: Layout, heads: Heads, i: int, *, size: tuple[int, int]) -> Candidates:
        (kept,) = np.nonzero(heads.scores[i] >= self.min_score)
        places = Places(kept=kept, count=heads.scores.shape[1], size=size)
        unit = np.array(size[::-1] if self.unit == "share" else (1, 1), np.float32)
        points = None if heads.points is None else heads.points[i, kept].reshape(-1, 5, 2)
        return Candidates(
            boxes=np.asarray(layout.boxes(heads.boxes[i, kept], places) * np.tile(unit, 2), np.float32),
            scores=heads.scores[i, kept],
            keypoints=None if points is None else np.asarray(layout.points(points, places) * unit, np.float32),
        )
