"""Videos: frames that are the right frames.

A frame's index is its rank among the presentation times of the stream's packets. A reader asks for
frames by those times, starting from a keyframe, and takes what the decoder gives only when its time is
one that was asked for: a seek that lands elsewhere, frames that come before the first keyframe, and
reordered frames can therefore not shift the count. Where the clock of a stream starts again, no time can be sought:
packets are read from the start then, and decoded from the keyframe on.
"""

from collections import deque
from collections.abc import Generator, Iterator, Sequence
from pathlib import Path
from types import TracebackType
from typing import Self, TypeAlias

import av

from faceloom.faces import FrameId
from faceloom.frame import Frame
from faceloom.media.chunks import Span, Unreadable
from faceloom.media.clocks import Piece, Pieces
from faceloom.media.decoding import (
    Decoded,
    as_pieces,
    decode,
    open_video,
    packets_of,
    pieces_of,
    spare_bytes,
    video_stream,
)
from faceloom.media.deinterlacing import deinterlaced
from faceloom.media.shortage import raise_if_short
from faceloom.media.video_pixels import look_at, to_upright

Taken: TypeAlias = tuple[int, Decoded]
"""The index of a frame, and what the decoder gave."""
Taking: TypeAlias = Generator[Taken, None, list[int]]
"""Yields frames, returns the indexes of those that did not come."""


class VideoReader:
    """Reads spans of one video; what lies ahead is read on to, unless a keyframe on the way is a shorter one.

    That holds too where whoever reads a span breaks off before its end.
    """

    def __init__(self, path: Path, *, threads: int = 1, is_joined: bool = False) -> None:
        """A reader of a file; `is_joined`: the clock of its stream starts again on the way."""
        self._path = path
        self._is_joined = is_joined
        self._keys: tuple[int, ...] | None = None
        """Times of the keyframes of a file that is joined, once they are known."""
        self._is_interlaced = False
        """Whether a frame has been seen that is made from those beside it too."""
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
            for item in self._read(span):
                yield item if isinstance(item, Unreadable) else _answer(span, *item)
        except MemoryError as error:
            self.close()  # the decoder may have lost a picture that others are made from
            raise error.with_traceback(None)  # whose frames hold pixels  # noqa: B904
        except Exception:
            spare = spare_bytes(self._stream)
            self.close()
            raise_if_short(spare)
            raise

    def read_decoded(self, span: Span) -> Iterator[Taken | Unreadable]:
        """The same frames as the decoder gave them, deinterlaced where need be, with their indexes.

        Raises:
            MemoryError, MediaError, and others: what is wrong with the file, or the machine.
        """
        return self._read(span)

    def _read(self, span: Span) -> Iterator[Taken | Unreadable]:
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
        if missing and self._is_interlaced:
            self._restart()  # the keyframe before may be what upsets the decoder
            self._begin(self._start_of(span), before=False)
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
            yield index, decoded
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
            yield index, decoded
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
        self._is_interlaced |= decoded.is_deinterlaced
        is_next = ticks is not None and (self._passed is None or self._passed <= ticks)
        self._is_whole &= is_next and not decoded.is_suspect
        self._passed = ticks if is_next else self._passed
        return decoded

    def _go_to(self, span: Span) -> None:
        """Makes the next frame one at or before the span's first."""
        start = self._start_of(span)
        is_first = start is not None and span.ticks is not None and start == span.ticks[0]
        self._begin(start, before=is_first and self._is_interlaced)
        if span.ticks is None:
            self._next_index = 0
        elif is_first and not self._is_interlaced and self._begins_interlaced():
            self._begin(start, before=True)

    def _begins_interlaced(self) -> bool:
        """Whether the frame that comes next would be another if the one before it had been read."""
        self._held = next(self._frames, None)
        self.decoded_frames += self._held is not None
        return self._held is not None and self._held.is_deinterlaced

    def _begin(self, start: int | None, *, before: bool) -> None:
        """Makes the next frame that of the keyframe of this time, or of the last one before it; None: the first."""
        if self._is_open:
            self._forget()
        else:
            self._restart()
        pieces = None
        if start is not None:
            find = self._pieces_from if self._is_joined else self._pieces_sought
            pieces = find(start, before=before)
        if pieces is None:
            self._restart()
            pieces = self._pieces()
        self._frames = deinterlaced(decode(pieces, self._stream))

    def _pieces(self) -> Pieces:
        """From the start."""
        if self._is_joined:
            return pieces_of(self._container, self._stream)
        return as_pieces(packets_of(self._container, self._stream))

    def _pieces_sought(self, ticks: int, *, before: bool) -> Pieces | None:
        """From the keyframe of exactly this time on, or from one before it; None if a seek does not lead there."""
        try:
            self._container.seek(ticks - before, stream=self._stream)
        except MemoryError:
            raise
        except av.FFmpegError:
            return None
        self._stream.codec_context.flush_buffers()
        pieces = as_pieces(packets_of(self._container, self._stream))
        for piece in pieces:
            packet = piece.packet
            if (
                packet.is_keyframe
                and packet.pts is not None
                and (packet.pts < ticks if before else packet.pts == ticks)
            ):
                return _chain(piece, pieces)
            if packet.is_keyframe and packet.pts is not None and packet.pts >= ticks:
                return None
        return None

    def _pieces_from(self, ticks: int, *, before: bool) -> Pieces | None:
        """The same where times cannot be sought."""
        wanted = ticks
        if before:
            earlier = [key for key in self._keyframes() if key < ticks]
            if not earlier:
                return None
            wanted = max(earlier)
        self._restart()
        pieces = self._pieces()
        for piece in pieces:
            if piece.packet.is_keyframe and piece.packet.pts == wanted:
                return _chain(piece, pieces)
        return None

    def _keyframes(self) -> tuple[int, ...]:
        if self._keys is None:
            self._restart()
            keys = (piece.packet.pts for piece in self._pieces() if piece.packet.is_keyframe)
            self._keys = tuple(key for key in keys if key is not None)
        return self._keys

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
    notes = look_at(decoded).notes
    return Frame(id=identity, time=span.time(index), image=to_upright(decoded), problem=problem, notes=notes)


def _chain(first: Piece, rest: Pieces) -> Pieces:
    yield first
    yield from rest
