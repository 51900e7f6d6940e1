"""Any network of ArcFace's kind from a file of the user's own: `--identify arcface --weights identify/arcface=FILE`.

Source: Deng et al. 2019, CVPR, arXiv 1801.07698; preprocessing as in insightface's `arcface_torch`: RGB,
(x - 127.5) / 127.5. Other networks of that kind want something else: the options say what a pixel is.
"""

from collections.abc import Mapping
from dataclasses import dataclass, fields
from typing import Any

import numpy as np
from numpy.typing import NDArray

from faceloom.faces import Images
from faceloom.identify import ARCFACE_SIZE, ARCFACE_TEMPLATE, Identifier
from faceloom.stage import PinnedFile, Signature, Tensors, shape_in_words
from faceloom.tensors import OwnInput

_OF_PIXELS = frozenset({"order", "scale", "mean", "deviation"})


@dataclass(frozen=True, kw_only=True)
class ArcFace(OwnInput, Identifier):
    """Looks at chips of the side that the network takes, as a rule 112 pixels, and answers what it answers."""

    weights = PinnedFile(
        name="arcface",
        file="arcface.onnx",
        sha256="",
        size_bytes=0,
        licence="the file's",
        about="any ONNX network of ArcFace's kind, by --weights identify/arcface=FILE",
        places=(),
        dynamic=("batch",),
    )
    input_size: int = ARCFACE_SIZE  # type: ignore[misc]  # here the file decides
    scale: float = 1 / 127.5
    mean: tuple[float, ...] = (1.0, 1.0, 1.0)
    same_person = 0.3  # between what such networks need; measure your own (docs/accuracy.md)

    @property
    def configuration(self) -> dict[str, Any]:
        """Without what is usual of pixels: folders made when there was nothing to choose go on."""
        usual = {field.name: field.default for field in fields(type(self)) if field.name in _OF_PIXELS}
        told = super().configuration.items()
        return {name: value for name, value in told if name not in usual or value != usual[name]}

    @property
    def template(self) -> NDArray[np.float32]:  # type: ignore[override]
        """ArcFace's, at the size of the chip."""
        return ARCFACE_TEMPLATE * np.float32(self.input_size / ARCFACE_SIZE)

    @classmethod
    def options_for(cls, signature: Signature) -> Mapping[str, Any]:
        name, size = signature.chips(usual_size=ARCFACE_SIZE)
        answer = signature.answer()
        if answer and (len(answer) != 2 or answer[0] not in {None, 1}):
            raise ValueError(f"it answers {shape_in_words(answer)}, not one embedding a face, (faces, numbers)")
        return {"input_size": size, "input_name": name}

    def prepare(self, images: Images) -> Tensors:
        return self.tensors(images)

    def decode(self, outputs: Tensors) -> NDArray[np.float32]:
        (vectors,) = outputs.values()
        return np.asarray(vectors, np.float32)
