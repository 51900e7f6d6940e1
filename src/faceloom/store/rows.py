"""Rows: what a worker answers and the store keeps."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from fractions import Fraction
from typing import Any

import numpy as np
from numpy.typing import NDArray

from faceloom.faces import FrameId
from faceloom.formats.jsonl import numbers_to_json
from faceloom.formats.record import FaceRecord, MaskRecord
from faceloom.geometry.affine import Affine, Points, compose, scaling
from faceloom.geometry.pose import Pose

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
    pose: Pose | None = None
    sharpness: float | None = None
    masks: Mapping[str, MaskRow] = field(default_factory=dict)
    embedding: NDArray[np.float32] | None = None
    chip: str | None = None
    """Path of the chip below the result folder."""
    person: str | None = None
    """Whose it is, by `faceloom group`; empty if nobody's that is known, None if nothing was grouped."""
    rejected: str | None = None
    """Why a filter marked the face: it has no chip and no masks, and exports leave it out unless asked for it."""

    @property
    def held_bytes(self) -> int:
        """RAM that the row takes, about."""
        return _ROW_BYTES + sum(len(mask.png) for mask in self.masks.values())

    def to_json(self, time: Fraction | None) -> dict[str, Any]:
        """The face as exports and chip files state it, without what is not numbers; `time` is the frame's."""
        return numbers_to_json(self.frame, None if time is None else float(time), self.to_record())

    def to_record(self, *, chip_size: int | None = None) -> FaceRecord:
        """The face for a format; masks lie over the square of the chip, if its size is known."""
        return FaceRecord(
            index=self.index,
            box=self.box,
            score=self.score,
            keypoints=self.keypoints,
            landmarks=self.landmarks,
            confidence=self.confidence,
            frame_to_chip=self.frame_to_chip,
            pose=self.pose,
            sharpness=self.sharpness,
            rejected=self.rejected,
            masks={name: self._to_record(mask, chip_size) for name, mask in self.masks.items()},
            embedding=self.embedding,
            chip=self.chip,
            person=self.person,
        )

    def _to_record(self, mask: MaskRow, chip_size: int | None) -> MaskRecord:
        if self.frame_to_chip is None or chip_size is None:
            return MaskRecord(size=mask.size, png=mask.png)
        factor = mask.size / chip_size
        return MaskRecord(
            size=mask.size, png=mask.png, frame_to_mask=compose(scaling(factor, factor), self.frame_to_chip)
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class ChunkRows:
    """Everything found in one chunk."""

    number: int
    frames: tuple[FrameRow, ...]
    faces: tuple[FaceRow, ...]
    seconds: float
    starved: tuple[tuple[str, int], ...] = ()
    """Stage and size of each batch that did not get its memory at once, and was done nevertheless."""
    images: Mapping[str, int] = field(default_factory=dict)
    """That each network was given, by stage."""
    kept_bytes: int = 0
    """Of patches or rows, at the end of the first phase."""
