"""What a worker notes of one chunk while it is under way; several may be."""

import threading
from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from faceloom.faces import FrameId

OnProgress = Callable[[int, int], None]
"""Called with the frames that have been read since the last call, and the phase that is under way."""


def unheard(_frames: int, _phase: int) -> None:
    """Does nothing, for work whose progress is not shown."""


@dataclass(slots=True)
class ChunkNotes:
    """Written by every lane that works on the chunk."""

    on_progress: OnProgress = unheard
    on_read: Callable[[], None] | None = None
    """Called when all its frames have been read, if somebody waits for that."""
    starved: list[tuple[str, int]] = field(default_factory=list)
    """Stage and size of each batch that did not get its memory at once."""
    images: Counter[str] = field(default_factory=Counter)
    """That each network was given."""
    told: Mapping[FrameId, Mapping[str, Any]] = field(default_factory=dict)
    """What chips that are read tell of their faces, by frame."""
    kept_bytes: int = 0
    """Of patches or rows, at the end of the first phase."""
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def count(self, stage: str, images: int) -> None:
        """Notes that a network was given so many images."""
        with self._lock:
            self.images[stage] += images
