"""What became of a redaction."""

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from faceloom.redacting.messages import Box, Doubtful, Redacted


@dataclass(frozen=True, slots=True, kw_only=True)
class StillFound:
    """A face that a detector finds in what was written."""

    frame: int
    time_s: float | None
    box: Box
    score: float
    detector: str


@dataclass(frozen=True, slots=True, kw_only=True)
class RedactedItem:
    """A source that was written."""

    name: str
    redacted: Redacted
    found: tuple[StillFound, ...] = ()
    """Faces that are still found after the last round."""
    rounds: tuple[int, ...] = ()
    """How many faces were found after each round."""

    @property
    def doubtful(self) -> tuple[Doubtful, ...]:
        """Frames that a person should look at."""
        return self.redacted.doubtful


@dataclass(frozen=True, slots=True, kw_only=True)
class RedactSummary:
    """How a redaction ended."""

    items: tuple[RedactedItem, ...]
    failures: tuple[str, ...]
    """Each source that could not be written, and why."""
    out: Path
    report: Path
    seconds: float
    seconds_of: dict[str, float] = field(default_factory=dict)
    """Of finding faces, writing, and looking at what was written."""
    peak_bytes: int
    budget_bytes: int
    detectors: tuple[str, ...]
    """That looked at what was written."""
    outcome: str
    """done, or interrupted."""

    @property
    def frames(self) -> int:
        """Frames that were written."""
        return sum(item.redacted.frames for item in self.items)

    @property
    def faces(self) -> int:
        """Faces that were found first, and are covered."""
        return sum(item.redacted.faces for item in self.items)

    @property
    def found(self) -> int:
        """Faces that are still found in what was written."""
        return sum(len(item.found) for item in self.items)

    @property
    def skipped(self) -> int:
        """Sources that were written before."""
        return sum(item.redacted.is_same for item in self.items)

    def to_json(self) -> dict[str, Any]:
        """Gives the summary as `redact --json` prints it."""
        return {
            "sources": len(self.items) + len(self.failures),
            "frames": self.frames,
            "faces": self.faces,
            "covered": sum(item.redacted.covered for item in self.items),
            "kept": sum(item.redacted.kept for item in self.items),
            "found": self.found,
            "doubtful": sum(sum(item.redacted.doubts.values()) for item in self.items),
            "failed": len(self.failures),
            "skipped": self.skipped,
            "failures": list(self.failures),
            "detectors": list(self.detectors),
            "seconds": round(self.seconds, 3),
            "seconds_of": {name: round(value, 3) for name, value in self.seconds_of.items()},
            "peak_bytes": {"cpu": self.peak_bytes},
            "budget_bytes": {"cpu": self.budget_bytes},
            "report": str(self.report),
            "items": [_item(item) for item in self.items],
        }


def _item(item: RedactedItem) -> dict[str, Any]:
    told = item.redacted
    return {
        "source": item.name,
        "file": told.target,
        "codec": told.codec,
        "frames": told.frames,
        "faces": told.faces,
        "covered": told.covered,
        "kept": told.kept,
        "rounds": list(item.rounds),
        "found": [
            {
                "frame": one.frame,
                "time_s": one.time_s,
                "box": [round(value, 3) for value in one.box],
                "score": round(one.score, 4),
                "detector": one.detector,
            }
            for one in item.found
        ],
        "doubts": told.doubts,
        "notes": list(told.notes),
    }
