"""The plan of a run: phases, placements and batches."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

HOST = "cpu"
"""The name of the device of stages that run on the host."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Placement:
    """The device on which one stage runs, and how many items it takes at once."""

    stage: str
    device: str
    batch: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Phase:
    """Stages that are resident at the same time, in the order in which items pass through them."""

    placements: tuple[Placement, ...]
    peak_bytes: int = 0
    """The predicted peak; like the seconds, zero where nothing is known."""
    seconds: float = 0.0
    """The predicted seconds, including loading its stages and, after another phase, switching to it."""
    host_peak_bytes: int = 0
    """The peak of the host's memory, where that is not the device's."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """The phases in order, and how many frames go through all of them together."""

    phases: tuple[Phase, ...]
    chunk_frames: int
    lanes: int
    """How many calls run side by side, each on one thread."""
    budget_bytes: int = 0
    """The budget that the plan was made for; zero if none was given."""
    peak_bytes: int = 0
    """The peak of the phase that needs most; it is predicted, like the seconds."""
    seconds: float = 0.0
    workers: int = 1
    """How many processes run the plan side by side."""
    keep_bytes: int = 0
    """How many bytes of patches and rows a worker may hold at the end of a phase."""
    host_budget_bytes: int = 0
    """Where the device has a memory of its own, the host's budget; the next is then the host's peak."""
    host_peak_bytes: int = 0

    @property
    def decode_threads(self) -> int:
        """How many threads a worker's decoder of videos has."""
        return decode_threads(self.lanes)

    @property
    def host_bytes(self) -> int:
        """The peak of the host's memory, whether or not the device has one of its own."""
        return self.host_peak_bytes if self.host_budget_bytes else self.peak_bytes

    def to_json(self) -> dict[str, Any]:
        """Returns the plan as the command line prints it; seconds are rounded, so that no float noise shows."""
        return {
            "budget_bytes": self.budget_bytes,
            "seconds": round(self.seconds, 6),
            "peak_bytes": self.peak_bytes,
            "chunk_frames": self.chunk_frames,
            "lanes": self.lanes,
            "workers": self.workers,
            **(
                {"host_budget_bytes": self.host_budget_bytes, "host_peak_bytes": self.host_peak_bytes}
                if self.host_budget_bytes
                else {}
            ),
            "phases": [_phase_to_json(phase) for phase in self.phases],
        }


def _phase_to_json(phase: Phase) -> dict[str, Any]:
    return {
        "peak_bytes": phase.peak_bytes,
        "seconds": round(phase.seconds, 6),
        "stages": [{"stage": p.stage, "device": p.device, "batch": p.batch} for p in phase.placements],
    }


def decode_threads(lanes: int) -> int:
    """How many threads decode a video for so many lanes, of which one at a time waits for a frame."""
    return max(1, lanes // 2)


def one_phase(stages: Sequence[str], *, chunk_frames: int, lanes: int) -> Plan:
    """Makes a plan of all stages together, one item a call: on a CPU larger batches gain nothing (docs/design.md)."""
    placements = tuple(Placement(stage=stage, device="cpu", batch=1) for stage in stages)
    return Plan(phases=(Phase(placements=placements),), chunk_frames=chunk_frames, lanes=lanes)
