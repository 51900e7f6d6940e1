"""Videos: an index made by demuxing, and frames that are the right frames.

A frame's index is its rank among the presentation times of the stream's packets. A reader asks for
frames by those times, starting from a keyframe, and takes what the decoder gives only when its time is
one that was asked for: a seek that lands elsewhere, frames that come before the first keyframe, and
reordered frames can therefore not shift the count.
"""

from array import array
from collections import deque
from collections.abc import Generator, Iterator, Sequence
from dataclasses import dataclass
from fractions import Fraction
from itertools import islice
from pathlib import Path
from types import TracebackType
from typing import Self, TypeAlias

import av
import numpy as np
from av.container import InputContainer
from av.packet import Packet
from av.video.frame import VideoFrame
from av.video.stream import VideoStream
from numpy.typing import NDArray

from faceloom.errors import MediaError
from faceloom.faces import FrameId, Image
from faceloom.frame import Frame
from faceloom.media.chunks import Span, Unreadable
from faceloom.media.sources import VideoIndex

_CHECKED_FRAMES = 12
_TOLERATED_GAP = 0.05  # of the stated length: sound may go on a little after the last picture

Packets: TypeAlias = "Iterator[Packet[VideoStream]]"
Taking: TypeAlias = Generator[Frame | Unreadable, None, list[int]]
"""Yields frames, returns the indexes of those that did not come."""


def index_video(path: Path) -> VideoIndex:
    """Counts and times the frames of a video without decoding more than the first few.

    Raises:
        MediaError: no video stream, no frame, or nothing that can be decoded.
    """
    listed = _list_packets(path)
    with _open(path) as container:
        stream = _video_stream(container, path)
        first = islice(_decode(_packets(container, stream), stream), _CHECKED_FRAMES)
        looks = [(decoded.frame.pts or 0, _upright_shape(decoded.frame)) for decoded in first]
    if not looks:
        raise MediaError("no frame of the video can be decoded", path=path)
    height, width = looks[0][1]
    # Some containers (raw streams, B-frames in AVI) carry no times, or other times than their frames have.
    if not listed.all_timed or not np.isin([ticks for ticks, _ in looks], listed.ticks).all():
        return _index_by_decoding(path, height=height, width=width, time_base=listed.time_base)
    order = np.argsort(listed.ticks, kind="stable")
    ticks, keyframes = listed.ticks[order], listed.keyframes[order]
    keyframes[0] = True
    problem = _breaking_off(float(ticks[-1] * listed.time_base), listed.stated_end_s)
    return VideoIndex(
        height=height, width=width, time_base=listed.time_base, ticks=ticks, keyframes=keyframes, problem=problem
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class _Listed:
    """What demuxing tells, in the order of decoding."""

    ticks: NDArray[np.int64]
    keyframes: NDArray[np.bool_]
    all_timed: bool
    time_base: Fraction
    stated_end_s: float | None


def _list_packets(path: Path) -> _Listed:
    ticks, keyframes, all_timed = array("q"), array("b"), True  # nine bytes a frame: videos can be long
    with _open(path) as container:
        stream = _video_stream(container, path)
        for packet in _packets(container, stream):
            if not packet.is_discard:
                all_timed &= packet.pts is not None
                ticks.append(packet.pts or 0)
                keyframes.append(packet.is_keyframe)
        end = ((container.start_time or 0) + container.duration) / av.time_base if container.duration else None
        time_base = stream.time_base or Fraction(1)
    return _Listed(
        ticks=np.array(ticks, np.int64),
        keyframes=np.array(keyframes, np.bool_),
        all_timed=all_timed,
        time_base=time_base,
        stated_end_s=end,
    )


def _breaking_off(last_s: float, stated_end_s: float | None) -> str | None:
    """Some containers state how long they are, and a file that was cut off is shorter."""
    if stated_end_s is None or stated_end_s - last_s <= max(1.0, _TOLERATED_GAP * stated_end_s):
        return None
    return f"the last frame is at {last_s:.1f} s of the {stated_end_s:.1f} s that the container states: cut off?"


def _index_by_decoding(path: Path, *, height: int, width: int, time_base: Fraction) -> VideoIndex:
    with _open(path) as container:
        stream = _video_stream(container, path)
        count = sum(1 for _ in _decode(_packets(container, stream), stream))
    keyframes = np.arange(count) == 0
    return VideoIndex(height=height, width=width, time_base=time_base, ticks=None, keyframes=keyframes)


class VideoReader:
    """Reads spans of one video; a span that begins where the last one ended needs no seek."""

    def __init__(self, path: Path, *, threads: int = 1) -> None:
        self._path = path
        self._container = _open(path)
        self._stream = _video_stream(self._container, path)
        self._stream.codec_context.thread_count = threads
        self._frames: Iterator[_Decoded] = iter(())
        self._held: deque[_Decoded] = deque(maxlen=1)
        self._next_index = -1
        self._from_start: bool | None = None
        """Whether only reading from the start gives every frame; None as long as seeks have."""

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Gives the file and the decoder's memory back."""
        self._frames = iter(())
        self._held.clear()
        self._container.close()

    def read(self, span: Span) -> Iterator[Frame | Unreadable]:
        """The frames of a span, in order; one that the decoder does not give comes as `Unreadable`, at the end."""
        if span.first != self._next_index:
            self._go_to(span)
        missing = yield from self._take(span, list(span.indexes))
        if missing and span.ticks is not None:
            missing = yield from self._try_again(span, missing)
        self._next_index = span.first + len(span)
        for index in missing:
            yield Unreadable(id=FrameId(span.source.name, index), reason="the decoder gives no picture for this frame")

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
            decoded = self._next()
            if decoded is None:
                break
            ticks = decoded.frame.pts
            if ticks is not None and ticks > last:
                self._held.append(decoded)
                break
            if ticks not in wanted:
                continue
            queue = wanted[ticks]
            yield _answer(span, queue.popleft(), decoded)
            if not queue:
                del wanted[ticks]
        return sorted(index for queue in wanted.values() for index in queue)

    def _take_counted(self, span: Span, indexes: Sequence[int]) -> Taking:
        for position, index in enumerate(indexes):
            decoded = self._next()
            if decoded is None:
                return list(indexes[position:])
            yield _answer(span, index, decoded)
        return []

    def _next(self) -> "_Decoded | None":
        return self._held.pop() if self._held else next(self._frames, None)

    def _go_to(self, span: Span) -> None:
        """Makes the next frame one at or before the span's first."""
        self._held.clear()
        seek_ticks = None if self._from_start or span.first == 0 else span.seek_ticks
        packets = self._packets_from(seek_ticks) if seek_ticks is not None else None
        if packets is None:
            self._restart()
            packets = _packets(self._container, self._stream)
        self._frames = _decode(packets, self._stream)
        if span.ticks is None:
            for _ in range(span.first):
                next(self._frames, None)

    def _packets_from(self, ticks: int) -> "Packets | None":
        """Packets from the keyframe of exactly this time on; None if a seek does not lead there."""
        try:
            self._container.seek(ticks, stream=self._stream)
        except av.FFmpegError:
            return None
        self._stream.codec_context.flush_buffers()
        packets = _packets(self._container, self._stream)
        for packet in packets:
            if packet.is_keyframe and packet.pts == ticks:
                return _chain(packet, packets)
            if packet.is_keyframe and packet.pts is not None and packet.pts > ticks:
                return None
        return None

    def _restart(self) -> None:
        threads = self._stream.codec_context.thread_count
        self._frames = iter(())
        self._container.close()
        self._container = _open(self._path)
        self._stream = _video_stream(self._container, self._path)
        self._stream.codec_context.thread_count = threads


def _open(path: Path) -> InputContainer:
    if not path.is_file():
        raise MediaError("this is not a regular file", path=path)
    try:
        return av.open(str(path), metadata_errors="replace")
    except (av.FFmpegError, OSError) as error:
        raise MediaError(f"the video cannot be opened: {_reason(error)}", path=path) from error


def _video_stream(container: InputContainer, path: Path) -> VideoStream:
    streams = [stream for stream in container.streams.video if stream.codec_context is not None]
    moving = [stream for stream in streams if not stream.disposition & av.stream.Disposition.attached_pic]
    if not moving:
        raise MediaError("the file has no video stream that can be decoded", path=path)
    moving[0].codec_context.thread_count = 1  # readers ask for more; each thread holds frames of its own
    return moving[0]


def _packets(container: InputContainer, stream: VideoStream) -> Packets:
    """Packets with content; a file that breaks off ends here like any other."""
    packets = container.demux(stream)
    while True:
        try:
            packet = next(packets)
        except (StopIteration, IndexError, av.FFmpegError):
            return  # IndexError: PyAV's own, when a stream turns up late and the file then ends
        if packet.size:
            yield packet


@dataclass(frozen=True, slots=True)
class _Decoded:
    """A frame as the decoder gave it."""

    frame: VideoFrame
    is_suspect: bool
    """Something since the last keyframe was damaged, and this frame may have been made from it."""


def _decode(packets: Packets, stream: VideoStream) -> Iterator[_Decoded]:
    """Frames in order of presentation; a packet that cannot be decoded gives none."""
    is_suspect = False
    for packet in _then_none(packets):
        if packet is not None and packet.is_corrupt:  # cut off: decoders make up the rest without a word
            is_suspect = True
            continue
        try:
            frames = stream.decode(packet)
        except av.FFmpegError:
            is_suspect = True
            continue
        for frame in frames:
            is_suspect = frame.is_corrupt or (is_suspect and not frame.key_frame)
            yield _Decoded(frame, is_suspect)


def _answer(span: Span, index: int, decoded: _Decoded) -> Frame | Unreadable:
    identity = FrameId(span.source.name, index)
    if decoded.frame.is_corrupt:
        return Unreadable(id=identity, reason="the video is damaged here")
    problem = "the video is damaged shortly before; this frame may show it" if decoded.is_suspect else None
    return Frame(id=identity, time=span.time(index), image=_upright(decoded.frame), problem=problem)


def _then_none(packets: Packets) -> "Iterator[Packet[VideoStream] | None]":
    """The packets, and the None that has the decoder give what it still holds."""
    yield from packets
    yield None


def _chain(first: "Packet[VideoStream]", rest: Packets) -> Packets:
    yield first
    yield from rest


def _upright(frame: VideoFrame) -> Image:
    image = frame.to_ndarray(format="rgb24", threads=1)
    turns = _quarter_turns(frame)
    return np.ascontiguousarray(np.rot90(image, turns)) if turns else np.asarray(image, np.uint8)


def _upright_shape(frame: VideoFrame) -> tuple[int, int]:
    return (frame.width, frame.height) if _quarter_turns(frame) % 2 else (frame.height, frame.width)


def _quarter_turns(frame: VideoFrame) -> int:
    """Counterclockwise, as the display matrix says."""
    return round(frame.rotation / 90) % 4


def _reason(error: Exception) -> str:
    return getattr(error, "strerror", None) or str(error)
