"""A frame: one decoded picture of a source, with what is known of it."""

from dataclasses import dataclass
from fractions import Fraction

from faceloom.faces import Face, FrameId, Image


@dataclass(frozen=True, slots=True, kw_only=True)
class Frame:
    """One decoded picture, upright."""

    id: FrameId
    time: Fraction | None
    """Exact presentation time in seconds, as the container states it; None for a still picture."""
    image: Image
    faces: tuple[Face, ...] = ()
    """Best score first."""
    digest: str | None = None
    """sha256 of the file's content, where the frame is the whole file."""
    problem: str | None = None
    """What is wrong with the frame or was lost in it, e.g. the end of a truncated file; None when all is well."""
