"""Any network of ArcFace's kind from a file of the user's own: `--identify arcface --weights identify/arcface=FILE`.

Source: Deng et al. 2019, CVPR, arXiv 1801.07698; preprocessing as in insightface's `arcface_torch`: RGB,
(x - 127.5) / 127.5.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from faceloom.faces import Images
from faceloom.identify import ARCFACE_SIZE, ARCFACE_TEMPLATE, Identifier
from faceloom.stage import PinnedFile, Signature, Tensors, shape_in_words
from faceloom.tensors import planes


@dataclass(frozen=True, kw_only=True)
class ArcFace(Identifier):
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
    input_name: str = "input"
    same_person = 0.3  # between what such networks need; measure your own (docs/accuracy.md)

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
        return {self.input_name: planes(images, scale=1 / 127.5) - np.float32(1)}

    def decode(self, outputs: Tensors) -> NDArray[np.float32]:
        (vectors,) = outputs.values()
        return np.asarray(vectors, np.float32)
