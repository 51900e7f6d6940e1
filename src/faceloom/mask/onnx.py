"""Any network that segments faces, from a file of the user's own: `--mask onnx --weights mask/onnx=FILE`."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from faceloom.faces import Images, Masks
from faceloom.mask import NetworkMask
from faceloom.stage import PinnedFile, Signature, Tensors
from faceloom.tensors import OwnInput, one_of, sigmoid


@dataclass(frozen=True, kw_only=True)
class OnnxMask(OwnInput, NetworkMask):
    """One number a pixel, or one a class and pixel, of aligned chips with three planes of colour."""

    weights = PinnedFile(
        name="mask-onnx",
        file="mask.onnx",
        sha256="",
        size_bytes=0,
        licence="the file's",
        about="any ONNX network that segments a face, by --weights mask/onnx=FILE (docs/plugins.md)",
        places=(),
        dynamic=("batch",),
    )
    input_size: int = 256  # type: ignore[misc]  # here the file decides
    scale: float = 1 / 255
    answers: str = "probabilities"
    """Or `logits`: of one class by itself, of several against each other."""
    classes: tuple[int, ...] = (0,)
    """Those that are the face."""

    def __post_init__(self) -> None:
        super().__post_init__()
        one_of(self.answers, ("probabilities", "logits"), "kind of answers")

    @classmethod
    def options_for(cls, signature: Signature) -> Mapping[str, Any]:
        name, size = signature.chips(usual_size=256)
        signature.answer()
        return {"input_size": size, "input_name": name}

    def prepare(self, images: Images) -> Tensors:
        return self.tensors(images)

    def decode(self, outputs: Tensors) -> Masks:
        (answer,) = outputs.values()
        maps = answer[:, None] if answer.ndim == 3 else answer  # (N, C, S, S)
        share = maps if self.answers == "probabilities" else _probabilities(maps)
        coverage = np.clip(share[:, list(self.classes)].sum(axis=1), 0, 1)  # (N, S, S)
        return np.stack([_at(np.asarray(np.rint(255 * one), np.uint8), self.input_size) for one in coverage])


def _probabilities(logits: NDArray[np.float32]) -> NDArray[np.float32]:
    """Of logits (N, C, S, S): over the classes, or of the only one."""
    if logits.shape[1] == 1:
        return sigmoid(logits)
    powers = np.exp(logits - logits.max(axis=1, keepdims=True))
    return np.asarray(powers / powers.sum(axis=1, keepdims=True), np.float32)


def _at(mask: NDArray[np.uint8], size: int) -> NDArray[np.uint8]:
    import cv2

    resized = mask if mask.shape == (size, size) else cv2.resize(mask, (size, size), interpolation=cv2.INTER_LINEAR)
    return np.asarray(resized, np.uint8)
