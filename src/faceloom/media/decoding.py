"""Decoding: what demuxer and decoder give, frame by frame, and what they hold."""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TypeAlias

import av
import numpy as np
from av.container import InputContainer
from av.packet import Packet
from av.video.frame import VideoFrame
from av.video.stream import VideoStream

from faceloom.errors import MediaError
from faceloom.faces import Image
from faceloom.media.shortage import raise_if_short
from faceloom.units import MIB

_OPENING_BYTES = 4 * MIB  # more than a container's or a decoder's tables take

Packets: TypeAlias = "Iterator[Packet[VideoStream]]"


def open_video(path: Path) -> InputContainer:
    """The file, opened.

    Raises:
        MediaError: it is no video that can be opened.
    """
    if not path.is_file():
        raise MediaError("this is not a regular file", path=path)
    try:
        return av.open(str(path), metadata_errors="replace")
    except MemoryError:
        raise
    except (av.FFmpegError, OSError) as error:
        raise_if_short(_OPENING_BYTES)
        raise MediaError(f"the video cannot be opened: {_reason(error)}", path=path) from error


def video_stream(container: InputContainer, path: Path, *, threads: int = 1) -> VideoStream:
    """The first stream of moving pictures.

    Raises:
        MediaError: there is none that can be decoded.
    """
    streams = [stream for stream in container.streams.video if stream.codec_context is not None]
    moving = [stream for stream in streams if not stream.disposition & av.stream.Disposition.attached_pic]
    if not moving:
        raise_if_short(_OPENING_BYTES)
        raise MediaError("the file has no video stream that can be decoded", path=path)
    moving[0].codec_context.thread_count = threads  # each holds frames of its own
    return moving[0]


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


@dataclass(frozen=True, slots=True)
class Decoded:
    """A frame as the decoder gave it."""

    frame: VideoFrame
    is_suspect: bool
    """Something since the last keyframe was damaged, and this frame may have been made from it."""


def decode(packets: Packets, stream: VideoStream) -> Iterator[Decoded]:
    """Frames in order of presentation; a packet that cannot be decoded gives none."""
    is_suspect = False
    for packet in _then_none(packets):
        if packet is not None and packet.is_corrupt:  # cut off: decoders make up the rest without a word
            is_suspect = True
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
            yield Decoded(frame, is_suspect)


def _then_none(packets: Packets) -> "Iterator[Packet[VideoStream] | None]":
    """The packets, and the None that has the decoder give what it still holds."""
    yield from packets
    yield None


def upright(frame: VideoFrame) -> Image:
    """The picture as RGB, turned as the display matrix says."""
    image = frame.to_ndarray(format="rgb24", threads=1)
    turns = _quarter_turns(frame)
    return np.ascontiguousarray(np.rot90(image, turns)) if turns else np.asarray(image, np.uint8)


def upright_shape(frame: VideoFrame) -> tuple[int, int]:
    """Height and width of the upright picture."""
    return (frame.width, frame.height) if _quarter_turns(frame) % 2 else (frame.height, frame.width)


def _quarter_turns(frame: VideoFrame) -> int:
    """Counterclockwise, as the display matrix says."""
    return round(frame.rotation / 90) % 4


def _reason(error: Exception) -> str:
    return getattr(error, "strerror", None) or str(error)
