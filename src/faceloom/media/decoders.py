"""What decoders hold: the pictures that they keep, by codec and by what the stream says of itself.

The numbers were measured with FFmpeg's decoders on one thread (docs/memory.md has the table): the peak of a process
that reads a video, less what it held before, over sizes, depths and numbers of references.
"""

from collections.abc import Mapping
from dataclasses import dataclass

from faceloom.units import MIB

_MOST_REFERENCES = 16
_FIXED_BYTES = 4 * MIB
"""Packets, what the demuxer reads ahead, and pages of the decoder that are touched when it is first used."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Coding:
    """What is known of a stream's pictures before one is decoded."""

    codec: str
    """FFmpeg's name of the decoder."""
    height: int
    width: int
    bits_a_pixel: int = 12
    """Of a decoded picture in memory, padding included: 12 for 8 bits and 4:2:0, 24 for 10."""
    references: int | None = None
    """How many pictures a decoder has to keep, by the stream's parameter sets."""
    level: int | None = None
    """In the codec's numbers; None or less than 1 if the stream does not state it."""
    is_reordered: bool = False
    """Whether frames come out in another order than they are coded in."""
    is_intra: bool = False
    """Whether no frame is made from another."""


@dataclass(frozen=True, slots=True, kw_only=True)
class _Decoder:
    """What one decoder holds."""

    references: float = 0
    """Pictures that others are made from, where the stream does not tell."""
    besides: float
    """Pictures besides: the one being decoded, and those that were given away and are still looked at."""
    reordered: float = 0
    """More of them where frames are reordered."""
    bytes_a_pixel: float = 0
    """What is kept with each picture besides its pixels: motion vectors, kinds of blocks."""


_DECODERS: Mapping[str, _Decoder] = {
    "h264": _Decoder(besides=1.8, reordered=0.7, bytes_a_pixel=0.525),
    "hevc": _Decoder(besides=2.15, bytes_a_pixel=0.75),
    **dict.fromkeys(("av1", "libdav1d"), _Decoder(references=8, besides=1.3, bytes_a_pixel=0.12)),
    **dict.fromkeys(("vp9", "libvpx-vp9"), _Decoder(references=3, besides=1.2, bytes_a_pixel=0.25)),
    "vp8": _Decoder(references=2, besides=1.2),
    **dict.fromkeys(
        ("mpeg1video", "mpeg2video", "mpeg4", "h263"), _Decoder(references=2, besides=1.85, bytes_a_pixel=0.2)
    ),
    "mjpeg": _Decoder(besides=2.2),
    "prores": _Decoder(besides=2.3),
    "dnxhd": _Decoder(besides=2.75),
    "ffv1": _Decoder(besides=2.8),
    **dict.fromkeys(("png", "apng"), _Decoder(besides=3.05)),
    "gif": _Decoder(besides=2.65),
    "vvc": _Decoder(references=_MOST_REFERENCES, besides=2.8, bytes_a_pixel=0.75),
}
_INTRA = _Decoder(besides=2.8)
_UNKNOWN = _Decoder(references=6, besides=2.8, bytes_a_pixel=0.25)
"""More than any that was measured keeps without saying so."""


def decoder_bytes(coding: Coding) -> int:
    """What a decoder holds at most, as long as its video is open."""
    pixels = coding.height * coding.width
    decoder = _DECODERS.get(coding.codec, _INTRA if coding.is_intra else _UNKNOWN)
    held = _references(coding, decoder) + decoder.besides + decoder.reordered * coding.is_reordered
    return round(held * pixels * (coding.bits_a_pixel / 8 + decoder.bytes_a_pixel)) + _FIXED_BYTES


def _references(coding: Coding, decoder: _Decoder) -> float:
    pixels = coding.height * coding.width
    level = coding.level if coding.level and coding.level > 0 else None
    match coding.codec:
        case "h264":
            return max(1, coding.references) if coding.references is not None else _h264_references(pixels, level)
        case "hevc":
            return coding.references if coding.references is not None else _hevc_references(pixels, level)
    return decoder.references


def _h264_references(pixels: int, level: int | None) -> int:
    """Reference pictures that a level allows: ITU-T H.264, A.3.1 and table A-1 (MaxDpbMbs)."""
    buffer = next(
        (blocks for most, blocks in _H264_BUFFERS if level is not None and level <= most), _H264_BUFFERS[-1][1]
    )
    return max(1, min(_MOST_REFERENCES, buffer * 256 // max(1, pixels)))


def _hevc_references(pixels: int, level: int | None) -> int:
    """Reference pictures that a level allows: ITU-T H.265, A.4.2 and table A.8 (MaxLumaPs, MaxDpbSize)."""
    largest = _limit(_HEVC_SIZES, level)
    for share, held in ((4, 16), (2, 12)):
        if pixels * share <= largest:
            return held
    return 8 if pixels * 4 <= largest * 3 else 6


def _limit(limits: tuple[tuple[int, int], ...], level: int | None) -> int:
    """What the first level at or above this one allows; of a level that is not known the most."""
    return next((limit for most, limit in limits if level is not None and level <= most), limits[-1][1])


# Levels in the numbers that the streams use, ten times and thirty times the level's name.
_H264_BUFFERS = (
    (10, 396),
    (11, 900),
    (20, 2_376),
    (21, 4_752),
    (30, 8_100),
    (31, 18_000),
    (32, 20_480),
    (41, 32_768),
    (42, 34_816),
    (50, 110_400),
    (52, 184_320),
    (62, 696_320),
)
_HEVC_SIZES = (
    (30, 36_864),
    (60, 122_880),
    (63, 245_760),
    (90, 552_960),
    (93, 983_040),
    (123, 2_228_224),
    (156, 8_912_896),
    (186, 35_651_584),
)
