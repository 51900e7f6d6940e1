"""The index of a video, made by demuxing: how many frames there are, when each is shown, and where keyframes are."""

import math
from array import array
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from fractions import Fraction
from itertools import groupby, islice
from pathlib import Path
from typing import Final

import av
import numpy as np
from av.packet import Packet
from av.video.codeccontext import VideoCodecContext
from av.video.stream import VideoStream
from numpy.typing import NDArray

from faceloom.errors import MediaError
from faceloom.media.clocks import Piece
from faceloom.media.decoders import Coding, decoder_bytes
from faceloom.media.decoding import (
    Decoded,
    decode,
    has_several_streams,
    marked_keyframes,
    open_video,
    pieces_of,
    video_stream,
)
from faceloom.media.deinterlacing import HELD_PICTURES
from faceloom.media.notes import Note
from faceloom.media.parameter_sets import HEAD_BYTES, CodedSize, sizes_in
from faceloom.media.parts import parts_of
from faceloom.media.sources import Shape, VideoIndex
from faceloom.media.video_pixels import Look, look_ahead, look_at

_CHECKED_FRAMES = 12
_CHECKED_AT_A_JOINT = 2
_MOST_SIZES = 64
_NEW_RECORD: Final = "new_extradata"
"""What a packet has with it where a container keeps parameter sets, and they change (FFmpeg, AV_PKT_DATA_*)."""
_AS_READ = "rgb24"
"""Pictures of which no converted copy is made."""
_TOLERATED_GAP = 0.05  # of the stated length: sound may go on a little after the last picture


class TooLargeError(MemoryError):
    """There is too little memory to decode the first frames of a video, and so to count it."""

    def __init__(self, message: str, shape: Shape) -> None:
        super().__init__(message)
        self.shape = shape
        """What its frames take, by what the stream states."""


def index_video(path: Path) -> VideoIndex:
    """Counts and times the frames of a video without decoding more than the first few of each part.

    Raises:
        MediaError: no video stream, no frame, or nothing that can be decoded.
        TooLargeError: its frames cannot be decoded in the memory that there is.
        MemoryError: there is too little memory to tell.
    """
    listed = _list_packets(path)
    seen = _see(path, listed)
    if not seen.frames:
        raise MediaError("no frame of the video can be decoded", path=path)
    # Some containers (raw streams, B-frames in AVI) carry no times, or other times than their frames have.
    if listed.all_timed and np.isin([frame.ticks for frame in seen.frames], listed.ticks).all():
        listed = listed.without(_led(listed, seen))
        order = np.argsort(listed.ticks, kind="stable")
        ticks, keyframes = listed.ticks[order], listed.keyframes[order]
        keyframes[0] = True
        problem = None if listed.is_joined else _breaking_off(ticks[-1] * listed.time_base, listed.stated_end_s)
        timed: NDArray[np.int64] | None = ticks
    else:
        try:
            timed, keyframes = _times_by_decoding(path, listed)
        except MemoryError as error:
            raise TooLargeError(str(error) or "its frames cannot be decoded", seen.shape) from error
        problem = None
    return VideoIndex(
        height=seen.shape.height,
        width=seen.shape.width,
        time_base=listed.time_base,
        ticks=timed,
        keyframes=keyframes,
        problem=problem,
        reading_bytes=seen.shape.reading_bytes,
        notes=_notes(listed, seen),
    )


def _notes(listed: "_Listed", seen: "_Sight") -> tuple[str, ...]:
    looks = {(frame.look.height, frame.look.width) for frame in seen.frames}
    coded = {(size.height, size.width) for size in listed.sizes}
    told = {
        Note.JOINED: listed.is_joined,
        Note.CHOSEN: listed.has_several_streams,
        Note.LED: listed.left_out > 0,
        Note.RESIZED: max(len(looks), len(coded)) > 1,
    }
    return tuple(str(note) for note, is_so in told.items() if is_so)


@dataclass(frozen=True, slots=True)
class _Sighting:
    ticks: int
    stretch: int
    look: Look


@dataclass(frozen=True, slots=True)
class _Sight:
    """What decoding the first frames of each part tells."""

    frames: Sequence[_Sighting]
    shape: Shape
    """Of the largest frame, seen or only stated by a keyframe."""


def _see(path: Path, listed: "_Listed") -> _Sight:
    frames: list[_Sighting] = []
    shapes: list[Shape] = []
    with open_video(path) as container:
        stream = video_stream(container, path)
        for stretch, pieces in groupby(pieces_of(container, stream), key=lambda piece: piece.stretch):
            try:
                looked = list(_first_looks(pieces, stream, _CHECKED_AT_A_JOINT if stretch else _CHECKED_FRAMES))
            except MemoryError as error:
                raise _too_large(stream, listed.sizes) from error
            frames += [_Sighting(decoded_ticks, stretch, look) for decoded_ticks, look, _ in looked]
            is_interlaced = any(interlaced for _, _, interlaced in looked)
            for look in {look for _, look, _ in looked}:
                shapes += _shapes(stream, look, listed.sizes, is_interlaced=is_interlaced)
            if not listed.is_joined:
                break
            stream.codec_context.flush_buffers()
    largest = max(shapes, key=lambda shape: shape.frame_bytes, default=Shape(0, 0, 0))
    # No size that takes more to be read than the largest is expected; where one does, it is planned for.
    reading_bytes = max((shape.frame_bytes + shape.reading_bytes for shape in shapes), default=0) - largest.frame_bytes
    return _Sight(frames, replace(largest, reading_bytes=max(0, reading_bytes)))


def _first_looks(pieces: Iterable[Piece], stream: VideoStream, count: int) -> Iterator[tuple[int, Look, bool]]:
    """Time and looks of the first frames, and whether they are interlaced."""
    for decoded in islice(decode(pieces, stream), count):
        yield decoded.frame.pts or 0, look_at(_as_if_read(decoded)), bool(decoded.frame.interlaced_frame)


def _too_large(stream: VideoStream, sizes: Iterable[CodedSize]) -> MemoryError:
    """That there is too little memory for a frame, with what it takes as far as the stream states it."""
    context = stream.codec_context
    message = f"a frame of {context.width} x {context.height} cannot be decoded"
    if not context.width or not context.height:
        return MemoryError(message)
    look = look_ahead(context.format, context.height, context.width, context.sample_aspect_ratio)
    shapes = [*_shapes(stream, look, sizes, is_interlaced=False)]
    return TooLargeError(message, max(shapes, key=lambda shape: shape.frame_bytes + shape.reading_bytes))


def _as_if_read(decoded: Decoded) -> Decoded:
    return replace(decoded, is_deinterlaced=bool(decoded.frame.interlaced_frame))


def _shapes(stream: VideoStream, look: Look, sizes: Iterable[CodedSize], *, is_interlaced: bool) -> Iterator[Shape]:
    """How large frames come that look like this one, those that other keyframes state among them."""
    context = stream.codec_context
    stated = [size for size in sizes if size.height >= context.height and size.width >= context.width]
    now = min(stated, key=_pixels, default=None)  # padded to blocks
    yield Shape(
        look.height, look.width, _reading_bytes(stream, look, now or CodedSize(height=0, width=0), is_interlaced)
    )
    for size in stated:
        if now is not None and size is not now:
            grown = _grown(look, size, context)
            yield Shape(grown.height, grown.width, _reading_bytes(stream, grown, size, is_interlaced))


def _grown(look: Look, size: CodedSize, context: VideoCodecContext) -> Look:
    """What has to be done to frames of another size of the same video."""
    is_turned = abs(look.height - context.height) > abs(look.width - context.height)
    stretch = (look.height if is_turned else look.width) / context.width
    width = round(size.width * stretch)
    working = math.ceil(look.working_bytes * _pixels(size) / (context.height * context.width))
    height, width = (width, size.height) if is_turned else (size.height, width)
    return replace(look, height=height, width=width, working_bytes=working)


def _pixels(size: CodedSize) -> int:
    return size.height * size.width


def _reading_bytes(stream: VideoStream, look: Look, size: CodedSize, is_interlaced: bool) -> int:
    """What reading a frame that looks like this takes, on top of the frame itself."""
    context = stream.codec_context
    height, width = max(size.height, context.height), max(size.width, context.width)
    bits = context.format.padded_bits_per_pixel if context.format else 12
    coding = Coding(
        codec=context.name,
        height=height,
        width=width,
        bits_a_pixel=bits,
        references=size.references,
        level=context.level,
        is_reordered=context.has_b_frames,
        is_intra=context.codec.intra_only,
    )
    pictures = HELD_PICTURES * height * width * bits // 8 if is_interlaced else 0
    converted = 0 if context.pix_fmt == _AS_READ else 3 * look.height * look.width
    return decoder_bytes(coding) + converted + look.working_bytes + pictures


@dataclass(frozen=True, slots=True, kw_only=True)
class _Listed:
    """What demuxing tells, in the order of decoding."""

    ticks: NDArray[np.int64]
    stretches: NDArray[np.int32]
    """How often the clock has started again before each packet."""
    keyframes: NDArray[np.bool_]
    all_timed: bool
    time_base: Fraction
    stated_end_s: float | None
    has_several_streams: bool
    sizes: frozenset[CodedSize]
    """What its keyframes state."""
    left_out: int = 0

    @property
    def is_joined(self) -> bool:
        return bool(self.stretches.any())

    def without(self, left_out: NDArray[np.bool_]) -> "_Listed":
        kept = ~left_out
        return replace(
            self,
            ticks=self.ticks[kept],
            stretches=self.stretches[kept],
            keyframes=self.keyframes[kept],
            left_out=int(left_out.sum()),
        )


def _list_packets(path: Path) -> _Listed:
    ticks, keyframes, stretches = array("q"), array("b"), array("i")  # 13 bytes a frame: videos can be long
    all_timed = True
    sizes: frozenset[CodedSize] = frozenset()
    with open_video(path) as container:
        stream = video_stream(container, path)
        marked = marked_keyframes(stream) if parts_of(path) else None  # packets that are not here do not tell
        for piece in pieces_of(container, stream):
            packet = piece.packet
            if packet.is_discard:
                continue
            all_timed &= packet.pts is not None
            ticks.append(packet.pts or 0)
            keyframes.append(packet.is_keyframe if marked is None else packet.pos in marked)
            stretches.append(piece.stretch)
            if packet.is_keyframe:
                sizes = _with_sizes(sizes, packet, stream.codec_context)
        end = ((container.start_time or 0) + container.duration) / av.time_base if container.duration else None
        several = has_several_streams(container)
        time_base = stream.time_base or Fraction(1)
    return _Listed(
        ticks=np.array(ticks, np.int64),
        stretches=np.array(stretches, np.int32),
        keyframes=np.array(keyframes, np.bool_),
        all_timed=all_timed,
        time_base=time_base,
        stated_end_s=end,
        has_several_streams=several,
        sizes=sizes,
    )


def _with_sizes(
    sizes: frozenset[CodedSize], packet: "Packet[VideoStream]", context: VideoCodecContext
) -> frozenset[CodedSize]:
    """Those that are known, and those that a keyframe states."""
    records = [context.extradata or b""]
    if packet.has_sidedata(_NEW_RECORD):
        records.append(bytes(packet.get_sidedata(_NEW_RECORD)))
    head = bytes(memoryview(packet)[:HEAD_BYTES])
    found = sizes.union(*(sizes_in(context.name, head, record) for record in records))
    if len(found) <= _MOST_SIZES:
        return found
    most = [
        max(values) for values in zip(*((one.height, one.width, one.references or 0) for one in found), strict=True)
    ]
    return frozenset([CodedSize(height=most[0], width=most[1], references=most[2] or None)])


def _led(listed: _Listed, seen: _Sight) -> NDArray[np.bool_]:
    """Which packets no decoder gives a frame for, since they need pictures from before a part's start.

    They come before its first keyframe, or are shown before it though they come after; and before all that is decoded.
    """
    out = np.zeros(len(listed.ticks), np.bool_)
    for stretch, frames in groupby(seen.frames, key=lambda frame: frame.stretch):
        first_shown = next(frames).ticks
        places = np.flatnonzero(listed.stretches == stretch)
        keys = places[listed.keyframes[places]]
        if not len(keys):
            continue
        key, next_key = keys[0], keys[1] if len(keys) > 1 else len(listed.ticks)
        is_led = (places < key) | ((places < next_key) & (listed.ticks[places] < listed.ticks[key]))
        out[places[is_led & (listed.ticks[places] < first_shown)]] = True
    return out


def _breaking_off(last_s: Fraction, stated_end_s: float | None) -> str | None:
    """Some containers state how long they are, and a file that was cut off is shorter."""
    if stated_end_s is None or stated_end_s - last_s <= max(1.0, _TOLERATED_GAP * stated_end_s):
        return None
    return f"the last frame is at {float(last_s):.1f} s of the {stated_end_s:.1f} s that the container states: cut off?"


def _times_by_decoding(path: Path, listed: _Listed) -> tuple[NDArray[np.int64] | None, NDArray[np.bool_]]:
    """The times that the decoder gives, if they rise, and where a seek leads to a keyframe."""
    ticks, keyframes, all_timed = array("q"), array("b"), True
    with open_video(path) as container:
        stream = video_stream(container, path)
        for decoded in decode(pieces_of(container, stream), stream):
            all_timed &= decoded.frame.pts is not None
            ticks.append(decoded.frame.pts or 0)
            keyframes.append(decoded.frame.key_frame)
    times = np.array(ticks, np.int64)
    first = np.arange(len(times)) == 0
    if not all_timed or (np.diff(times) <= 0).any():
        return None, first
    # Where packets have other times than their frames, no keyframe can be sought.
    sought = np.array(keyframes, np.bool_) & np.isin(times, listed.ticks[listed.keyframes])
    return times, first | sought if np.isin(times, listed.ticks).all() else first
