"""Stretches: frames of a video in which somebody is seen without a break, with exact times. Pure."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from fractions import Fraction

import numpy as np
from numpy.typing import NDArray

STANDARD_RATES = tuple(
    Fraction(rate)
    for rate in (Fraction(24000, 1001), 24, 25, Fraction(30000, 1001), 30, 48, 50, Fraction(60000, 1001), 60)
)
"""Frames a second that video has as a rule, and timecodes of an EDL can tell."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Clock:
    """The frames of a video that were looked at, and their times."""

    indexes: NDArray[np.int64]
    """(N,) of the frames, ascending."""
    ticks: NDArray[np.int64] | None
    """(N,) when each is shown; None: nobody knows."""
    tick: Fraction | None
    """Seconds a tick."""

    def __len__(self) -> int:
        return len(self.indexes)

    def place(self, frame: int) -> int:
        """Where a frame stands among those that were looked at."""
        return int(np.searchsorted(self.indexes, frame))

    def start(self, place: int) -> Fraction | None:
        """When the frame at a place is shown, in seconds."""
        if self.ticks is None or self.tick is None:
            return None
        return int(self.ticks[place]) * self.tick

    def end(self, place: int) -> Fraction | None:
        """When the frame at a place is no longer shown, in seconds: when the next one is; the last lasts as most do."""
        if self.ticks is None or self.tick is None:
            return None
        if place + 1 < len(self):
            return self.start(place + 1)
        return int(self.ticks[place]) * self.tick + self._usual_ticks * self.tick

    @property
    def _usual_ticks(self) -> int:
        """How long most frames last; of several such lengths the shortest."""
        if self.ticks is None or len(self) < 2:
            return 0
        lengths, counts = np.unique(np.diff(self.ticks), return_counts=True)
        return int(lengths[counts.argmax()])

    def end_index(self, place: int) -> int:
        """The index of the frame after the one at a place that was looked at; after the last, at the usual distance."""
        if place + 1 < len(self):
            return int(self.indexes[place + 1])
        steps, counts = np.unique(np.diff(self.indexes), return_counts=True)
        return int(self.indexes[place]) + (int(steps[counts.argmax()]) if len(steps) else 1)

    @property
    def rate(self) -> Fraction | None:
        """Frames a second, where that is the same throughout: exactly, or a usual rate to within a tick."""
        if self.ticks is None or self.tick is None or len(self) < 2:
            return None
        frames, passed = self.indexes - self.indexes[0], self.ticks - self.ticks[0]
        if passed[-1] <= 0:
            return None
        if np.array_equal(frames * passed[-1], passed * frames[-1]):
            return Fraction(int(frames[-1]), int(passed[-1])) / self.tick
        tick = self.tick
        for rate in STANDARD_RATES:  # in whole numbers: |passed * tick - frames / rate| <= tick
            a_tick = tick.numerator * rate.numerator
            off = passed * a_tick - frames * (rate.denominator * tick.denominator)
            if (np.abs(off) <= a_tick).all():
                return rate
        return None


@dataclass(frozen=True, slots=True, kw_only=True)
class SeenFace:
    """Somebody in a frame."""

    frame: int
    index: int
    """Of the face in the frame."""
    worth: float
    """How good the face is to look at: its quality, or if nobody knows that, less than any quality."""
    quality: float | None
    chip: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Stretch:
    """Frames of a video in which somebody is seen without a longer break."""

    source: str
    name: str
    """The person, or `track N`."""
    track: int | None
    """The track, where the stretch is one's."""
    first: int
    """Index of its first frame."""
    last: int
    """Index of its last frame."""
    end_index: int
    """Index of the frame that was looked at after it."""
    frames: int
    """In how many of its frames the face is found."""
    start: Fraction | None
    """Seconds from the beginning of the source; None where frames have no times, as the next."""
    end: Fraction | None
    """Seconds, when its last frame is no longer shown."""
    best: SeenFace
    """The face of the best quality in it, the first of those."""


def join(
    sightings: Iterable[SeenFace], clock: Clock, *, source: str, name: str, track: int | None, gap: Fraction | None
) -> Iterator[Stretch]:
    """Joins what is seen of somebody into stretches.

    Args:
        sightings: in the order of their frames; a frame may come more than once.
        clock: of the source.
        source: its name.
        name: of whom.
        track: the track, if the sightings are of one.
        gap: the longest break, in seconds, that does not end a stretch; None: none does.
    """
    some: list[SeenFace] = []
    for one in sightings:
        if some and _is_broken(clock, some[-1].frame, one.frame, gap):
            yield _stretch(some, clock, source=source, name=name, track=track)
            some = []
        some.append(one)
    if some:
        yield _stretch(some, clock, source=source, name=name, track=track)


def _is_broken(clock: Clock, before: int, after: int, gap: Fraction | None) -> bool:
    first, second = clock.place(before), clock.place(after)
    if gap is None or second <= first + 1:
        return False
    end, start = clock.end(first), clock.start(second)
    return end is None or start is None or start - end > gap


def _stretch(some: list[SeenFace], clock: Clock, *, source: str, name: str, track: int | None) -> Stretch:
    first, last = some[0].frame, some[-1].frame
    return Stretch(
        source=source,
        name=name,
        track=track,
        first=first,
        last=last,
        end_index=clock.end_index(clock.place(last)),
        frames=len({one.frame for one in some}),
        start=clock.start(clock.place(first)),
        end=clock.end(clock.place(last)),
        best=max(some, key=lambda one: (one.worth, -one.frame, -one.index)),
    )
