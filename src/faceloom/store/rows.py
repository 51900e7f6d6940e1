"""Rows: what a worker answers and the store keeps."""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from enum import StrEnum
from fractions import Fraction
from typing import Any, Self

from faceloom.faces import FrameId
from faceloom.faults import Fault
from faceloom.formats.jsonl import chip_line
from faceloom.formats.record import FaceRecord, MaskRecord
from faceloom.geometry.affine import Affine, compose, scaling

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
    notes: tuple[str, ...] = ()
    """What was done so that it is as a player shows it."""
    fault: Fault | None = None
    """Whose fault it is that it failed, if not the file's own."""


@dataclass(frozen=True, slots=True, kw_only=True)
class FaceRow(FaceRecord):
    """One face and its frame, as the store keeps it; where its masks lie follows from the chip."""

    frame: FrameId
    score: float

    @property
    def held_bytes(self) -> int:
        """RAM that the row takes, about."""
        return _ROW_BYTES + sum(len(mask.content) for mask in self.masks.values() if isinstance(mask.content, bytes))

    def to_json(self, time: Fraction | None) -> dict[str, Any]:
        """The face as its chip file states it; `time` is the frame's."""
        return chip_line(self.frame, None if time is None else float(time), self)

    def laid(self, *, chip_size: int | None) -> Self:
        """The face with masks that say where they lie: over the square of the chip, if its size is known."""
        if self.frame_to_chip is None or chip_size is None or not self.masks:
            return self
        masks = {name: _laid(mask, self.frame_to_chip, chip_size) for name, mask in self.masks.items()}
        return replace(self, masks=masks)


def _laid(mask: MaskRecord, frame_to_chip: Affine, chip_size: int) -> MaskRecord:
    factor = mask.size / chip_size
    return replace(mask, frame_to_mask=compose(scaling(factor, factor), frame_to_chip))


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
    processor_s: float = 0.0
    """The seconds of the processor that the worker's process took meanwhile; 0 where nobody looked."""
