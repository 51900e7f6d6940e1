"""Reads the frames of spans: calls that each give one frame, for whoever runs them."""

import gc
import hashlib
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from functools import partial
from types import TracebackType
from typing import TYPE_CHECKING, Self

from faceloom.errors import MediaError
from faceloom.faces import FrameId
from faceloom.faults import Fault, fault_of
from faceloom.frame import Frame
from faceloom.media.chunks import Span, Unreadable
from faceloom.media.numbered import NumberedFile, is_pattern, numbered_files
from faceloom.media.pictures import PictureFile, Still, read_picture
from faceloom.media.soundness import raise_if_broken, read_sound_picture, read_sound_video
from faceloom.media.sources import Source, SourceKind

if TYPE_CHECKING:
    from faceloom.media.videos import VideoReader

Read = Callable[[], Frame | Unreadable]
"""Gives one frame, or says why it cannot be had; raises MemoryError where that may be for want of memory."""


class FrameReader:
    """Reads spans; keeps the last video open, so that the next span of it needs no seek."""

    def __init__(self, *, decode_threads: int = 1, raw_colours: bool = False) -> None:
        """A reader; `raw_colours`: of pictures the values as they are stored, whatever a profile says they mean."""
        self._decode_threads = decode_threads
        self._raw_colours = raw_colours
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
            if span.source.kind is SourceKind.PICTURE and len(span) == 1:
                yield partial(read_still, span.source, page=span.first, raw_colours=self._raw_colours)
            elif span.source.kind is SourceKind.PICTURE:
                pages = _Pages(span.source, raw_colours=self._raw_colours, last=span.indexes[-1])
                yield from [partial(pages.read, page) for page in span.indexes]
            elif is_pattern(span.source.path):
                files = numbered_files(span.source.path)
                yield from [partial(_read_numbered, span, files, i, self._raw_colours) for i in span.indexes]
            else:
                yield from [_VideoReads(self._reader_of, span)] * len(span)

    def _reader_of(self, source: Source) -> "VideoReader":
        from faceloom.media.videos import VideoReader  # FFmpeg takes time and memory that pictures need not

        if self._video is None or self._video[0] != source.name:
            self.close()
            self._video = (
                source.name,
                VideoReader(source.path, threads=self._decode_threads, is_joined=source.is_joined),
            )
        return self._video[1]


class _VideoReads:
    """Gives exactly one answer for each frame of a span of a video, one a call."""

    def __init__(self, reader_of: Callable[[Source], "VideoReader"], span: Span) -> None:
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
    return all(span.source.kind is SourceKind.PICTURE and len(span) == 1 for span in spans)


def _read_numbered(span: Span, files: Sequence[NumberedFile], index: int, raw_colours: bool) -> Frame | Unreadable:
    """One of numbered pictures, as they were when they were counted."""
    identity = FrameId(span.source.name, index)
    ticks = None if span.ticks is None else span.ticks[index - span.first]
    if index >= len(files) or files[index].number - files[0].number != ticks:
        return Unreadable(id=identity, reason="pictures have come or gone since they were counted; extract anew")
    picture = Source(name=span.source.name, path=files[index].path, kind=SourceKind.PICTURE)
    answer = read_still(picture, raw_colours=raw_colours)
    if isinstance(answer, Unreadable):
        return replace(answer, id=identity, reason=f"{picture.path.name}: {answer.reason}")
    return replace(answer, id=identity, time=span.time(index), digest=None)


class _Pages:
    """The pages of a picture, read one after another; between them its content is held."""

    def __init__(self, source: Source, *, raw_colours: bool, last: int) -> None:
        self._source = source
        self._raw_colours = raw_colours
        self._last = last
        self._file: tuple[PictureFile, str] | None = None

    def read(self, page: int) -> Frame | Unreadable:
        """One of them; a call that raises MemoryError can be made again."""
        try:
            answer = _answer(self._source, page, lambda: self._read(page))
        except MemoryError:
            self._close()
            raise
        if page == self._last:
            self._close()
        return answer

    def _read(self, page: int) -> tuple[Still, str]:
        if self._file is None:
            content = _content_of(self._source)
            self._file = (
                PictureFile(content, self._source.path, raw_colours=self._raw_colours),
                hashlib.sha256(content).hexdigest(),
            )
        file, digest = self._file
        return file.read(page), digest

    def _close(self) -> None:
        if self._file is not None:
            self._file[0].close()
            self._file = None


def read_still(source: Source, *, page: int = 0, raw_colours: bool = False) -> Frame | Unreadable:
    """The only frame of a picture, or one of several.

    Raises:
        MemoryError: there is too little memory to read it, or to tell whether it is damaged; read it again.
    """

    def read() -> tuple[Still, str]:
        content = _content_of(source)
        still = read_picture(content, source.path, page=page, raw_colours=raw_colours)
        return still, hashlib.sha256(content).hexdigest()

    return _answer(source, page, read)


def _answer(source: Source, page: int, read: Callable[[], tuple[Still, str]]) -> Frame | Unreadable:
    identity = FrameId(source.name, page)
    try:
        still, digest = read()
    except MemoryError as error:
        raise error.with_traceback(None)  # whose frames hold pixels  # noqa: B904
    except Exception as error:  # becomes the reason in the picture's row
        raise_if_broken(error, lambda: read_sound_picture(_head_of(source)))
        return Unreadable(id=identity, reason=_reason(error), fault=fault_of(error))
    return Frame(id=identity, time=None, image=still.image, digest=digest, problem=still.problem, notes=still.notes)


def _head_of(source: Source) -> bytes:
    """Enough of a file to tell its kind; nothing where it cannot be opened."""
    try:
        with source.path.open("rb") as file:
            return file.read(16)
    except OSError:
        return b""


def _content_of(source: Source) -> bytes:
    if not source.path.is_file():
        raise MediaError("this is not a regular file", path=source.path)
    return source.path.read_bytes()


def _reason(error: Exception) -> str:
    return (isinstance(error, OSError) and error.strerror) or str(error)
