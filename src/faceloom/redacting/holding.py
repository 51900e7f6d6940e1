"""Holding: frames of a live source wait until it is known what has to be covered in them, and no longer than agreed.

With as long a wait as gaps are filled over, the same is covered as in a file. With a shorter one nobody knows yet
whether a face that is missing will be back; it is covered as long as it could be.
"""

from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from faceloom.media.decoding import Decoded
from faceloom.redacting.covering import Covers, SeenFaces, cover
from faceloom.redacting.styles import Style
from faceloom.redacting.tracks import tracks_of

_TOGETHER_S = 0.2
"""Frames whose covers are found together: finding tracks anew for each would take longer than the detector."""
_PAST = 2.0
"""How many times as far back as a gap is long faces are remembered: they tell how their tracks move."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class HeldFrame:
    """A frame in which somebody has looked for faces."""

    index: int
    time_s: float
    ticks: int
    decoded: Decoded
    size: tuple[int, int]
    """Upright height and width."""
    boxes: NDArray[np.float32]
    """(N, 4)"""
    scores: NDArray[np.float32]
    is_seen: bool = True
    """Whether the detector could look at it."""

    @property
    def held_bytes(self) -> int:
        """What holding it takes."""
        given = self.decoded.frame
        return sum(plane.buffer_size for plane in given.planes)


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class _Past:
    """What is remembered of a frame."""

    time_s: float
    size: tuple[int, int]
    boxes: NDArray[np.float32]
    scores: NDArray[np.float32]


class FrameDelay:
    """The frames that wait, and the faces of those that went before."""

    def __init__(self, style: Style, *, delay_s: float, most_bytes: int) -> None:
        """Frames wait `delay_s`, or until they take more than so many bytes."""
        self._delay_s = delay_s
        self._most_bytes = most_bytes
        self._gap_s = style.fill_s
        self._hold_s = max(style.hold_s, style.fill_s - delay_s)
        self._waiting: deque[HeldFrame] = deque()
        self._past: deque[_Past] = deque()
        self._bytes = 0
        self.hurried = 0
        """How many frames did not wait as long as they should."""

    def add(self, frame: HeldFrame) -> Iterator[tuple[HeldFrame, Covers, int]]:
        """Takes a frame; gives those that have waited, with covers, and by which number these call each of them."""
        self._waiting.append(frame)
        self._bytes += frame.held_bytes
        ready = sum(one.time_s <= frame.time_s - self._delay_s for one in self._waiting)
        is_full = self._bytes > self._most_bytes
        if ready and (is_full or frame.time_s - self._waiting[0].time_s >= self._delay_s + _TOGETHER_S):
            yield from self._given(ready)
        elif is_full:
            self.hurried += 1
            yield from self._given(1)

    def end(self) -> Iterator[tuple[HeldFrame, Covers, int]]:
        """The rest of them: nothing more will come."""
        yield from self._given(len(self._waiting))

    def _given(self, count: int) -> Iterator[tuple[HeldFrame, Covers, int]]:
        if not count:
            return
        covers, first = self._covers(), len(self._past)
        for number in range(first, first + count):
            frame = self._waiting.popleft()
            self._bytes -= frame.held_bytes
            yield frame, covers, number
            self._past.append(_remembered(frame))
        reach = _PAST * max(self._gap_s, self._hold_s)
        while self._past and self._past[0].time_s < self._past[-1].time_s - reach:
            self._past.popleft()

    def _covers(self) -> Covers:
        known = [*self._past, *map(_remembered, self._waiting)]
        times = np.array([one.time_s for one in known])
        counts = [len(one.boxes) for one in known]
        frames = np.repeat(np.arange(len(known), dtype=np.int64), counts)
        boxes = np.concatenate([one.boxes for one in known]).astype(np.float32)
        seen = SeenFaces(
            frames=frames,
            boxes=boxes,
            scores=np.concatenate([one.scores for one in known]).astype(np.float32),
            tracks=tracks_of(frames, frames, times[frames], boxes) if len(frames) else frames,
            indexes=np.full(len(frames), -1, np.int64),
            sizes=np.repeat(np.array([one.size for one in known], np.int64), counts, axis=0),
        )
        return cover(seen, times, gap_s=self._gap_s, hold_s=self._hold_s)


def _remembered(frame: HeldFrame) -> _Past:
    return _Past(time_s=frame.time_s, size=frame.size, boxes=frame.boxes, scores=frame.scores)
