"""What a mask is: coverage 0..255 of the square that the aligned chip shows.

Three contracts: a network looks at the chip, a drawing routine at the landmarks alone; and one whose drawing the stores
know by name is drawn when it is read.
"""

from abc import abstractmethod
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from faceloom.faces import Images, Masks
from faceloom.geometry.affine import Points
from faceloom.geometry.drawings import Drawing
from faceloom.geometry.edges import with_soft_edge
from faceloom.stage import Infer, NetworkPlugin, Plugin, Tensors, joined, require


@dataclass(frozen=True, kw_only=True)
class NetworkMask(NetworkPlugin):
    """Segments an aligned chip."""

    kind = "mask"
    reads = frozenset({"landmarks"})
    writes = frozenset({"mask"})
    input_size: ClassVar[int]
    """Side of the square chips, and of the masks."""
    soft: float = 0.0
    """Over how much of the distance of the outer corners of the eyes the mask's edge fades."""

    @property
    def configuration(self) -> dict[str, Any]:
        """Without soft edges where none were asked for: folders made before there were any go on."""
        return _unless_hard(super().configuration)

    def names(self, own: str) -> tuple[str, ...]:
        """The names of its masks, of which it makes one unless it is asked for parts; `own` is the plugin's."""
        return (own,)

    @abstractmethod
    def decode(self, outputs: Tensors) -> Masks:
        """Masks (N, S, S) for each chip of the batch."""

    def decode_each(self, outputs: Tensors) -> tuple[Masks, ...]:
        """Masks (N, S, S) for each chip of the batch, in the order of its names."""
        return (self.decode(outputs),)

    def segment(self, infer: Infer, images: Images) -> Masks:
        """The first of the masks of each of the chips (N, S, S, 3), held to the contract."""
        return self.segment_each(infer, images)[0]

    def segment_each(self, infer: Infer, images: Images) -> tuple[Masks, ...]:
        """The masks of each of the chips (N, S, S, 3), held to the contract, in the order of its names."""
        answers = [self.decode_each(answer) for answer in self.calls(infer, images)]
        masks = tuple(joined(list(parts)) for parts in zip(*answers, strict=True))
        for one in masks:
            require(one.shape == images.shape[:3] and one.dtype == np.uint8, self, "masks (N, S, S) uint8")
        return masks

    def complete(self, mask: NDArray[np.uint8], landmarks: Points) -> NDArray[np.uint8]:
        """What becomes of the mask (S, S) of one face by its landmarks (68, 2) in chip pixels; as a rule nothing."""
        return mask


@dataclass(frozen=True, kw_only=True)
class LandmarkMask(Plugin):
    """Draws a mask from the landmarks."""

    kind = "mask"
    reads = frozenset({"landmarks"})
    writes = frozenset({"mask"})
    soft: float = 0.0
    """Over how much of the distance of the outer corners of the eyes the mask's edge fades."""

    @property
    def configuration(self) -> dict[str, Any]:
        """Without soft edges where none were asked for: folders made before there were any go on."""
        return _unless_hard(super().configuration)

    def cover(self, landmarks: Points, *, size: int) -> NDArray[np.uint8]:
        """The mask as it is kept, with its edge as soft as it is to be."""
        return with_soft_edge(self.draw(landmarks, size=size), landmarks, share=self.soft)

    @abstractmethod
    def draw(self, landmarks: Points, *, size: int) -> NDArray[np.uint8]:
        """The mask (size, size) of landmarks (68, 2) in the pixels of a chip of that size."""


@dataclass(frozen=True, kw_only=True)
class DrawnMask(LandmarkMask):
    """A mask of which stores keep no pixels, but the drawing that it is."""

    def cover(self, landmarks: Points, *, size: int) -> NDArray[np.uint8]:
        """The mask as its drawing makes it, which knows of the edge."""
        return self.draw(landmarks, size=size)

    @property
    @abstractmethod
    def drawing(self) -> Drawing:
        """What draws it, by name, version and numbers."""

    def draw(self, landmarks: Points, *, size: int) -> NDArray[np.uint8]:
        """The mask (size, size) of landmarks (68, 2) in the pixels of a chip of that size."""
        return self.drawing.draw(landmarks, size=size)


def _unless_hard(options: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in options.items() if name != "soft" or value}
