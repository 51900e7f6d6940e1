"""Recording: a live source is covered while it comes, and written to a file that can be played whenever it ends."""

from collections import Counter, deque
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass, field, replace
from fractions import Fraction
from functools import partial
from pathlib import Path
from typing import Any

import av
import numpy as np

from faceloom.api import stream
from faceloom.errors import MediaError
from faceloom.faces import Image
from faceloom.frame import Frame
from faceloom.media.live import LiveFrame, LiveSource
from faceloom.redacting.covering import Covers, Doubt
from faceloom.redacting.encoded import EncodedFilm
from faceloom.redacting.holding import FrameDelay, HeldFrame
from faceloom.redacting.messages import Doubtful, Redacted
from faceloom.redacting.painting import Plane, paint, paint_all
from faceloom.redacting.sequences import as_decoded
from faceloom.redacting.shapes import Shape2D
from faceloom.redacting.stamps import read_stamp
from faceloom.redacting.styles import Style
from faceloom.redacting.written import OnFrames
from faceloom.thumbnails import to_jpeg
from faceloom.units import MIB

_BASE = Fraction(1, 90_000)
_STEP = 3600
"""Ticks from one frame to the next where nobody tells their times."""
_FARTHEST = 10 * 90_000
"""Ticks by which times may go on: what jumps farther, or back, is a clock that was set anew."""
_FRAGMENTS = {
    "movflags": "empty_moov+default_base_moof",
    "frag_duration": "1000000",  # microseconds: what a kill costs
    "fflags": "+bitexact+flush_packets",
}
MOST_HELD_BYTES = 512 * MIB
_SHOWN_OF_A_KIND = 4


@dataclass(slots=True)
class _RunningClock:
    """Times of what comes, as they go on where a source's own begin again."""

    last: int = -1
    offset: int = 0
    jumps: int = 0

    def ticks(self, time: Fraction | None) -> int:
        """Of a frame with this time: later than that of the one before."""
        told = self.last + _STEP - self.offset if time is None else round(time / _BASE)
        if self.last < 0:
            self.offset = -told
        elif not self.last < told + self.offset <= self.last + _FARTHEST:
            self.jumps += told + self.offset != self.last  # two frames of one time are no jump
            self.offset = self.last + _STEP - told
        self.last = told + self.offset
        return self.last


@dataclass(slots=True)
class _Doubts:
    """Runs of frames that a person should look at: all are counted, and the first of each kind shown."""

    counts: Counter[str] = field(default_factory=Counter)
    shown: list[Doubtful] = field(default_factory=list)
    _open: dict[Doubt, int] = field(default_factory=dict)
    """By doubt the place in `shown` of a run that goes on, or -1 if it is not shown; with the frame it has come to."""
    _last: dict[Doubt, int] = field(default_factory=dict)

    def begin(self, frame: int, doubts: set[Doubt]) -> set[Doubt]:
        """Counts those of a frame; of which of them a thumbnail is wanted, since a run begins."""
        wanted = set()
        for doubt in doubts:
            self.counts[str(doubt)] += 1
            goes_on = self._last.get(doubt) == frame - 1
            self._last[doubt] = frame
            if goes_on:
                place = self._open[doubt]
                if place >= 0:
                    self.shown[place] = replace(self.shown[place], last=frame)
            elif sum(one.doubt is doubt for one in self.shown) < _SHOWN_OF_A_KIND:
                wanted.add(doubt)
            else:
                self._open[doubt] = -1
        return wanted

    def show(self, doubt: Doubt, frame: int, time_s: float, thumbnail: Image | None) -> None:
        """A run that begins here is one of those that are shown."""
        self._open[doubt] = len(self.shown)
        picture = None if thumbnail is None else to_jpeg(thumbnail)
        self.shown.append(Doubtful(doubt=doubt, first=frame, last=frame, time_s=time_s, thumbnail=picture))


class Recording:
    """One live source, from its first frame to its end."""

    def __init__(self, source: LiveSource, style: Style, *, delay_s: float, told: dict[str, Any]) -> None:
        """Of a source; `told` is what `stream` is told of the detector."""
        self._source = source
        self._style = style
        self._told = told
        self._stamp = None if style.picture is None else read_stamp(style.picture)
        self._holding = FrameDelay(style, delay_s=delay_s, most_bytes=MOST_HELD_BYTES)
        self._clock = _RunningClock()
        self._doubts = _Doubts()
        self._pending: deque[LiveFrame] = deque()
        self._problems: list[str] = []
        self._frames = self._faces = self._covered = self._dropped = 0

    def write(self, target: Path, name: str, *, on_frames: OnFrames, should_stop: Callable[[], bool]) -> Redacted:
        """Writes it until it ends, or somebody says that it is enough.

        Raises:
            MediaError: it cannot be opened, or gives no frame.
        """
        with ExitStack() as stack:
            opened = stack.enter_context(av.open(str(target), "w", format="mp4", options=dict(_FRAGMENTS)))
            film = EncodedFilm(opened, base=_BASE, rate=None, quality=self._style.quality, stamp=self._stamp)
            for frame, covers, number in self._covered_frames(should_stop):
                self._add(film, frame, covers, number)
                on_frames(self._frames)
            if not film.has_begun:
                raise MediaError(f"no frame came from {self._source.name}: {'; '.join(self._problems) or 'it ended'}")
            film.end()
        return Redacted(
            base=name,
            key=name,
            target=name,
            frames=self._frames,
            faces=self._faces,
            kept=0,
            covered=self._covered,
            doubtful=tuple(self._doubts.shown),
            doubts=dict(self._doubts.counts),
            notes=tuple(self._notes(film)),
            codec=film.codec,
        )

    def _covered_frames(self, should_stop: Callable[[], bool]) -> Iterator[tuple[HeldFrame, Covers, int]]:
        for index, found in enumerate(stream(self._images(should_stop), **self._told)):
            yield from self._holding.add(self._held(index, self._pending.popleft(), found))
        yield from self._holding.end()

    def _images(self, should_stop: Callable[[], bool]) -> Iterator[Image]:
        for taken in self._source.taken(should_stop):
            self._dropped += taken.dropped
            if not taken.frame.image.size:
                self._problems.append(taken.frame.problem or "a frame that cannot be read")
                continue
            self._pending.append(taken)
            yield taken.frame.image

    def _held(self, index: int, taken: LiveFrame, found: Frame) -> HeldFrame:
        ticks = self._clock.ticks(taken.frame.time)
        height, width = taken.frame.image.shape[:2]
        self._faces += len(found.faces)
        return HeldFrame(
            index=index,
            time_s=float(ticks * _BASE),
            ticks=ticks,
            decoded=taken.decoded or as_decoded(taken.frame.image),
            size=(height, width),
            boxes=np.array([face.box for face in found.faces], np.float32).reshape(-1, 4),
            scores=np.array([face.score for face in found.faces], np.float32),
            is_seen=found.problem is None,
        )

    def _add(self, film: EncodedFilm, frame: HeldFrame, covers: Covers, number: int) -> None:
        rows = covers.rows_of(number)
        doubts = {doubt for row in rows if (doubt := covers.doubts[row]) is not None}
        doubts |= set() if frame.is_seen else {Doubt.UNSEEN}
        wanted = self._doubts.begin(frame.index, doubts)
        shown = film.add(frame.decoded, frame.ticks, partial(self._paint, frame, covers, rows, bool(wanted)))
        for doubt in sorted(wanted):
            self._doubts.show(doubt, frame.index, frame.time_s, shown)
        self._frames += 1
        self._covered += len(rows)

    def _paint(self, frame: HeldFrame, covers: Covers, rows: range, is_shown: bool, planes: list[Plane]) -> bool:
        style = self._style
        if not frame.is_seen:
            paint_all(planes)
        for row in rows if frame.is_seen else ():
            box = covers.boxes[row]
            shape = Shape2D(box=box, over=style.over, margin=style.margin, feather=style.feather)
            paint(planes, shape, style.fill)
        return is_shown

    def _notes(self, film: EncodedFilm) -> Iterator[str]:
        yield from sorted(film.notes)
        yield "sound is left out: pictures alone are taken of live sources"
        if self._dropped:
            yield f"{self._dropped:,} frames were dropped, not to be late; their times are left out"
        if self._clock.jumps:
            yield f"{self._clock.jumps:,} times its clock was set anew; times go on"
        if self._holding.hurried:
            yield f"{self._holding.hurried:,} frames were written sooner than --delay says: they took too much memory"
        problems = list(dict.fromkeys(self._problems))
        yield from problems[:_SHOWN_OF_A_KIND]
