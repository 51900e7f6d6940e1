"""The plan of a run."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True, slots=True, kw_only=True)
class Placement:
    """Where one stage runs and how many items it takes at once."""

    stage: str
    device: str
    batch: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Phase:
    """Stages that are resident at the same time, in the order in which items pass through them."""

    placements: tuple[Placement, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """The phases in order, and how many frames go through all of them together."""

    phases: tuple[Phase, ...]
    chunk_frames: int
    lanes: int
    """Calls that run side by side, each on one thread."""

    def to_json(self) -> dict[str, Any]:
        """The plan as the command line prints it."""
        phases = [
            {"stages": [{"stage": p.stage, "device": p.device, "batch": p.batch} for p in phase.placements]}
            for phase in self.phases
        ]
        return {"chunk_frames": self.chunk_frames, "lanes": self.lanes, "phases": phases}


def one_phase(stages: Sequence[str], *, chunk_frames: int, lanes: int) -> Plan:
    """Every stage together, one item a call: on a CPU larger batches gain nothing (measured, docs/design.md)."""
    placements = tuple(Placement(stage=stage, device="cpu", batch=1) for stage in stages)
    return Plan(phases=(Phase(placements=placements),), chunk_frames=chunk_frames, lanes=lanes)
