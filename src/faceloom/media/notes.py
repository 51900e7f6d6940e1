"""Notes: what was done to a source so that its frames are what a player would show."""

from collections.abc import Iterable
from enum import StrEnum


class Note(StrEnum):
    """Something that was done, or left out, on the way from a file to upright RGB in square pixels."""

    TURNED = "turned upright"
    MIRRORED = "mirrored as the file says"
    SQUARED = "scaled to square pixels"
    DEINTERLACED = "deinterlaced"
    TONE_MAPPED = "HDR tone-mapped to sRGB"
    COLOURS = "colours converted to sRGB"
    PROFILE_IGNORED = "colour profile that cannot be used ignored"
    ASSUMED_BT709 = "untagged HD colours read as BT.709"
    JOINED = "clock starts again: times go on"
    RESIZED = "frames of several sizes"
    LED = "pictures that need others from before the file's start left out"
    CHOSEN = "one of several video streams"
    PAGES = "several pages or pictures"
    NUMBERED = "numbered pictures read as a video"
    MISSING = "numbers of pictures missing: times go on over them"
    SCALED = "values beyond 0..1 or 0..255 scaled"
    BARE = "damaged metadata ignored"


def merged(*several: Iterable[str]) -> tuple[str, ...]:
    """All of these notes, each once, sorted: the same whatever the order in which they were taken."""
    return tuple(sorted({str(note) for notes in several for note in notes}))
