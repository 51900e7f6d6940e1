"""The queue: which chunk is next and for which worker, and what becomes of chunks that could not be done."""

from collections import deque
from collections.abc import Callable, Hashable, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import count

from faceloom.media.chunks import Chunk, PendingFrame, Span, cut_chunks, halves, split

_LONGEST_GROUP = 8
SHORTEST_CHUNK_FRAMES = 8
"""Where frames take no time to speak of, shorter chunks gain nothing."""
_SHORTEST_CHUNK_S = 1.0
"""Where frames take long, chunks are shorter: for about so long a worker is alone at the end."""


def shortest_chunk(frame_s: float) -> int:
    """The fewest frames of a chunk, by the seconds that a frame takes."""
    if frame_s * SHORTEST_CHUNK_FRAMES <= _SHORTEST_CHUNK_S:
        return SHORTEST_CHUNK_FRAMES
    return max(1, int(_SHORTEST_CHUNK_S / frame_s))


def idlest(open_chunks: Sequence[int], most: int) -> int | None:
    """Of workers with so many chunks each, the place of the one that gets the next: the first with the fewest.

    None if all have `most`.
    """
    fewest = min(open_chunks, default=most)
    return open_chunks.index(fewest) if fewest < most else None


@dataclass(frozen=True, slots=True)
class Attempt:
    """Spans that are to be done, and what went wrong in earlier attempts."""

    spans: tuple[Span, ...]
    deaths: int = 0
    """How many workers died over these spans."""
    starved: int = 0
    """How often there was too little memory for them."""
    continues: bool = False
    """Whether a worker that has not just done the frames before has to start reading at an earlier keyframe."""
    barred: frozenset[str] = frozenset()
    """Devices that could not do it, and should not try again while there are others."""

    @property
    def is_starving(self) -> bool:
        """Whether there was too little memory for it even under the best plan."""
        return self.starved > 1

    def __len__(self) -> int:
        return sum(map(len, self.spans))

    def halves(self) -> list["Attempt"]:
        """The same frames as two attempts, or as one if there is only one."""
        return [replace(self, spans=spans) for spans in halves(self.spans) if spans]


class ChunkQueue:
    """Deals out chunks. What has to be done again comes first; frames that need the same keyframe go to one worker."""

    def __init__(
        self,
        frames: Iterable[PendingFrame],
        frames_a_chunk: Callable[[], int],
        *,
        first: int = 0,
        block: int = 1,
    ) -> None:
        """Cuts these frames into chunks of so many, whose numbers begin with `first`; see `cut_chunks`."""
        self._cuts = cut_chunks(frames, frames_a_chunk=frames_a_chunk, block=block)
        self._again: deque[Attempt] = deque()
        self._groups: dict[Hashable, deque[Attempt]] = {}
        self._ahead: Attempt | None = None
        self._numbers = count(first)
        self._begun: dict[int, Attempt] = {}
        self._twins: dict[int, int] = {}
        """Of chunks that two workers have, the number of each by that of the other."""
        self.frames_cut = 0
        """How many frames have been cut into chunks so far."""

    def is_starving(self, device: str = "") -> bool:
        """Whether an attempt that had too little memory under the best plan waits for this device."""
        return any(attempt.is_starving and device not in attempt.barred for attempt in self._again)

    def begin(self, worker: Hashable, *, device: str = "", starving: bool = False) -> Chunk | None:
        """The next chunk for a worker on a device; None when there is none for it.

        Args:
            worker: whoever it is.
            device: what it drives.
            starving: whether it is to do what has found too little memory, and only that.
        """
        attempt = self._next(worker, device, starving)
        if attempt is None:
            return None
        number = next(self._numbers)
        self._begun[number] = attempt
        return Chunk(number=number, spans=attempt.spans)

    def is_single(self, number: int) -> bool:
        """Whether only one worker has this chunk."""
        return number in self._begun and number not in self._twins

    def double(self, number: int) -> Chunk:
        """The same chunk once more, for another worker: the one that is done first counts."""
        attempt, twin = self._begun[number], next(self._numbers)
        self._begun[twin] = attempt
        self._twins |= {number: twin, twin: number}
        return Chunk(number=twin, spans=attempt.spans)

    def _part(self, number: int) -> int | None:
        """Parts a chunk from its twin, if it has one."""
        twin = self._twins.pop(number, None)
        if twin is not None:
            del self._twins[twin]
        return twin

    def end(self, number: int, frames: int) -> int | None:
        """Notes that the first `frames` of a chunk are done; the others are put back.

        Returns the number of the same chunk that another worker has, which is of no more use.
        """
        attempt = self._begun.pop(number)
        twin = self._part(number)
        if twin is not None:
            del self._begun[twin]
        _, rest = split(attempt.spans, frames)
        if rest:
            self._again.appendleft(Attempt(rest))
        return twin

    def lose(self, number: int) -> Attempt:
        """Takes back a chunk that was not done; the caller decides how it is tried again.

        Nothing is left of one that another worker has as well.
        """
        attempt = self._begun.pop(number)
        return attempt if self._part(number) is None else Attempt(())

    def retry(self, *attempts: Attempt) -> None:
        """Puts attempts before everything else."""
        self._again.extendleft(attempt for attempt in reversed(attempts) if attempt)

    def forget_devices(self) -> None:
        """Lets every device try everything again, since there are fewer devices now."""
        self._again = deque(replace(attempt, barred=frozenset()) for attempt in self._again)

    def leave(self, worker: Hashable) -> None:
        """Notes that a worker is gone; the chunks laid aside for it go to the others."""
        self._again.extend(self._groups.pop(worker, ()))

    def _next(self, worker: Hashable, device: str, starving: bool) -> Attempt | None:
        for attempt in self._again:
            if attempt.is_starving is starving and device not in attempt.barred:
                self._again.remove(attempt)
                return attempt
        if starving:
            return None
        group = self._groups.setdefault(worker, deque())
        if not group:
            group.extend(self._cut_group())
        if not group:
            return next((other.pop() for other in self._groups.values() if other), None)
        return group.popleft()

    def _cut_group(self) -> Iterator[Attempt]:
        """The next chunk, with those after it that begin between the same keyframe and the next."""
        for length in range(_LONGEST_GROUP):
            attempt = self._ahead or self._cut()
            self._ahead = None
            if attempt is None:
                return
            if length and not attempt.continues:
                self._ahead = attempt
                return
            yield attempt

    def _cut(self) -> Attempt | None:
        spans = next(self._cuts, None)
        if spans is None:
            return None
        self.frames_cut += sum(map(len, spans))
        first = spans[0]
        starts = first.first == 0 or (first.ticks is not None and first.ticks[0] == first.seek_ticks)
        return Attempt(spans, continues=not starts)
