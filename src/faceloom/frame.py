"""A frame: one decoded picture of a source, with what is known of it."""

from dataclasses import dataclass
from fractions import Fraction

from faceloom.faces import Face, FrameId, Image
from faceloom.thumbnails import outline, shrink, to_html, to_png

_SHOWN_PX = 640
"""Longer side of the picture that notebooks show."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False, repr=False)
class Frame:
    """One decoded picture, upright.

    A frame equals itself alone, like a `Face`; `id` tells which frame of which source it is.
    """

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
    notes: tuple[str, ...] = ()
    """What was done so that it is upright RGB as a player shows it."""

    def __str__(self) -> str:
        return f"{self.id}"

    def __repr__(self) -> str:
        return f"<Frame {self}: {self._in_words()}>"

    def _in_words(self) -> str:
        """What is known of it, in a line."""
        height, width = self.image.shape[:2]
        count = len(self.faces)
        known = [f"{width} x {height} px", f"{count} face{'s' * (count != 1)}"]
        known += [] if self.time is None else [f"at {float(self.time):.3f} s"]
        known += [] if self.problem is None else [self.problem]
        return ", ".join(known)

    def _picture(self) -> Image | None:
        """The frame scaled down, with its faces' boxes; nothing of a frame that could not be read."""
        if not self.image.size:
            return None
        small = shrink(self.image, longest=_SHOWN_PX)
        factor = small.shape[1] / self.image.shape[1]
        return outline(small, [face.box * factor for face in self.faces])

    def _repr_png_(self) -> bytes | None:
        picture = self._picture()
        return None if picture is None else to_png(picture)

    def _repr_html_(self) -> str:
        return to_html(self._picture(), f"{self}: {self._in_words()}")
