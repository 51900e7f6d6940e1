"""Excerpts: which frames of a video are wanted."""

import math
import re
from dataclasses import dataclass
from fractions import Fraction
from typing import TypeAlias

import numpy as np

from faceloom.errors import MediaError, RequestError
from faceloom.media.sources import VideoIndex

Position: TypeAlias = int | Fraction
"""In a video: the index of a frame, or a presentation time in seconds."""
_FRAME = re.compile(r"(\d+)f")
_TIME = re.compile(r"(?:(?:(\d+):)?(\d+):)?(\d+(?:\.\d+)?)")


def parse_position(text: str) -> Position:
    """A place in a video: seconds (`83.5`), `1:23.5`, `1:02:03`, or the index of a frame (`250f`).

    Raises:
        RequestError: the text is none of these.
    """
    if frame := _FRAME.fullmatch(text.strip()):
        return int(frame[1])
    if time := _TIME.fullmatch(text.strip()):
        return int(time[1] or 0) * 3600 + int(time[2] or 0) * 60 + Fraction(time[3])
    raise RequestError(f"{text!r} is no place in a video; write a time like 83.5 or 1:23.5, or a frame like 250f")


def in_words(position: Position) -> str:
    """A place in a video, exactly: `250f`, `167/2 s`."""
    return f"{position}f" if isinstance(position, int) else f"{position} s"


@dataclass(frozen=True, slots=True, kw_only=True)
class Excerpt:
    """Every n-th frame from a place to another; of all videos, and of pictures nothing."""

    every: int = 1
    start: Position | None = None
    """The first frame at or after it is the first."""
    end: Position | None = None
    """The first frame at or after it is wanted no more."""

    def frames(self, index: VideoIndex) -> range:
        """Indexes of the wanted frames of a video; they keep their own, and their times.

        Raises:
            MediaError: there is no telling, since the video has no times that can be trusted.
        """
        count = len(index.keyframes)
        first = 0 if self.start is None else _frame_at(self.start, index)
        last = count if self.end is None else _frame_at(self.end, index)
        return range(min(first, count), min(last, count), self.every)


WHOLE = Excerpt()


def _frame_at(position: Position, index: VideoIndex) -> int:
    """Index of the first frame at or after a place."""
    if isinstance(position, int):
        return position
    if index.ticks is None:
        message = (
            "it has no presentation times that can be trusted, so that no time can be found in it: name frames, like"
            " 250f, for --start and --end"
        )
        raise MediaError(message)
    return int(np.searchsorted(index.ticks, math.ceil(position / index.time_base)))
