"""What a mask is: coverage 0..255 of the square that the aligned chip shows.

Three contracts: a network looks at the chip, a drawing routine at the landmarks alone; and one whose drawing the stores
know by name is drawn when it is read.
"""

from abc import abstractmethod
from dataclasses import dataclass
from typing import ClassVar

import numpy as np
from numpy.typing import NDArray

from faceloom.faces import Images, Masks
from faceloom.geometry.affine import Points
from faceloom.geometry.drawings import Drawing
from faceloom.stage import Infer, NetworkPlugin, Plugin, Tensors, joined, require


@dataclass(frozen=True, kw_only=True)
class NetworkMask(NetworkPlugin):
    """Segments an aligned chip."""

    kind = "mask"
    reads = frozenset({"landmarks"})
    writes = frozenset({"mask"})
    input_size: ClassVar[int]
    """Side of the square chips, and of the masks."""

    @abstractmethod
    def decode(self, outputs: Tensors) -> Masks:
        """Masks (N, S, S) for each chip of the batch."""

    def segment(self, infer: Infer, images: Images) -> Masks:
        """The mask of each of the chips (N, S, S, 3), held to the contract."""
        masks = joined([self.decode(answer) for answer in self.calls(infer, images)])
        require(masks.shape == images.shape[:3] and masks.dtype == np.uint8, self, "masks (N, S, S) uint8")
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

    @abstractmethod
    def draw(self, landmarks: Points, *, size: int) -> NDArray[np.uint8]:
        """The mask (size, size) of landmarks (68, 2) in the pixels of a chip of that size."""


@dataclass(frozen=True, kw_only=True)
class DrawnMask(LandmarkMask):
    """A mask of which stores keep no pixels, but the drawing that it is."""

    @property
    @abstractmethod
    def drawing(self) -> Drawing:
        """What draws it, by name, version and numbers."""

    def draw(self, landmarks: Points, *, size: int) -> NDArray[np.uint8]:
        """The mask (size, size) of landmarks (68, 2) in the pixels of a chip of that size."""
        return self.drawing.draw(landmarks, size=size)
