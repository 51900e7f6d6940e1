"""Extents: where in a file the packets of a video lie, and which of them some frames need."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from faceloom.errors import MediaError
from faceloom.media.chunks import PendingFrame
from faceloom.media.parts import ByteRange, joined_ranges, total_bytes

_MORE_PACKETS = 24
"""A decoder holds up to 16 pictures before it gives the first of them (H.264, A.3.1), and some are looked at ahead."""
FIRST_PACKETS = 12 + _MORE_PACKETS
"""From which the first frames are decoded, when a video is counted."""
_GAP_BYTES = 1 << 18
"""Of sound between pictures: a request more would take longer than these bytes."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Extents:
    """The packets of a video, in the order of decoding."""

    ticks: NDArray[np.int64]
    """Presentation times."""
    offsets: NDArray[np.int64]
    sizes: NDArray[np.int64]
    keyframes: NDArray[np.bool_]

    def ranges(self, first: int, stop: int) -> tuple[ByteRange, ...]:
        """Where the packets lie that come in these places of the order."""
        begins = self.offsets[first:stop]
        ends = begins + self.sizes[first:stop]
        return joined_ranges(zip(begins.tolist(), ends.tolist(), strict=True), gap=_GAP_BYTES)


@dataclass(frozen=True, slots=True, kw_only=True)
class Window:
    """Frames of a video that are done together, and the bytes that they need."""

    frames: range
    """Their indexes, and those between."""
    ranges: tuple[ByteRange, ...]


def cut_windows(
    extents: Extents, frames: Iterable[PendingFrame], *, most_bytes: int, block: int = 1
) -> Iterator[Window]:
    """Cuts frames into windows, at keyframes; of each the bytes from one keyframe before to a few packets after.

    Args:
        extents: of the video.
        frames: in order, all of this video.
        most_bytes: of a window.
        block: how many frames faces are followed through, which begins before the first.

    Raises:
        MediaError: what lies between two keyframes is larger than a window, or a time is not among the packets'.
    """
    held: range | None = None
    ranges: tuple[ByteRange, ...] = ()
    for group, needed in _groups(extents, frames, block):
        both = joined_ranges([*ranges, *needed])
        if held is not None and total_bytes(both) > most_bytes:
            yield Window(frames=held, ranges=ranges)
            held, both = None, needed
        if total_bytes(both) > most_bytes:
            message = (
                f"from one keyframe to the next there are {total_bytes(both):,} bytes, and room for {most_bytes:,}"
            )
            raise MediaError(message)
        held = range(group.start if held is None else held.start, group.stop)
        ranges = both
    if held is not None:
        yield Window(frames=held, ranges=ranges)


def _groups(
    extents: Extents, frames: Iterable[PendingFrame], block: int
) -> Iterator[tuple[range, tuple[ByteRange, ...]]]:
    """Frames that are decoded from the same keyframe, and what they need."""
    keys = np.flatnonzero(extents.keyframes)
    place_of = {int(extents.ticks[key]): place for place, key in enumerate(keys)}
    seek: int | None = None
    first = last = -1
    for frame in frames:
        if frame.seek_ticks is None:
            raise MediaError("its frames have no times that can be trusted")
        if frame.seek_ticks != seek and seek is not None:
            yield range(first, last + 1), _needed(extents, keys, place_of.get(seek), block)
        if frame.seek_ticks != seek:
            seek, first = frame.seek_ticks, frame.index
        last = frame.index
    if seek is not None:
        yield range(first, last + 1), _needed(extents, keys, place_of.get(seek), block)


def _needed(extents: Extents, keys: NDArray[np.intp], place: int | None, block: int) -> tuple[ByteRange, ...]:
    """The bytes of what is decoded from a keyframe.

    From the one before it, of which interlaced pictures are made too, and from the one before what faces are followed
    from; to some packets after the next one.
    """
    if place is None:
        raise MediaError("its frames cannot be found by their times")
    begin = int(keys[max(0, place - 1)])
    if block > 1:
        followed = int(keys[place]) - block - _MORE_PACKETS
        begin = min(begin, int(keys[max(0, int(np.searchsorted(keys, followed, side="right")) - 2)]))
    end = int(keys[place + 1]) if place + 1 < len(keys) else len(extents.ticks)
    return extents.ranges(begin, end + _MORE_PACKETS)
