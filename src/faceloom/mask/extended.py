"""The face from the forehead to the chin: the hull of the landmarks, grown upwards."""

from dataclasses import dataclass
from typing import Any

from faceloom.geometry.drawings import Drawing
from faceloom.mask import DrawnMask


@dataclass(frozen=True, kw_only=True)
class Extended(DrawnMask):
    """The hull of the landmarks and of the brows lifted over the forehead."""

    grow: float = 0.04
    """Outwards, over the outer-eye distance."""
    lift: float = 0.3
    """Of the brows, over the distance from chin to brows (docs/accuracy.md)."""
    depth: float = 0.0
    """How far the forehead lies behind the brows, over the distance between the eyes: so it follows a turned head."""
    narrow: float = 0.0
    """By how much the forehead is narrower than the brows."""

    @property
    def drawing(self) -> Drawing:
        if self.depth or self.narrow or self.soft:
            return Drawing("extended/2", (self.grow, self.lift, self.depth, self.narrow, self.soft))
        return Drawing("extended/1", (self.grow, self.lift))

    @property
    def configuration(self) -> dict[str, Any]:
        """Without what was not asked for: folders made before there was a choice go on."""
        told = super().configuration.items()
        return {name: value for name, value in told if name not in {"depth", "narrow"} or value}
