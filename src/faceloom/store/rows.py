"""Rows: what a worker answers and the store keeps."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from fractions import Fraction
from typing import Any

import numpy as np
from numpy.typing import NDArray

from faceloom.faces import FrameId
from faceloom.geometry.affine import Affine, Points

_ROW_BYTES = 4096
"""Of a face without its masks: landmarks, an embedding, and what Python adds to them."""


class Status(StrEnum):
    """How far a frame is."""

    PENDING = "pending"
    DONE = "done"
    FAILED = "failed"


@dataclass(frozen=True, slots=True, kw_only=True)
class FrameRow:
    """One frame after its chunk has been through all phases."""

    id: FrameId
    status: Status
    height: int | None = None
    """Pixels; None if the frame was never seen."""
    width: int | None = None
    reason: str | None = None
    """Why it failed, or what was lost although it did not."""
    sha256: str | None = None
    """Of the file's content, for a picture."""


@dataclass(frozen=True, slots=True, kw_only=True)
class MaskRow:
    """A mask as it is stored."""

    size: int
    png: bytes


@dataclass(frozen=True, slots=True, kw_only=True)
class FaceRow:
    """One face, all its pixels encoded."""

    frame: FrameId
    index: int
    box: NDArray[np.float32]
    score: float
    keypoints: Points | None
    landmarks: Points | None
    confidence: float | None
    frame_to_chip: Affine | None
    masks: Mapping[str, MaskRow] = field(default_factory=dict)
    embedding: NDArray[np.float32] | None = None
    chip: str | None = None
    """Path of the chip below the result folder."""

    @property
    def held_bytes(self) -> int:
        """RAM that the row takes, about."""
        return _ROW_BYTES + sum(len(mask.png) for mask in self.masks.values())

    def to_json(self, time: Fraction | None) -> dict[str, Any]:
        """The face as exports and chip files state it, without what is not numbers; `time` is the frame's."""
        return {
            "source": self.frame.source,
            "frame": self.frame.index,
            "time_s": None if time is None else float(time),
            "index": self.index,
            "box": rounded(self.box),
            "score": round(self.score, 4),
            "keypoints": rounded(self.keypoints),
            "landmarks": rounded(self.landmarks),
            "affine": rounded(self.frame_to_chip, digits=6),
        }


def rounded(values: NDArray[Any] | None, *, digits: int = 3) -> list[Any] | None:
    """Nested lists of numbers of this many decimals."""
    return None if values is None else np.round(values.astype(np.float64), digits).tolist()


@dataclass(frozen=True, slots=True, kw_only=True)
class ChunkRows:
    """Everything found in one chunk."""

    number: int
    frames: tuple[FrameRow, ...]
    faces: tuple[FaceRow, ...]
    seconds: float
    starved: tuple[tuple[str, int], ...] = ()
    """Stage and size of each batch that did not get its memory at once, and was done nevertheless."""
    kept_bytes: int = 0
    """Of patches or rows, at the end of the first phase."""
