"""The contract of what writes a source of some kind."""

from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from faceloom.faces import Image
from faceloom.redacting.painting import Plane

PaintFrame = Callable[[int, list[Plane]], bool]
"""Covers what there is to cover of the frame with this index; whether a person should see a thumbnail of it."""
OnFrames = Callable[[int], None]
"""Told how many frames are written."""
THUMBNAIL_PX = 240


@dataclass(frozen=True, slots=True, kw_only=True)
class Written:
    """What was written of a source."""

    frames: int
    codec: str
    notes: tuple[str, ...] = ()
    """What else is not as it was."""
    lost: tuple[int, ...] = ()
    """Frames of which the decoder gives no picture: they are left out."""
    thumbnails: dict[int, Image] = field(default_factory=dict)


class SourceWriter(Protocol):
    """Writes one source anew."""

    @property
    def times(self) -> NDArray[np.float64]:
        """(F,) seconds of each frame."""
        ...

    @property
    def suffix(self) -> str:
        """What is added to the name of the file, since it is written in another format."""
        ...

    @property
    def needed_bytes(self) -> int:
        """What writing it takes, at most."""
        ...

    def write(self, part: Path, paint: PaintFrame, *, stamp: Image | None, on_frames: OnFrames) -> Written:
        """Writes it with its faces covered, laying a picture (H, W, 4) over them if there is one.

        Raises:
            MediaError: it cannot be decoded, or encoded.
            MemoryError: there is too little memory.
        """
        ...
