"""Passes in this process: frames come with what is known of them after each pass, chunk by chunk, in order."""

from collections import defaultdict, deque
from collections.abc import Generator, Iterable, Iterator, Sequence
from contextlib import closing
from dataclasses import dataclass, replace
from functools import partial
from typing import TypeAlias, TypeVar

import numpy as np

from faceloom.faces import Face, FrameId
from faceloom.frame import Frame
from faceloom.job import Job
from faceloom.media.chunks import Unreadable
from faceloom.media.excerpts import WHOLE, Excerpt
from faceloom.media.reading import Read
from faceloom.pipeline.faces import TOGETHER, Failure, size_of
from faceloom.pipeline.lanes import Feed, StarvedError
from faceloom.store.frames import STARVED
from faceloom.worker.live import Item, LiveWorker, PlacedId, keeping

_Any = TypeVar("_Any")
Reads: TypeAlias = tuple[Sequence[Read], bool]
"""Reads of frames that are in memory together, and whether they may run side by side."""


@dataclass(slots=True)
class _Waiting:
    """A frame between two passes."""

    frame: Frame | Unreadable
    faces: list[Face]
    problems: list[str]


class Pass:
    """One pass over the frames of a chunk: iterate over it once, for frames with what is known of their faces by then.

    What is not taken of it is done when the next pass is taken.
    """

    def __init__(self, frames: Iterator[Frame], stages: Sequence[str], *, number: int, count: int, chunk: int) -> None:
        """A pass, 1-based, of so many over the frames of a chunk, 1-based too."""
        self._frames = frames
        self.stages = tuple(stages)
        """The names of the stages whose networks run in it."""
        self.number = number
        """1 for the first pass over a chunk."""
        self.count = count
        """How many passes each chunk has."""
        self.chunk = chunk
        """1 for the first chunk; there is only one if everything fits into one pass."""

    @property
    def is_last(self) -> bool:
        """True if all is known of the frames when they come."""
        return self.number == self.count

    @property
    def text(self) -> str:
        """The pass in words: `pass 1 of 2: detect/yunet, align/facemesh`."""
        return f"pass {self.number} of {self.count}: {', '.join(self.stages) or 'no network'}"

    def __iter__(self) -> Iterator[Frame]:
        return self._frames

    def __repr__(self) -> str:
        return f"<Pass {self.number} of {self.count}, chunk {self.chunk}: {', '.join(self.stages)}>"


class PassWorker(LiveWorker):
    """Takes files, folders and arrays through the passes of a plan, and writes nothing."""

    def __init__(self, job: Job, excerpt: Excerpt = WHOLE, *, together: int, keeps_frames: bool) -> None:
        """A worker that has so many frames in memory at once, or, with `keeps_frames`, those of a chunk."""
        super().__init__(job, excerpt, together=together)
        self._keeps_frames = keeps_frames

    def passes(self, items: Iterable[Item]) -> Iterator[Pass]:
        """Yields the passes over each chunk of the items, in order."""
        phases = self._job.plan.phases
        groups = _Groups(self._groups(items))
        chunk = 0
        while not groups.is_at_end:
            chunk += 1
            held: deque[_Waiting] = deque()
            for number, phase in enumerate(phases):
                frames = self._first(groups, held) if number == 0 else self._later(number, held)
                stages = [placement.stage for placement in phase.placements]
                with closing(frames):
                    yield Pass(frames, stages, number=number + 1, count=len(phases), chunk=chunk)
                    deque(frames, maxlen=0)

    def _first(self, groups: "_Groups", held: "deque[_Waiting]") -> Generator[Frame, None, None]:
        """The first pass: frames are read, and those of a chunk are held without their pixels."""
        frames = held_bytes = 0
        is_only = len(self._job.plan.phases) == 1
        while (group := groups.take()) is not None:
            for one in self._read(*group):
                yield self._shown(one)
                if is_only:
                    continue
                if not self._keeps_frames and isinstance(one.frame, Frame):
                    one.frame = replace(one.frame, image=np.zeros((0, 0, 3), np.uint8))
                held.append(one)
                frames += 1
                held_bytes += sum(map(size_of, one.faces))
                held_bytes += one.frame.image.nbytes if isinstance(one.frame, Frame) else 0
            plan = self._job.plan
            if not is_only and (frames >= plan.chunk_frames or held_bytes >= plan.keep_bytes):
                return

    def _later(self, number: int, held: "deque[_Waiting]") -> Generator[Frame, None, None]:
        """A later pass: networks are given the faces of a few frames at a time."""
        is_last = number == len(self._job.plan.phases) - 1
        placements = self._job.plan.phases[number].placements
        wanted = max([TOGETHER, *(placement.batch for placement in placements)])
        left = len(held)
        while left:
            some: list[_Waiting] = []
            while left and (not some or sum(len(one.faces) for one in some) < wanted):
                some.append(held.popleft())
                left -= 1
            self._learn(number, some)
            for one in some:
                yield self._shown(one)
                if not is_last:
                    held.append(one)

    def _read(self, reads: Sequence[Read], parallel: bool) -> list[_Waiting]:
        """Frames that are in memory together, in order, after the first phase; one by one if memory is short."""
        kept: dict[PlacedId, Frame | Unreadable] = {}
        source = Feed(reads=(keeping(read, kept, place) for place, read in enumerate(reads)), parallel=parallel)
        try:
            results = self._worker.run_phase(0, source)
        except StarvedError as error:
            if len(reads) > 1:
                again = {placed.place: partial(_same, frame) for placed, frame in kept.items()}
                return [one for i, read in enumerate(reads) for one in self._read([again.get(i, read)], False)]
            if not kept:
                raise
            (frame,) = kept.values()
            return [_Waiting(frame, [], [f"{STARVED}{error}"])]
        found = {placed.place: _Waiting(frame, [], []) for placed, frame in kept.items()}
        for item in results:
            if isinstance(item, Face):
                found[_place_of(item.frame)].faces.append(item)
            elif isinstance(item, Failure):
                found[_place_of(item.frame)].problems.append(item.reason)
        return [found[place] for place in sorted(found)]

    def _learn(self, number: int, some: Sequence[_Waiting]) -> None:
        """Gives the faces of frames what the networks of a phase make of them; frame by frame if memory is short."""
        faces = [replace(face, frame=_placed(face.frame, i)) for i, one in enumerate(some) for face in one.faces]
        source = Feed(reads=(partial(_same, face) for face in faces), parallel=True)
        try:
            results = self._worker.run_phase(number, source)
        except StarvedError as error:
            if len(some) == 1:
                some[0].problems.append(f"{STARVED}{error}")
                return
            for one in some:
                self._learn(number, [one])
            return
        learned: dict[int, list[Face]] = defaultdict(list)
        for item in results:
            if isinstance(item, Face):
                learned[_place_of(item.frame)].append(item)
            elif isinstance(item, Failure):
                some[_place_of(item.frame)].problems.append(item.reason)
        for i, one in enumerate(some):
            one.faces = learned[i]

    def _shown(self, one: _Waiting) -> Frame:
        """A frame as the caller sees it."""
        return self._frame(one.frame, one.faces, one.problems)


class _Groups:
    """Groups of reads; only between chunks one is looked for before it is taken."""

    def __init__(self, groups: Iterator[Reads]) -> None:
        self._groups = groups
        self._next: Reads | None = None

    @property
    def is_at_end(self) -> bool:
        self._next = self._next or next(self._groups, None)
        return self._next is None

    def take(self) -> Reads | None:
        group, self._next = self._next or next(self._groups, None), None
        return group


def _same(item: _Any) -> _Any:
    return item


def _placed(frame: FrameId, place: int) -> PlacedId:
    return PlacedId(frame.source, frame.index, place)


def _place_of(frame: FrameId) -> int:
    assert isinstance(frame, PlacedId), "frames in hand have places"
    return frame.place
