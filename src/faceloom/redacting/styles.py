"""Styles: how faces are covered, and whose."""

from dataclasses import dataclass
from pathlib import Path

from faceloom.choices import Fill, Over


@dataclass(frozen=True, slots=True, kw_only=True)
class Style:
    """How faces are covered, and for how long."""

    fill: Fill
    over: Over
    margin: float
    """Share of a box's sides by which more is covered on each side."""
    feather: float
    """Share of a box's longer side over which the edge fades, beyond that."""
    picture: Path | None = None
    fill_s: float
    """Longest time over which the frames that a track misses are covered."""
    hold_s: float
    """How long before its first and after its last face a track is covered."""
    quality: int
    """Of videos: constant rate factor of the encoder; less is better."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Whose:
    """Whose faces are covered: everybody's, only some persons', or everybody's but some persons'."""

    only: tuple[str, ...] = ()
    but: tuple[str, ...] = ()

    def is_covered(self, person: str | None) -> bool:
        """Whether the face of a person, or of nobody that is known, is covered."""
        return person in self.only if self.only else person not in self.but
