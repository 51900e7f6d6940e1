"""Who is seen when: videos, and stretches of them. Pure."""

from dataclasses import dataclass
from fractions import Fraction
from typing import Any

from faceloom.timelines.stretches import Stretch


@dataclass(frozen=True, slots=True, kw_only=True)
class SeenVideo:
    """A video in which somebody may be seen."""

    name: str
    frames: int
    """That were looked at."""
    rate: Fraction | None
    """Frames a second, where it is the same throughout."""
    tick: Fraction | None
    """Seconds a tick of its times."""
    start: Fraction | None
    end: Fraction | None


@dataclass(frozen=True, slots=True, kw_only=True)
class SeenPeople:
    """Who is seen when in some videos, sorted by video, then by who is seen first."""

    videos: tuple[SeenVideo, ...]
    stretches: tuple[Stretch, ...]

    def video(self, name: str) -> SeenVideo:
        """The video of a name, which stretches have as their source."""
        return next(video for video in self.videos if video.name == name)

    def to_json(self) -> dict[str, Any]:
        """Gives it as `timeline --to json` writes it."""
        return {
            "videos": [
                {"source": one.name, "frames": one.frames, "rate": _text(one.rate), "tick": _text(one.tick)}
                | {"start_s": _float(one.start), "end_s": _float(one.end)}
                for one in self.videos
            ],
            "stretches": [told(one) for one in self.stretches],
        }


def told(one: Stretch) -> dict[str, Any]:
    """A stretch as JSON has it; `start` and `end` are exact fractions of seconds."""
    return {
        "source": one.source,
        "name": one.name,
        "track": one.track,
        "first": one.first,
        "last": one.last,
        "frames": one.frames,
        "start_s": _float(one.start),
        "end_s": _float(one.end),
        "start": _text(one.start),
        "end": _text(one.end),
        "best_frame": one.best.frame,
        "best_index": one.best.index,
        "best_quality": one.best.quality,
        "best_chip": one.best.chip,
    }


def _text(value: Fraction | None) -> str | None:
    return None if value is None else str(value)


def _float(value: Fraction | None) -> float | None:
    return None if value is None else float(value)
