"""What the process that sees the pictures is told, and what it answers; both are pickled."""

import base64
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from faceloom.media.sources import Source
from faceloom.redacting.covering import Doubt
from faceloom.redacting.styles import Style, Whose

Box = tuple[float, float, float, float]
FoundBox = tuple[int, Box, float, int]
"""Frame, box and score of a face that was still found, and in which round."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Redaction:
    """What is told once."""

    folder: Path | None
    """The result folder with the faces; None: they are covered already, but for those that were still found."""
    out: Path
    """The folder below which files are written."""
    style: Style
    whose: Whose
    raw: bool
    share: bool
    process_bytes: int
    """What the process may hold; 0 is no limit."""


@dataclass(frozen=True, slots=True, kw_only=True)
class RedactSource:
    """A source that is to be written."""

    source: Source
    found: tuple[FoundBox, ...] = ()
    """Faces that were still found in what was written before: they are covered too."""
    base: str | None = None
    """Of what was written before, but for the faces that were still found: if it is another now, they count no more."""
    key: str | None = None
    """Of what was written before and is there: nothing is done if it would be written again."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Moving:
    """So many frames of the source in hand are written."""

    frames: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Doubtful:
    """Frames one after another that a person should look at."""

    doubt: Doubt
    first: int
    last: int
    time_s: float | None
    thumbnail: bytes | None = None
    """JPEG of one of them, as it was written."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Redacted:
    """A source has been written."""

    base: str
    """Tells apart what is written for other faces, or of another file."""
    key: str
    """The same, and with the faces that were still found."""
    target: str
    """Its file below the folder."""
    frames: int
    faces: int
    """That were found and are covered."""
    kept: int
    """That were found and are to be seen."""
    covered: int
    """Places that are covered, in all frames."""
    doubtful: tuple[Doubtful, ...] = ()
    doubts: dict[str, int] = field(default_factory=dict)
    """Frames by doubt."""
    notes: tuple[str, ...] = ()
    codec: str = ""
    is_same: bool = False
    """It was there already."""
    seen: tuple[tuple[int, Box], ...] = ()
    """Where faces are that are to be seen: frame and box; those of whom a detector will find again."""

    lost: tuple[int, ...] = ()
    """Frames that are not in what was written."""

    def to_json(self) -> dict[str, Any]:
        """As the ledger keeps it."""
        told = asdict(self)
        for one in told["doubtful"]:
            one["thumbnail"] = None if one["thumbnail"] is None else base64.b64encode(one["thumbnail"]).decode()
        return told

    @classmethod
    def from_json(cls, told: dict[str, Any]) -> "Redacted":
        """What the ledger keeps.

        Raises:
            KeyError, TypeError, ValueError: it makes no sense.
        """
        doubtful = tuple(
            Doubtful(
                **{
                    **one,
                    "doubt": Doubt(one["doubt"]),
                    "thumbnail": None if one["thumbnail"] is None else base64.b64decode(one["thumbnail"]),
                }
            )
            for one in told["doubtful"]
        )
        seen = tuple((int(frame), (x0, y0, x1, y1)) for frame, (x0, y0, x1, y1) in told["seen"])
        lists = {name: tuple(told[name]) for name in ("notes", "lost")}
        return cls(**{**told, "doubtful": doubtful, "seen": seen, **lists})


@dataclass(frozen=True, slots=True, kw_only=True)
class NotRedacted:
    """A source could not be written, and nothing is there of it."""

    reason: str
    is_memory: bool = False
