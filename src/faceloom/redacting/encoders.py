"""Encoders: what videos are written with, and how much memory that takes.

One thread, and no frame that is made from a later one: so the bytes are the same under every plan, and times of
decoding are times of presentation, which every container keeps as they are.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from fractions import Fraction

import av
from av.container import OutputContainer
from av.video.frame import VideoFrame
from av.video.stream import VideoStream

from faceloom.redacting.planes import TEN_BITS
from faceloom.units import MIB

_LOOKAHEAD = 10
_X264 = f"bframes=0:threads=1:lookahead-threads=1:rc-lookahead={_LOOKAHEAD}:sync-lookahead=0"
_X265 = f"pools=none:frame-threads=1:wpp=0:bframes=0:rc-lookahead={_LOOKAHEAD}:log-level=error"
_HEVC_IN_MP4 = "hvc1"


@dataclass(frozen=True, slots=True, kw_only=True)
class Encoding:
    """An encoder and what it is told."""

    codec: str
    options: Mapping[str, str]
    bytes_a_pixel: float
    """What it holds at most, like the next (measured at four sizes, docs/redact.md)."""
    fixed_bytes: int

    def held_bytes(self, pixels: int) -> int:
        """What it holds of frames of so many pixels."""
        return round(self.bytes_a_pixel * pixels) + self.fixed_bytes


def encoding_of(name: str, *, quality: int) -> Encoding:
    """What frames of a format are encoded with: H.264 for 8 bits, HEVC for 10."""
    if name == TEN_BITS:
        options = {"preset": "veryfast", "crf": str(quality), "x265-params": _X265}
        return Encoding(codec="libx265", options=options, bytes_a_pixel=165.0, fixed_bytes=48 * MIB)
    options = {"preset": "veryfast", "crf": str(quality), "x264-params": _X264}
    return Encoding(codec="libx264", options=options, bytes_a_pixel=62.0, fixed_bytes=16 * MIB)


def can_encode_deep() -> bool:
    """Whether there is an encoder for 10 bits."""
    try:
        return TEN_BITS in {one.name for one in av.Codec("libx265", "w").video_formats or ()}
    except av.FFmpegError:
        return False
    except ValueError:
        return False


def add_video(
    container: OutputContainer,
    first: VideoFrame,
    *,
    rate: Fraction | None,
    encoding: Encoding,
    time_base: Fraction,
    aspect: Fraction,
    tags: tuple[int, int, int, int],
) -> VideoStream:
    """The stream that frames like this one are encoded into.

    Args:
        container: where it is added.
        first: the first frame, as it is encoded.
        rate: frames a second, where they are even or nearly so.
        encoding: with what.
        time_base: seconds a tick.
        aspect: of its pixels, as they lie.
        tags: primaries, transfer, matrix and range of its colours, as H.273 and FFmpeg number them.
    """
    stream = container.add_stream(encoding.codec, options=dict(encoding.options))
    assert isinstance(stream, VideoStream)
    context = stream.codec_context
    context.width, context.height = first.width, first.height
    context.pix_fmt = first.format.name
    context.thread_count = 1
    stream.time_base = context.time_base = time_base
    if rate:
        context.framerate = rate
    context.sample_aspect_ratio = aspect
    context.color_primaries, context.color_trc, context.colorspace, context.color_range = tags
    if encoding.codec == "libx265" and container.format.name in {"mp4", "mov"}:
        context.codec_tag = _HEVC_IN_MP4
    return stream
