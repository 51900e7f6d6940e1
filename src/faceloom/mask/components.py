"""The face from the brows to the chin: the hull of the landmarks."""

from dataclasses import dataclass

from faceloom.geometry.drawings import Drawing
from faceloom.mask import DrawnMask


@dataclass(frozen=True, kw_only=True)
class Components(DrawnMask):
    """Everything between the brows, the jaw and the chin."""

    grow: float = 0.04
    """Outwards, over the outer-eye distance: landmarks lie on the contour, a mask contains it (docs/accuracy.md)."""

    @property
    def drawing(self) -> Drawing:
        if self.soft:
            return Drawing("components/2", (self.grow, self.soft))
        return Drawing("components/1", (self.grow,))
