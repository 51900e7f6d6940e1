"""The nouns of a face: which frame it is in, what a detector answers, the patch and all that stages add."""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from fractions import Fraction
from typing import Self, TypeAlias

import numpy as np
from numpy.typing import NDArray

from faceloom.attributes import FaceAttributes
from faceloom.errors import GeometryError
from faceloom.geometry.affine import Points
from faceloom.geometry.boxes import Boxes, Scores
from faceloom.geometry.chips import cut, frame_to_chip, in_patch
from faceloom.thumbnails import shrink, to_html, to_png

Image: TypeAlias = NDArray[np.uint8]
"""(H, W, 3) RGB."""
Images: TypeAlias = NDArray[np.uint8]
"""(N, H, W, 3) RGB, all of one size."""
Masks: TypeAlias = NDArray[np.uint8]
"""(N, S, S) coverage 0..255, in chip pixels."""
_SHOWN_PX = 160
"""Side of the picture of a face that notebooks show."""


@dataclass(frozen=True, slots=True, order=True)
class FrameId:
    """One frame: the name of its source and its 0-based index there, in order of presentation."""

    source: str
    index: int

    def __str__(self) -> str:
        return f"{self.source}#{self.index}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Candidates:
    """What a detector finds in one image, before overlapping boxes are suppressed."""

    boxes: Boxes
    """(K, 4)"""
    scores: Scores
    """(K,)"""
    keypoints: Points | None
    """(K, 5, 2): left eye, right eye, nose, left and right mouth corner, as seen in the image."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False, repr=False)
class Patch:
    """Native pixels of a frame around one face, never resampled."""

    pixels: Image
    x: int
    """Column of the frame where the patch begins."""
    y: int
    """Row of the frame where the patch begins."""
    held_bytes: int
    """RAM that it takes; of patches that look into the same frame the last one takes the frame's, the others none."""
    frame_shape: tuple[int, int]
    """Height and width of the frame."""

    def __repr__(self) -> str:
        height, width = self.pixels.shape[:2]
        return f"<Patch {width} x {height} at {self.x}, {self.y}>"


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Sighting:
    """What one of several aligners has found of a face."""

    landmarks: Points
    """(68, 2) pixels of the frame."""
    confidence: float
    """In [0, 1]: its belief that this is a face; 1 where it has none."""
    irises: Points | None = None
    """(10, 2) likewise, where it looks for them."""
    blendshapes: NDArray[np.float32] | None = None
    """(52,) likewise."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False, repr=False)
class Face(FaceAttributes[NDArray[np.uint8]]):
    """One face of one frame, with the attributes that are known of it, its masks as pixels (S, S).

    A face equals itself alone, so that faces can stand in sets and be keys; `frame` and `index` together tell which
    face of which frame it is.
    """

    frame: FrameId
    score: float
    time: Fraction | None = None
    """Exact presentation time of the frame in seconds; None for a still picture."""
    turned_deg: float = 0.0
    """How far the frame had to be turned back until the face was found: it lies turned clockwise by about this."""
    patch: Patch | None = None
    """What stages read."""
    wide_patch: Patch | None = None
    """What chips are cut from that show more than stages read; the patch looks into it. None: the patch will do."""
    sightings: Mapping[str, Sighting] = field(default_factory=dict)
    """What some of several aligners have found, by stage, until all have; then the landmarks are their mean."""

    def __str__(self) -> str:
        return f"{self.frame} face {self.index}"

    def __repr__(self) -> str:
        return f"<{type(self).__name__} {self}: {self._in_words()}>"

    def without_patch(self) -> Self:
        """The face without the pixels around it: small enough to be kept, or pickled, by the million."""
        return replace(self, patch=None, wide_patch=None)

    def _in_words(self) -> str:
        """What is known of it, in a line."""
        x0, y0, x1, y1 = self.box.tolist()
        names = ("landmarks", "embedding", "patch")
        known = [f"{x1 - x0:.0f} x {y1 - y0:.0f} px at {x0:.0f}, {y0:.0f}", f"score {self.score:.2f}"]
        known += [name for name in names if getattr(self, name) is not None]
        known += [f"masks {' '.join(sorted(self.masks))}"] if self.masks else []
        known += ["rejected"] if self.rejected is not None else []
        return ", ".join(known)

    def _picture(self) -> Image | None:
        """What notebooks show of it: its chip, its patch where it has no landmarks, nothing without a patch."""
        patch = self.wide_patch or self.patch
        if patch is None or not patch.pixels.size:
            return None
        try:
            if self.landmarks is not None:
                face_to_chip = in_patch(frame_to_chip(self.landmarks, size=_SHOWN_PX), x=patch.x, y=patch.y)
                return cut(patch.pixels, face_to_chip, size=_SHOWN_PX)
        except GeometryError:  # landmarks that no chip can be laid by
            pass
        return shrink(patch.pixels, longest=_SHOWN_PX)

    def _repr_png_(self) -> bytes | None:
        picture = self._picture()
        return None if picture is None else to_png(picture)

    def _repr_html_(self) -> str:
        return to_html(self._picture(), f"{self}: {self._in_words()}")
