"""A worker in this process that yields frames with their faces, a few frames at a time."""

from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from functools import partial
from itertools import count
from pathlib import Path
from types import TracebackType
from typing import Any, Self, TypeAlias

import numpy as np

from faceloom.errors import MediaError, RequestError
from faceloom.faces import Face, FrameId, Image
from faceloom.frame import Frame
from faceloom.job import Job
from faceloom.media.chunks import PendingFrame, Unreadable, cut_chunks
from faceloom.media.excerpts import WHOLE, Excerpt
from faceloom.media.headers import look
from faceloom.media.live import LiveSettings, LiveSource, is_live
from faceloom.media.reading import FrameReader, Read, read_still
from faceloom.media.sources import Source, SourceKind, find_sources
from faceloom.media.video_index import index_video
from faceloom.pipeline.faces import Failure
from faceloom.pipeline.finishing import draw_masks
from faceloom.pipeline.lanes import Feed, Final
from faceloom.worker.worker import Worker

Item: TypeAlias = str | Path | Image

_USUAL = LiveSettings()
TOGETHER = 8
"""How many frames are in memory at once; enough to keep the lanes busy."""


@dataclass(frozen=True, slots=True, order=True)
class PlacedId(FrameId):
    """A frame among those that are done together, where two may have the same name: files of two folders, or one file
    that was named twice.
    """

    place: int


class LiveWorker:
    """Takes files, folders and arrays through a plan, and writes nothing."""

    def __init__(
        self, job: Job, excerpt: Excerpt = WHOLE, *, together: int = TOGETHER, live: LiveSettings = _USUAL
    ) -> None:
        """A worker that does this job with so many frames in memory at once."""
        self._live = live
        self._job = job
        self._excerpt = excerpt
        self._together = together
        self._worker = Worker(job)
        self._reader = FrameReader(raw_colours=job.raw_colours)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._reader.close()
        self._worker.close()

    def frames(self, items: Iterable[Item]) -> Iterator[Frame]:
        """Yields every frame of the items, in order; one that cannot be read has an empty image and a problem."""
        for reads, parallel in self._groups(items):
            yield from self._do(reads, parallel=parallel)

    def _groups(self, items: Iterable[Item]) -> Iterator[tuple[Sequence[Read], bool]]:
        """Reads that are done together, and whether they can run side by side."""
        stills: list[Read] = []
        for still, video in self._sources(items):
            if still is not None:
                stills.append(still)
            if stills and (video is not None or len(stills) == self._together):
                yield stills, True
                stills = []
            if isinstance(video, LiveSource):
                yield from (([lambda frame=frame: frame], False) for frame in video.frames())
            elif video is not None:
                yield from ((reads, False) for reads in self._video_reads(video))
        if stills:
            yield stills, True

    def _sources(self, items: Iterable[Item]) -> Iterator[tuple[Read | None, Source | LiveSource | None]]:
        """A read for each array and picture, the source of each video and of what is live."""
        numbers = count()
        for item in items:
            if isinstance(item, np.ndarray):
                frame = _frame_of_array(item, next(numbers))
                yield (lambda frame=frame: frame), None  # type: ignore[misc]
                continue
            if isinstance(item, str) and is_live(item):
                yield None, LiveSource(item, self._live)
                continue
            path = Path(item)
            if not path.exists():
                raise RequestError(f"there is no file or folder {str(path)!r}")
            for source in find_sources([path]):
                if source.kind is SourceKind.VIDEO or _pages_of(source) > 1:
                    yield None, source
                else:
                    yield partial(read_still, source, raw_colours=self._job.raw_colours), None

    def _video_reads(self, source: Source) -> Iterator[Sequence[Read]]:
        if source.kind is SourceKind.PICTURE:
            pages = (PendingFrame(source=source, index=page) for page in range(_pages_of(source)))
            yield from self._spans(pages)
            return
        try:
            index = index_video(source.path)
            wanted = self._excerpt.frames(index)
        except MediaError as error:
            unreadable = Unreadable(id=FrameId(source.name, 0), reason=str(error))
            yield [lambda: unreadable]
            return
        source = replace(source, time_base=str(index.time_base), notes=index.notes)
        frames = (
            PendingFrame(source=source, index=i, ticks=ticks, seek_ticks=seek)
            for i, (ticks, seek) in enumerate(index.times())
            if i in wanted
        )
        yield from self._spans(frames)

    def _spans(self, frames: Iterable[PendingFrame]) -> Iterator[Sequence[Read]]:
        for spans in cut_chunks(frames, frames_a_chunk=lambda: self._together):
            yield list(self._reader.reads(spans))

    def _do(self, reads: Sequence[Read], *, parallel: bool) -> Iterator[Frame]:
        kept: dict[PlacedId, Frame | Unreadable] = {}
        noted = (keeping(read, kept, place) for place, read in enumerate(reads))
        results = self._worker.run_phases(Feed(reads=noted, parallel=parallel))
        faces: dict[FrameId, list[Face]] = defaultdict(list)
        problems: dict[FrameId, list[str]] = defaultdict(list)
        for item in results:
            if isinstance(item, Face):
                faces[item.frame].append(item)
            elif isinstance(item, Failure):
                problems[item.frame].append(item.reason)
        for placed in sorted(kept, key=lambda placed: placed.place):
            yield self._frame(kept.pop(placed), faces.pop(placed, []), problems.pop(placed, []))

    def _frame(self, frame: Frame | Unreadable, faces: Sequence[Face], problems: Sequence[str]) -> Frame:
        if isinstance(frame, Unreadable):
            return Frame(id=frame.id, time=None, image=np.zeros((0, 0, 3), np.uint8), problem=frame.reason)
        outputs, flow = self._job.outputs, self._job.flow
        size, framing = outputs.mask_size, outputs.framing
        done = [
            replace(face, frame=frame.id, masks=draw_masks(face, flow, size=size, framing=framing)) for face in faces
        ]
        reasons = [*([frame.problem] if frame.problem else []), *sorted(problems)]
        ordered = tuple(sorted(done, key=lambda face: face.index))
        return replace(frame, faces=ordered, problem="; ".join(reasons) or None)


def _pages_of(source: Source) -> int:
    shape = look(source)
    return shape.pages if shape else 1


def keeping(read: Read, kept: dict[PlacedId, Frame | Unreadable], place: int) -> Callable[[], Any]:
    """Reads a frame, keeps it, and hands it on under a name that no other of those in hand has."""

    def noted() -> Any:
        answer = read()
        placed = PlacedId(answer.id.source, answer.id.index, place)
        kept[placed] = answer
        return Final(answer) if isinstance(answer, Unreadable) else replace(answer, id=placed)

    return noted


def _frame_of_array(image: Image, number: int) -> Frame:
    if image.ndim != 3 or image.shape[2] != 3 or image.dtype != np.uint8 or not image.size:
        raise RequestError(f"an image has to be (H, W, 3) uint8 RGB, not {image.shape} {image.dtype}")
    return Frame(id=FrameId("array", number), time=None, image=image)
