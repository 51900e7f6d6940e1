"""Videos: frames that are the right frames.

A frame's index is its rank among the presentation times of the stream's packets. A reader asks for
frames by those times, starting from a keyframe, and takes what the decoder gives only when its time is
one that was asked for: a seek that lands elsewhere, frames that come before the first keyframe, and
reordered frames can therefore not shift the count.
"""

from collections import deque
from collections.abc import Generator, Iterator, Sequence
from pathlib import Path
from types import TracebackType
from typing import Self, TypeAlias

import av
from av.packet import Packet
from av.video.stream import VideoStream

from faceloom.faces import FrameId
from faceloom.frame import Frame
from faceloom.media.chunks import Span, Unreadable
from faceloom.media.decoding import (
    Decoded,
    Packets,
    decode,
    open_video,
    packets_of,
    spare_bytes,
    upright,
    video_stream,
)
from faceloom.media.shortage import raise_if_short

Taking: TypeAlias = Generator[Frame | Unreadable, None, list[int]]
"""Yields frames, returns the indexes of those that did not come."""


class VideoReader:
    """Reads spans of one video; what lies ahead is read on to, unless a keyframe on the way is a shorter one.

    That holds too where whoever reads a span breaks off before its end.
    """

    def __init__(self, path: Path, *, threads: int = 1) -> None:
        self._path = path
        self._threads = threads
        self._container = open_video(path)
        self._stream = video_stream(self._container, path, threads=threads)
        self._is_open = True
        self._frames: Iterator[Decoded] = iter(())
        self._held: Decoded | None = None
        self._next_index: int | None = None
        """Of the frame that comes next; None where that is not known."""
        self._passed: int | None = None
        """Presentation time of the last frame that was taken or left out."""
        self._is_whole = True
        """Whether all is well with what came since the last seek."""
        self._from_start: bool | None = None
        """Whether only reading from the start gives every frame; None as long as seeks have."""
        self.decoded_frames = 0
        """How many frames the decoder has given, those that nobody asked for among them."""

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Gives the file and the decoder's memory back; a span that is read later opens them again."""
        self._forget()
        self._container.close()
        self._is_open = False

    def read(self, span: Span) -> Iterator[Frame | Unreadable]:
        """The frames of a span, in order; one that the decoder does not give comes as `Unreadable`, at the end.

        Raises:
            MemoryError: there is too little memory; the same span, or what is left of it, can be read again.
        """
        try:
            yield from self._read(span)
        except MemoryError as error:
            self.close()  # the decoder may have lost a picture that others are made from
            raise error.with_traceback(None)  # whose frames hold pixels  # noqa: B904
        except Exception:
            spare = spare_bytes(self._stream)
            self.close()
            raise_if_short(spare)
            raise

    def _read(self, span: Span) -> Iterator[Frame | Unreadable]:
        if not self._leads_to(span):
            self._go_to(span)
        missing = yield from self._take(span, list(span.indexes))
        if missing and span.ticks is not None:
            missing = yield from self._try_again(span, missing)
        self._is_whole &= not missing
        self._next_index = span.first + len(span)
        for index in missing:
            yield Unreadable(id=FrameId(span.source.name, index), reason="the decoder gives no picture for this frame")

    def _leads_to(self, span: Span) -> bool:
        """Whether the span's frames are still to come, with no keyframe on the way that a seek could go to."""
        if self._next_index is None:
            return False
        if span.first == self._next_index:
            return True
        if span.ticks is None:
            return span.first > self._next_index
        start = self._start_of(span)
        position = self._passed if self._held is None else self._held.frame.pts
        if not self._is_whole or self._passed is None or position is None:
            return False
        return self._passed < span.ticks[0] and (start is None or start <= position)

    def _start_of(self, span: Span) -> int | None:
        """The time of the keyframe to begin at; None for the start of the file."""
        return None if self._from_start or span.first == 0 else span.seek_ticks

    def _try_again(self, span: Span, missing: Sequence[int]) -> Taking:
        """With a fresh decoder, since damage can upset one beyond what flushing mends; then from the file's start."""
        self._restart()
        self._go_to(span)
        missing = yield from self._take(span, missing)
        if not missing or self._from_start is not None or span.first == 0:
            return missing
        # Streams that refresh a picture bit by bit mark keyframes from which not every frame follows: from the start
        # every frame comes that ever will. Whether that helps is found out once a file.
        self._from_start = True
        self._go_to(span)
        left = yield from self._take(span, missing)
        self._from_start = len(left) < len(missing)
        return left

    def _take(self, span: Span, indexes: Sequence[int]) -> Taking:
        """Yields those of the frames that come, and returns the indexes of those that do not."""
        if span.ticks is None:
            return (yield from self._take_counted(span, indexes))
        wanted: dict[int, deque[int]] = {}
        for index in indexes:
            wanted.setdefault(span.ticks[index - span.first], deque()).append(index)
        last = max(wanted)
        while wanted:
            decoded = self._next(last)
            if decoded is None:
                break
            ticks = decoded.frame.pts
            if ticks not in wanted:
                continue
            queue = wanted[ticks]
            index = queue.popleft()
            if not queue:
                del wanted[ticks]
            self._next_index = index + 1
            yield _answer(span, index, decoded)
        if wanted:
            raise_if_short(spare_bytes(self._stream))
        return sorted(index for queue in wanted.values() for index in queue)

    def _take_counted(self, span: Span, indexes: Sequence[int]) -> Taking:
        for position, index in enumerate(indexes):
            self._pass_to(index)
            decoded = self._next(None)
            if decoded is None:
                raise_if_short(spare_bytes(self._stream))
                return list(indexes[position:])
            self._next_index = index + 1
            yield _answer(span, index, decoded)
        return []

    def _pass_to(self, index: int) -> None:
        """Leaves out frames up to the one with this index, where frames have no times."""
        while self._next_index is not None and self._next_index < index and self._next(None):
            self._next_index += 1

    def _next(self, last: int | None) -> "Decoded | None":
        """The next frame; None at the end, and if its time is after `last`: then it stays the next one."""
        if self._held is None:
            self._held = next(self._frames, None)
            self.decoded_frames += self._held is not None
        decoded = self._held
        if decoded is None:
            return None
        ticks = decoded.frame.pts
        if last is not None and ticks is not None and ticks > last:
            return None
        self._held = None
        is_next = ticks is not None and (self._passed is None or self._passed <= ticks)
        self._is_whole &= is_next and not decoded.is_suspect
        self._passed = ticks if is_next else self._passed
        return decoded

    def _go_to(self, span: Span) -> None:
        """Makes the next frame one at or before the span's first."""
        start = self._start_of(span)
        if self._is_open:
            self._forget()
        else:
            self._restart()
        packets = None if start is None else self._packets_from(start)
        if packets is None:
            self._restart()
            packets = packets_of(self._container, self._stream)
        self._frames = decode(packets, self._stream)
        if span.ticks is None:
            self._next_index = 0

    def _packets_from(self, ticks: int) -> "Packets | None":
        """Packets from the keyframe of exactly this time on; None if a seek does not lead there."""
        try:
            self._container.seek(ticks, stream=self._stream)
        except MemoryError:
            raise
        except av.FFmpegError:
            return None
        self._stream.codec_context.flush_buffers()
        packets = packets_of(self._container, self._stream)
        for packet in packets:
            if packet.is_keyframe and packet.pts == ticks:
                return _chain(packet, packets)
            if packet.is_keyframe and packet.pts is not None and packet.pts > ticks:
                return None
        return None

    def _restart(self) -> None:
        self.close()
        self._container = open_video(self._path)
        self._stream = video_stream(self._container, self._path, threads=self._threads)
        self._is_open = True

    def _forget(self) -> None:
        self._frames = iter(())
        self._held = self._next_index = self._passed = None
        self._is_whole = True


def _answer(span: Span, index: int, decoded: Decoded) -> Frame | Unreadable:
    identity = FrameId(span.source.name, index)
    if decoded.frame.is_corrupt:
        return Unreadable(id=identity, reason="the video is damaged here")
    problem = "the video is damaged shortly before; this frame may show it" if decoded.is_suspect else None
    return Frame(id=identity, time=span.time(index), image=upright(decoded.frame), problem=problem)


def _chain(first: "Packet[VideoStream]", rest: Packets) -> Packets:
    yield first
    yield from rest
