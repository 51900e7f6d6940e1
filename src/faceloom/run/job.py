"""What a worker is told once: the flow, its weights, the plan, and what to write."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from faceloom.flow import Flow
from faceloom.media.chip_files import ChipFormat
from faceloom.plan.plan import Plan


@dataclass(frozen=True, slots=True, kw_only=True)
class Outputs:
    """What is made of each face besides its row."""

    chip_size: int = 512
    chip_format: ChipFormat = ChipFormat.JPG
    write_chips: bool = True
    mask_size: int = 256
    overlay: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Job:
    """Everything a worker needs to turn chunks into rows."""

    flow: Flow
    weights: Mapping[str, Path]
    """Prepared network file of each stage that has one, by stage name."""
    plan: Plan
    outputs: Outputs
    room_bytes: int
    """Bytes of pixels that may be in flight before another frame is read."""
