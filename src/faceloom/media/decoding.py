"""Decoding: what demuxer and decoder give, frame by frame, and what they hold."""

from collections import deque
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from fractions import Fraction
from itertools import chain
from pathlib import Path
from typing import Any, TypeAlias

import av
import av.subtitles.stream  # by PyAV when it opens a file, and then memory may be too short for it
from av.container import InputContainer
from av.packet import Packet
from av.video.frame import VideoFrame
from av.video.stream import VideoStream

from faceloom.errors import MediaError, NotMovingError
from faceloom.media.clocks import Piece, Pieces, on_one_clock
from faceloom.media.parts import parts_of
from faceloom.media.shortage import raise_if_short
from faceloom.media.sniffing import HEAD_BYTES, is_text, raw_format
from faceloom.units import MIB

_OPENING_BYTES = 4 * MIB  # more than a container's or a decoder's tables take
_RESTARTS = 0x0200  # FFmpeg, avformat.h, AVFMT_TS_DISCONT
_BY_SUFFIX = "image2"
"""FFmpeg's reader of pictures, which it chooses by a file's name alone."""
_METADATA_OPTIONS = 19
"""The release of PyAV that has no option any more for metadata that is no text, and replaces it as we had asked."""

_BEFORE_A_JOINT = 2
"""Packets that a demuxer may call damaged where files were joined, since their numbers do not go on."""

UNSPECIFIED = 2
"""What a stream says of its colours that says nothing: ITU-T H.273, tables 2 to 4."""

Packets: TypeAlias = "Iterator[Packet[VideoStream]]"


def open_video(path: Path) -> InputContainer:
    """The file, opened.

    Raises:
        MediaError: it is no video that can be opened.
    """
    if not path.is_file():
        raise MediaError("this is not a regular file", path=path)
    try:
        with path.open("rb") as file:
            head = file.read(HEAD_BYTES)
        if is_text(head):  # a playlist would have FFmpeg open what it names
            raise MediaError("the video cannot be opened: this is text", path=path)
        try:
            return _opened(path, None)
        except av.InvalidDataError:
            if name := raw_format(head):
                return _opened(path, name)
            raise
    except MemoryError:
        raise
    except (av.FFmpegError, OSError) as error:
        raise_if_short(_OPENING_BYTES)
        raise MediaError(f"the video cannot be opened: {_reason(error)}", path=path) from error


def _opened(path: Path, name: str | None) -> InputContainer:
    """The file, opened as what FFmpeg takes it for, or as what it is said to be."""
    opened: InputContainer = av.open(str(path.absolute()), format=name, **_opening_options())
    if opened.format.name != _BY_SUFFIX:
        return opened
    opened.close()
    with path.open("rb") as file:  # the same file under a name that has no suffix to mislead
        nameless: InputContainer = av.open(f"/dev/fd/{file.fileno()}", **_opening_options())
    return nameless


def _opening_options() -> Mapping[str, Any]:
    release = int(av.__version__.partition(".")[0])
    return {} if release >= _METADATA_OPTIONS else {"metadata_errors": "replace"}


def video_stream(container: InputContainer, path: Path, *, threads: int = 1) -> VideoStream:
    """The stream of moving pictures that players show: the default one, or else the first.

    Raises:
        NotMovingError: there is none that can be decoded.
    """
    moving = _moving(container)
    if not moving:
        raise_if_short(_OPENING_BYTES)
        raise NotMovingError("the file has no video stream that can be decoded", path=path)
    default = (stream for stream in moving if stream.disposition & av.stream.Disposition.default)
    chosen = next(default, moving[0])
    chosen.codec_context.thread_count = threads  # each holds frames of its own
    return chosen


def has_several_streams(container: InputContainer) -> bool:
    """Whether there are moving pictures in other streams besides the one that is chosen."""
    return len(_moving(container)) > 1


def _moving(container: InputContainer) -> list[VideoStream]:
    streams = [stream for stream in container.streams.video if stream.codec_context is not None]
    return [stream for stream in streams if not stream.disposition & av.stream.Disposition.attached_pic]


def marked_keyframes(stream: VideoStream) -> frozenset[int]:
    """Where the packets lie that the container's index calls keyframes; the stream itself may know of others."""
    return frozenset(entry.pos for entry in stream.index_entries if entry.is_keyframe)


def spare_bytes(stream: VideoStream) -> int:
    """Where at least so much can be had, no decoder has been refused what it needs for one picture."""
    return 3 * stream.codec_context.height * stream.codec_context.width + _OPENING_BYTES


def packets_of(container: InputContainer, stream: VideoStream) -> Packets:
    """Packets with content; a file that breaks off ends here like any other."""
    packets = container.demux(stream)
    while True:
        try:
            packet = next(packets)
        except MemoryError:
            raise
        except (StopIteration, IndexError, av.FFmpegError):
            return  # IndexError: PyAV's own, when a stream turns up late and the file then ends
        if packet.size:
            yield packet


def pieces_of(container: InputContainer, stream: VideoStream) -> Pieces:
    """The packets of a stream from its beginning, on one clock."""
    may_restart = bool(int(container.format.flags) & _RESTARTS)
    base = stream.time_base or Fraction(1)
    return on_one_clock(packets_of(container, stream), time_base=base, may_restart=may_restart)


def as_pieces(packets: "Iterable[Packet[VideoStream]]") -> Pieces:
    """Packets whose clock does not start again."""
    return map(Piece, packets)


@dataclass(frozen=True, slots=True)
class Decoded:
    """A frame as the decoder gave it, or as it was made of that."""

    frame: VideoFrame
    is_suspect: bool
    """Something since the last keyframe was damaged, and this frame may have been made from it."""
    aspect: Fraction = Fraction(1)
    """Of its pixels: width over height."""
    primaries: int = UNSPECIFIED
    """Which colours, and with the next how its values stand for light: ITU-T H.273, tables 2 and 3."""
    transfer: int = UNSPECIFIED
    is_deinterlaced: bool = False


def decode(pieces: Iterable[Piece], stream: VideoStream) -> Iterator[Decoded]:
    """Frames in order of presentation; a packet that cannot be decoded gives none.

    Raises:
        MediaError: only parts of the file are here, and a packet's is not.
    """
    aspect_of, context = _Aspect(stream), stream.codec_context
    parts = parts_of(Path(stream.container.name))
    is_suspect = False
    for packet, is_last in _with_ends(pieces, stream):
        if packet is not None and parts is not None:
            parts.require(packet.pos, packet.size)
        if packet is not None and packet.is_corrupt:  # cut off: decoders make up the rest without a word
            is_suspect = True
            if not is_last:
                continue
        try:
            frames = stream.decode(packet)
        except MemoryError:
            raise
        except av.FFmpegError:
            raise_if_short(spare_bytes(stream))
            is_suspect = True
            continue
        for frame in frames:
            if frame.is_corrupt:
                raise_if_short(spare_bytes(stream))
            is_suspect = frame.is_corrupt or (is_suspect and not frame.key_frame)
            yield Decoded(frame, is_suspect, aspect_of(), context.color_primaries, context.color_trc)


def _with_ends(pieces: Iterable[Piece], stream: VideoStream) -> "Iterator[tuple[Packet[VideoStream] | None, bool]]":
    """The packets, each with whether another file was joined right behind it, and the None that ends them.

    That has the decoder give what it still holds. It comes too where what was joined begins with a keyframe: decoders
    drop what they hold when sizes change.
    """
    waiting: deque[Piece] = deque()
    stretch = None
    for piece in chain(pieces, [None] * _BEFORE_A_JOINT):
        if piece is not None:
            waiting.append(piece)
        if len(waiting) <= _BEFORE_A_JOINT and piece is not None:
            continue
        if not waiting:
            break
        first = waiting.popleft()
        if stretch is not None and first.stretch != stretch and first.packet.is_keyframe:
            yield None, False
            stream.codec_context.flush_buffers()
        stretch = first.stretch
        yield first.packet, any(other.stretch != stretch for other in waiting)
    yield None, False


class _Aspect:
    """Tells the aspect ratio of the pixels that the decoder gives at the moment."""

    def __init__(self, stream: VideoStream) -> None:
        self._context = stream.codec_context
        stated = stream.sample_aspect_ratio
        # What a container states goes before what its stream does, and does not change on the way.
        self._stated = stated if stated and stated != self._context.sample_aspect_ratio else None

    def __call__(self) -> Fraction:
        return self._stated or self._context.sample_aspect_ratio or Fraction(1)


def _reason(error: Exception) -> str:
    return getattr(error, "strerror", None) or str(error)
