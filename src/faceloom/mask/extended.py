"""The face from the forehead to the chin: the hull of the landmarks, grown upwards."""

from dataclasses import dataclass

from faceloom.geometry.drawings import Drawing
from faceloom.mask import DrawnMask


@dataclass(frozen=True, kw_only=True)
class Extended(DrawnMask):
    """The hull of the landmarks and of the brows lifted over the forehead."""

    grow: float = 0.04
    """Outwards, over the outer-eye distance."""
    lift: float = 0.3
    """Of the brows, over the distance from chin to brows (docs/accuracy.md)."""

    @property
    def drawing(self) -> Drawing:
        return Drawing("extended/1", (self.grow, self.lift))
