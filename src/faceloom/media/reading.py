"""Reads the frames of spans: calls that each give one frame, for whoever runs them."""

import hashlib
from collections.abc import Callable, Iterator, Sequence
from types import TracebackType
from typing import Self

from faceloom.errors import MediaError
from faceloom.faces import FrameId
from faceloom.frame import Frame
from faceloom.media.chunks import Span, Unreadable
from faceloom.media.pictures import read_picture
from faceloom.media.sources import Source, SourceKind
from faceloom.media.videos import VideoReader

Read = Callable[[], Frame | Unreadable]
"""Gives one frame, or says why it cannot be had."""


class FrameReader:
    """Reads spans; keeps the last video open, so that the next span of it needs no seek."""

    def __init__(self, *, decode_threads: int = 1) -> None:
        self._decode_threads = decode_threads
        self._video: tuple[str, VideoReader] | None = None

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Closes what is open."""
        if self._video:
            self._video[1].close()
        self._video = None

    def reads(self, spans: Sequence[Span]) -> Iterator[Read]:
        """One call for each frame of the spans; those of a video have to be made one after another, in order."""
        for span in spans:
            if span.source.kind is SourceKind.PICTURE:
                yield lambda source=span.source: read_still(source)  # type: ignore[misc]
            else:
                yield from [iter(self._video_frames(span)).__next__] * len(span)

    def _video_frames(self, span: Span) -> Iterator[Frame | Unreadable]:
        """Exactly one answer for each frame of the span."""
        done = 0
        try:
            for answer in self._reader_of(span.source).read(span):
                yield answer
                done += 1
        except Exception as error:  # becomes the reason in the rows of the frames that are left
            for index in span.indexes[done:]:
                yield Unreadable(id=FrameId(span.source.name, index), reason=str(error))

    def _reader_of(self, source: Source) -> VideoReader:
        if self._video is None or self._video[0] != source.name:
            self.close()
            self._video = (source.name, VideoReader(source.path, threads=self._decode_threads))
        return self._video[1]


def can_read_side_by_side(spans: Sequence[Span]) -> bool:
    """Whether the reads of these spans may be made in any order and at the same time."""
    return all(span.source.kind is SourceKind.PICTURE for span in spans)


def read_still(source: Source) -> Frame | Unreadable:
    """The only frame of a picture."""
    identity = FrameId(source.name, 0)
    try:
        if not source.path.is_file():
            raise MediaError("this is not a regular file", path=source.path)
        content = source.path.read_bytes()
        image, problem = read_picture(content, source.path)
    except Exception as error:  # becomes the reason in the picture's row
        return Unreadable(id=identity, reason=_reason(error))
    digest = hashlib.sha256(content).hexdigest()
    return Frame(id=identity, time=None, image=image, digest=digest, problem=problem)


def _reason(error: Exception) -> str:
    return (isinstance(error, OSError) and error.strerror) or str(error)
