"""Reads the frames of spans: calls that each give one frame, for whoever runs them."""

import gc
import hashlib
from collections.abc import Callable, Iterator, Sequence
from types import TracebackType
from typing import Self

from faceloom.errors import MediaError
from faceloom.faces import FrameId
from faceloom.faults import Fault, fault_of
from faceloom.frame import Frame
from faceloom.media.chunks import Span, Unreadable
from faceloom.media.pictures import read_picture
from faceloom.media.soundness import raise_if_broken, read_sound_picture, read_sound_video
from faceloom.media.sources import Source, SourceKind
from faceloom.media.videos import VideoReader

Read = Callable[[], Frame | Unreadable]
"""Gives one frame, or says why it cannot be had; raises MemoryError where that may be for want of memory."""


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
            # A container and its streams hold each other, and a decoder's pictures with them.
            gc.collect()

    def reads(self, spans: Sequence[Span]) -> Iterator[Read]:
        """One call for each frame of the spans; those of a video have to be made one after another, in order.

        A call that raises MemoryError can be made again.
        """
        for span in spans:
            if span.source.kind is SourceKind.PICTURE:
                yield lambda source=span.source: read_still(source)  # type: ignore[misc]
            else:
                yield from [_VideoReads(self._reader_of, span)] * len(span)

    def _reader_of(self, source: Source) -> VideoReader:
        if self._video is None or self._video[0] != source.name:
            self.close()
            self._video = (source.name, VideoReader(source.path, threads=self._decode_threads))
        return self._video[1]


class _VideoReads:
    """Gives exactly one answer for each frame of a span of a video, one a call."""

    def __init__(self, reader_of: Callable[[Source], VideoReader], span: Span) -> None:
        self._reader_of = reader_of
        self._span = span
        self._left = dict.fromkeys(span.indexes)
        self._answers: Iterator[Frame | Unreadable] = iter(())

    def __call__(self) -> Frame | Unreadable:
        answer = self._next()
        del self._left[answer.id.index]
        if not self._left:
            self._answers = iter(())  # a generator that waits for ever holds a decoder's pictures
        return answer

    def _next(self) -> Frame | Unreadable:
        try:
            answer = next(self._answers, None)
            if answer is None:
                self._answers = self._read_left()
                answer = next(self._answers)
            return answer
        except MemoryError:
            raise
        except Exception as error:  # becomes the reason in the rows of the frames that are left
            raise_if_broken(error, read_sound_video)
            self._answers = self._unreadable(str(error) or type(error).__name__, fault_of(error))
            return next(self._answers)

    def _read_left(self) -> Iterator[Frame | Unreadable]:
        first = next(iter(self._left)) - self._span.first
        answers = self._reader_of(self._span.source).read(self._span.part(first, len(self._span)))
        left = self._left  # not self: a circle is there until somebody collects it
        return (answer for answer in answers if answer.id.index in left)

    def _unreadable(self, reason: str, fault: Fault | None) -> Iterator[Unreadable]:
        for index in list(self._left):
            yield Unreadable(id=FrameId(self._span.source.name, index), reason=reason, fault=fault)


def can_read_side_by_side(spans: Sequence[Span]) -> bool:
    """Whether the reads of these spans may be made in any order and at the same time."""
    return all(span.source.kind is SourceKind.PICTURE for span in spans)


def read_still(source: Source) -> Frame | Unreadable:
    """The only frame of a picture.

    Raises:
        MemoryError: there is too little memory to read it, or to tell whether it is damaged; read it again.
    """
    identity = FrameId(source.name, 0)
    content = b""
    try:
        if not source.path.is_file():
            raise MediaError("this is not a regular file", path=source.path)
        content = source.path.read_bytes()
        image, problem = read_picture(content, source.path)
    except MemoryError as error:
        raise error.with_traceback(None)  # whose frames hold pixels  # noqa: B904
    except Exception as error:  # becomes the reason in the picture's row
        raise_if_broken(error, lambda: read_sound_picture(content))
        return Unreadable(id=identity, reason=_reason(error), fault=fault_of(error))
    digest = hashlib.sha256(content).hexdigest()
    return Frame(id=identity, time=None, image=image, digest=digest, problem=problem)


def _reason(error: Exception) -> str:
    return (isinstance(error, OSError) and error.strerror) or str(error)
