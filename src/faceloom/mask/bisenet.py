"""BiSeNet: skin, brows, eyes, nose and mouth out of 19 classes, without hair, ears, neck or glasses; or any of these.

Source: Yu et al. 2018, ECCV, arXiv 1808.00897; weights of github.com/zllrunning/face-parsing.PyTorch.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from faceloom.faces import Images, Masks
from faceloom.mask import NetworkMask
from faceloom.models.catalog import CATALOG
from faceloom.networks.face_parts import CLASSES, FACE
from faceloom.stage import Tensors
from faceloom.suggestions import or_else
from faceloom.tensors import planes

# Of the pictures of ImageNet, RGB in 0..1, as torchvision's models have them.
_MEAN = np.array([0.485, 0.456, 0.406], np.float32)[:, None, None]
_DEVIATION = np.array([0.229, 0.224, 0.225], np.float32)[:, None, None]

_WHOLE = "face"
PARTS: Mapping[str, list[int]] = {
    _WHOLE: [CLASSES.index(name) for name in FACE],
    **{name.replace(" ", "-"): [i] for i, name in enumerate(CLASSES)},
}
"""By name, the classes that a part consists of."""


@dataclass(frozen=True, kw_only=True)
class BiSeNet(NetworkMask):
    """How likely each pixel is the face's, or that of one of its parts, as coverage."""

    weights = CATALOG["bisenet"]
    input_size = 512
    parts: tuple[str, ...] = ()
    """Classes that get a mask each, with `-` for a space, and `face` for all that is the face; empty: that alone."""

    def __post_init__(self) -> None:
        for part in self.parts:
            if part not in PARTS:
                raise ValueError(f"it knows no {part!r}; {or_else(part, list(PARTS))}")

    @property
    def network(self) -> str:  # type: ignore[override]  # what the checkpoint is asked for depends on the parts
        return f"faceloom.networks.bisenet:{'BiSeNetClasses' if self.parts else 'BiSeNetModule'}"

    @property
    def configuration(self) -> dict[str, Any]:
        return {name: value for name, value in super().configuration.items() if name != "parts" or value}

    def names(self, own: str) -> tuple[str, ...]:
        return tuple(own if part == _WHOLE else f"{own}-{part}" for part in self.parts) or (own,)

    def prepare(self, images: Images) -> Tensors:
        return {"image": (planes(images, scale=1 / 255) - _MEAN) / _DEVIATION}

    def decode(self, outputs: Tensors) -> Masks:
        return _coverage(outputs["face"])

    def decode_each(self, outputs: Tensors) -> tuple[Masks, ...]:
        if not self.parts:
            return super().decode_each(outputs)
        return tuple(_coverage(outputs["classes"][:, PARTS[part]].sum(axis=1)) for part in self.parts)


def _coverage(likely: NDArray[np.float32]) -> Masks:
    return np.asarray(np.rint(255 * np.clip(likely, 0, 1)), np.uint8)
