"""The index of a video, made by demuxing: how many frames there are, when each is shown, and where keyframes are."""

from array import array
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from fractions import Fraction
from itertools import groupby, islice
from pathlib import Path

import av
import numpy as np
from av.video.format import VideoFormat
from av.video.stream import VideoStream
from numpy.typing import NDArray

from faceloom.errors import MediaError
from faceloom.media.clocks import Piece
from faceloom.media.decoding import Decoded, decode, has_several_streams, open_video, pieces_of, video_stream
from faceloom.media.deinterlacing import HELD_PICTURES
from faceloom.media.headers import video_reading_bytes
from faceloom.media.notes import Note
from faceloom.media.sources import VideoIndex
from faceloom.media.video_pixels import Look, look_at

_CHECKED_FRAMES = 12
_CHECKED_AT_A_JOINT = 2
_TOLERATED_GAP = 0.05  # of the stated length: sound may go on a little after the last picture


def index_video(path: Path) -> VideoIndex:
    """Counts and times the frames of a video without decoding more than the first few of each part.

    Raises:
        MediaError: no video stream, no frame, or nothing that can be decoded.
        MemoryError: there is too little memory to tell.
    """
    listed = _list_packets(path)
    seen = _see(path, is_joined=listed.is_joined)
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
        timed, keyframes = _times_by_decoding(path, listed)
        problem = None
    shape = max((frame.look for frame in seen.frames), key=lambda look: look.height * look.width)
    return VideoIndex(
        height=shape.height,
        width=shape.width,
        time_base=listed.time_base,
        ticks=timed,
        keyframes=keyframes,
        problem=problem,
        reading_bytes=seen.reading_bytes,
        notes=_notes(listed, seen),
    )


def _notes(listed: "_Listed", seen: "_Sight") -> tuple[str, ...]:
    sizes = {(frame.look.height, frame.look.width) for frame in seen.frames}
    told = {
        Note.JOINED: listed.is_joined,
        Note.CHOSEN: listed.has_several_streams,
        Note.LED: listed.left_out > 0,
        Note.RESIZED: len(sizes) > 1,
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
    reading_bytes: int


def _see(path: Path, *, is_joined: bool) -> _Sight:
    frames: list[_Sighting] = []
    reading_bytes = 0
    with open_video(path) as container:
        stream = video_stream(container, path)
        for stretch, pieces in groupby(pieces_of(container, stream), key=lambda piece: piece.stretch):
            looked = list(_first_looks(pieces, stream, _CHECKED_AT_A_JOINT if stretch else _CHECKED_FRAMES))
            frames += [_Sighting(decoded_ticks, stretch, look) for decoded_ticks, look, _ in looked]
            is_interlaced = any(interlaced for _, _, interlaced in looked)
            parts = [_reading_bytes(stream, look, is_interlaced=is_interlaced) for _, look, _ in looked]
            reading_bytes = max(reading_bytes, *parts, 0)
            if not is_joined:
                break
            stream.codec_context.flush_buffers()
    return _Sight(frames, reading_bytes)


def _first_looks(pieces: Iterable[Piece], stream: VideoStream, count: int) -> Iterator[tuple[int, Look, bool]]:
    """Time and looks of the first frames, and whether they are interlaced."""
    try:
        for decoded in islice(decode(pieces, stream), count):
            yield decoded.frame.pts or 0, look_at(_as_if_read(decoded)), bool(decoded.frame.interlaced_frame)
    except MemoryError as error:
        size = f"{stream.codec_context.width} x {stream.codec_context.height}"
        raise MemoryError(f"a frame of {size} cannot be decoded") from error


def _as_if_read(decoded: Decoded) -> Decoded:
    return replace(decoded, is_deinterlaced=bool(decoded.frame.interlaced_frame))


def _reading_bytes(stream: VideoStream, look: Look, *, is_interlaced: bool) -> int:
    """What reading a frame that looks like this takes, on top of the frame itself."""
    context = stream.codec_context
    bits = _held_bits(context.format) if context.format else 12
    decoding = video_reading_bytes(
        context.height, context.width, codec=context.name, level=context.level, bits_a_pixel=bits
    )
    copies = 3 * (look.height * look.width - context.height * context.width)
    pictures = HELD_PICTURES * context.height * context.width * bits // 8 if is_interlaced else 0
    return decoding + max(0, copies) + look.working_bytes + pictures


def _held_bits(pixels: VideoFormat) -> int:
    """Of a pixel in memory, where more than 8 bits of a channel take 16."""
    deepest = max(component.bits for component in pixels.components)
    return max(12, -(-pixels.bits_per_pixel * (16 if deepest > 8 else 8) // min(16, max(8, deepest))))


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
    with open_video(path) as container:
        stream = video_stream(container, path)
        for piece in pieces_of(container, stream):
            packet = piece.packet
            if packet.is_discard:
                continue
            all_timed &= packet.pts is not None
            ticks.append(packet.pts or 0)
            keyframes.append(packet.is_keyframe)
            stretches.append(piece.stretch)
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
    )


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
