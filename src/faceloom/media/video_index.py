"""The index of a video, made by demuxing: how many frames there are, when each is shown, and where keyframes are."""

from array import array
from dataclasses import dataclass
from fractions import Fraction
from itertools import islice
from pathlib import Path

import av
import numpy as np
from av.container import InputContainer
from av.video.stream import VideoStream
from numpy.typing import NDArray

from faceloom.errors import MediaError
from faceloom.media.decoding import decode, open_video, packets_of, upright_shape, video_stream
from faceloom.media.headers import video_reading_bytes
from faceloom.media.sources import VideoIndex

_CHECKED_FRAMES = 12
_TOLERATED_GAP = 0.05  # of the stated length: sound may go on a little after the last picture


def index_video(path: Path) -> VideoIndex:
    """Counts and times the frames of a video without decoding more than the first few.

    Raises:
        MediaError: no video stream, no frame, or nothing that can be decoded.
        MemoryError: there is too little memory to tell.
    """
    listed = _list_packets(path)
    with open_video(path) as container:
        stream = video_stream(container, path)
        looks = _first_looks(container, stream)
        reading_bytes = _reading_bytes(stream)
    if not looks:
        raise MediaError("no frame of the video can be decoded", path=path)
    height, width = looks[0][1]
    # Some containers (raw streams, B-frames in AVI) carry no times, or other times than their frames have.
    if not listed.all_timed or not np.isin([ticks for ticks, _ in looks], listed.ticks).all():
        return _index_by_decoding(
            path, height=height, width=width, time_base=listed.time_base, reading_bytes=reading_bytes
        )
    order = np.argsort(listed.ticks, kind="stable")
    ticks, keyframes = listed.ticks[order], listed.keyframes[order]
    keyframes[0] = True
    problem = _breaking_off(float(ticks[-1] * listed.time_base), listed.stated_end_s)
    return VideoIndex(
        height=height,
        width=width,
        time_base=listed.time_base,
        ticks=ticks,
        keyframes=keyframes,
        problem=problem,
        reading_bytes=reading_bytes,
    )


def _first_looks(container: InputContainer, stream: VideoStream) -> list[tuple[int, tuple[int, int]]]:
    """Time and upright height and width of the first frames."""
    first = islice(decode(packets_of(container, stream), stream), _CHECKED_FRAMES)
    try:
        return [(decoded.frame.pts or 0, upright_shape(decoded.frame)) for decoded in first]
    except MemoryError as error:
        size = f"{stream.codec_context.width} x {stream.codec_context.height}"
        raise MemoryError(f"a frame of {size} cannot be decoded") from error


def _reading_bytes(stream: VideoStream) -> int:
    context = stream.codec_context
    bits = context.format.bits_per_pixel if context.format else 12
    return video_reading_bytes(
        context.height, context.width, codec=context.name, level=context.level, bits_a_pixel=max(12, bits)
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
    with open_video(path) as container:
        stream = video_stream(container, path)
        for packet in packets_of(container, stream):
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


def _index_by_decoding(path: Path, *, height: int, width: int, time_base: Fraction, reading_bytes: int) -> VideoIndex:
    with open_video(path) as container:
        stream = video_stream(container, path)
        count = sum(1 for _ in decode(packets_of(container, stream), stream))
    keyframes = np.arange(count) == 0
    return VideoIndex(
        height=height,
        width=width,
        time_base=time_base,
        ticks=None,
        keyframes=keyframes,
        reading_bytes=reading_bytes,
    )
