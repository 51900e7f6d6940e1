"""What a run tells whoever watches it."""

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any, TypeAlias

OUT_OF_MEMORY = "oom"
REPLANNED = "replanned"
WORKER_RESTARTED = "worker_restarted"
SOURCE_CHANGED = "source_changed"
NOT_MEASURED = "not_measured"
FORGOTTEN = "forgotten"
NOT_AN_INPUT = "not_an_input"


@dataclass(frozen=True, slots=True, kw_only=True)
class Fetching:
    """A weight file is being fetched."""

    name: str
    done_bytes: int
    total_bytes: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Measuring:
    """What a stage costs on this machine is being measured, once."""

    stage: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Looking:
    """The inputs are being counted."""

    sources: int
    frames: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Progress:
    """Frames go through the plan."""

    stages: tuple[str, ...]
    """Of the phase that is under way."""
    phase: int
    """1-based."""
    phases: int
    frames: int
    """Done, those of earlier runs included."""
    total_frames: int
    faces: int
    frames_per_second: float
    eta_s: float | None
    held_bytes: int
    """Most memory that all processes have held so far."""
    budget_bytes: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Notice:
    """Something that a person should know and that stops nothing; it is noted in the store too."""

    kind: str
    """One of the names above."""
    text: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Summary:
    """How a run ended."""

    frames: int
    """Done and failed, those of earlier runs included."""
    faces: int
    failed: int
    skipped: int
    """Frames that earlier runs had done."""
    seconds: float
    peak_bytes: int
    """Most that all processes held together, as measured."""
    predicted_peak_bytes: int
    """By the last plan."""
    budget_bytes: int
    events: dict[str, int]
    """How often each kind of notice was given."""
    images: dict[str, int]
    """That each network was given in this run, by stage."""
    plan: dict[str, Any]
    failures: tuple[str, ...]
    """The first of them, in words."""
    outcome: str
    """done, or interrupted."""

    def after(self, first: "Summary") -> "Summary":
        """Of two runs one after the other over the same sources, this one being the second."""
        kinds = {*first.events, *self.events}
        return replace(
            self,
            failed=first.failed + self.failed,
            skipped=first.skipped,
            seconds=first.seconds + self.seconds,
            peak_bytes=max(first.peak_bytes, self.peak_bytes),
            predicted_peak_bytes=max(first.predicted_peak_bytes, self.predicted_peak_bytes),
            events={kind: first.events.get(kind, 0) + self.events.get(kind, 0) for kind in kinds},
            images={**first.images, **self.images},
            failures=first.failures + self.failures,
        )

    def to_json(self) -> dict[str, Any]:
        """As `extract --json` prints it."""
        return {
            "frames": self.frames,
            "faces": self.faces,
            "failed": self.failed,
            "skipped": self.skipped,
            "seconds": round(self.seconds, 3),
            "peak_bytes": {"cpu": self.peak_bytes},
            "predicted_peak_bytes": {"cpu": self.predicted_peak_bytes},
            "budget_bytes": {"cpu": self.budget_bytes},
            "events": {kind: self.events.get(kind, 0) for kind in (OUT_OF_MEMORY, REPLANNED, WORKER_RESTARTED)},
            "images": self.images,
            "plan": self.plan,
        }


Event: TypeAlias = Fetching | Measuring | Looking | Progress | Notice
OnEvent: TypeAlias = Callable[[Event], None]
