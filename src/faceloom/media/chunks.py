"""Chunks: consecutive frames that go through all phases together and are committed as a whole."""

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from fractions import Fraction

from faceloom.faces import FrameId
from faceloom.faults import Fault
from faceloom.media.sources import Source


@dataclass(frozen=True, slots=True, kw_only=True)
class Unreadable:
    """A frame that cannot be had, and why."""

    id: FrameId
    reason: str
    fault: Fault | None = None
    """Whose fault it is, if not the file's own."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Span:
    """Consecutive frames of one source."""

    source: Source
    first: int
    """Index of the first frame."""
    count: int
    ticks: tuple[int, ...] | None = None
    """Presentation time of each frame in the source's time base; None for a picture, or where there are none."""
    seek_ticks: int | None = None
    """Time of the last keyframe at or before the first frame, where decoding can start."""

    def __len__(self) -> int:
        return self.count

    def part(self, begin: int, end: int) -> "Span":
        """The frames from position `begin` up to, not including, position `end`."""
        ticks = self.ticks and self.ticks[begin:end]
        return replace(self, first=self.first + begin, count=end - begin, ticks=ticks)

    @property
    def indexes(self) -> range:
        """Of the frames in their source."""
        return range(self.first, self.first + self.count)

    def time(self, index: int) -> Fraction | None:
        """Presentation time in seconds of the frame with this index in the source."""
        if self.ticks is None or self.source.time_base is None:
            return None
        return self.ticks[index - self.first] * Fraction(self.source.time_base)


@dataclass(frozen=True, slots=True, kw_only=True)
class Chunk:
    """Spans, of one source or of several short ones, that are committed in one transaction."""

    number: int
    """Tells the chunks of a run apart."""
    spans: tuple[Span, ...]

    def __len__(self) -> int:
        return sum(len(span) for span in self.spans)


def in_order(*parts: Sequence[Span]) -> list[Span]:
    """Spans as their frames follow each other; sources stand in the order in which they first come."""
    spans = [span for part in parts for span in part]
    places = {name: place for place, name in enumerate(dict.fromkeys(span.source.name for span in spans))}
    return sorted(spans, key=lambda span: (places[span.source.name], span.first))


def halves(spans: Sequence[Span]) -> tuple[tuple[Span, ...], tuple[Span, ...]]:
    """The same frames in two parts, the first as long as the second or one frame shorter."""
    return split(spans, sum(map(len, spans)) // 2)


def split(spans: Sequence[Span], room: int) -> tuple[tuple[Span, ...], tuple[Span, ...]]:
    """The first `room` frames, and the others."""
    first: list[Span] = []
    second: list[Span] = []
    for span in spans:
        taken = min(room, len(span))
        room -= taken
        first += [span.part(0, taken)] if taken else []
        second += [span.part(taken, len(span))] if taken < len(span) else []
    return tuple(first), tuple(second)


@dataclass(frozen=True, slots=True, kw_only=True)
class PendingFrame:
    """One frame that is still to be done, as the store lists it."""

    source: Source
    index: int
    ticks: int | None = None
    seek_ticks: int | None = None

    @property
    def starts(self) -> bool:
        """Whether reading can begin here with nothing decoded in vain."""
        return self.index == 0 or (self.ticks is not None and self.ticks == self.seek_ticks)


def cut_chunks(
    frames: Iterable[PendingFrame], *, frames_a_chunk: Callable[[], int], block: int = 1
) -> Iterator[tuple[Span, ...]]:
    """Cuts what is to be done into the spans of chunks of at most `frames_a_chunk` frames, asked anew for each.

    Wherever a keyframe or a new source lies in the second half of what a chunk may hold, the cut is there,
    so that a run which begins with the next chunk decodes nothing in vain. Where faces are followed through `block`
    frames, it is where a block begins, if one does.
    """
    held: list[PendingFrame] = []
    for frame in frames:
        while len(held) >= (most := frames_a_chunk()):
            cut = _cut_at([*held, frame][: most + 1], block)
            yield tuple(spans_of(held[:cut]))
            held = held[cut:]
        held.append(frame)
    while held:
        most = frames_a_chunk()
        yield tuple(spans_of(held[:most]))
        held = held[most:]


def _cut_at(frames: Sequence[PendingFrame], block: int) -> int:
    """How many of all but the last of these frames make the chunk."""
    full = len(frames) - 1
    second_half = range(full, full // 2, -1)
    starts = [i for i in second_half if frames[i].starts]
    if block > 1:
        blocks = [i for i in second_half if frames[i].index == 0 or _begins_block(frames[i - 1], frames[i], block)]
        return next((i for i in starts if i in blocks), next(iter(blocks), full))
    return next(iter(starts), full)


def _begins_block(before: PendingFrame, frame: PendingFrame, block: int) -> bool:
    return before.source.name != frame.source.name or before.index // block != frame.index // block


def spans_of(frames: Sequence[PendingFrame]) -> Iterator[Span]:
    """Consecutive frames together."""
    begin = 0
    for i in range(1, len(frames) + 1):
        if i < len(frames) and _follows(frames[i - 1], frames[i]):
            continue
        yield _span(frames[begin:i])
        begin = i


def _follows(one: PendingFrame, other: PendingFrame) -> bool:
    return one.source.name == other.source.name and one.index + 1 == other.index


def _span(frames: Sequence[PendingFrame]) -> Span:
    first = frames[0]
    ticks = tuple(frame.ticks for frame in frames if frame.ticks is not None)
    return Span(
        source=first.source,
        first=first.index,
        count=len(frames),
        ticks=ticks if len(ticks) == len(frames) else None,
        seek_ticks=first.seek_ticks,
    )
