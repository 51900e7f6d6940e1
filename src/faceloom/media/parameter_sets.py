"""How large the pictures of a stream are, and how many a decoder keeps, by what its keyframes say of themselves.

A container tells the size of its first pictures alone. Here it is read from every keyframe, without decoding one, for
the codecs whose streams change their size on the way or leave the decoder to keep as many pictures as they like.
"""

import struct
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass

from faceloom.media.bits import Bits, without_escapes

HEAD_BYTES = 4096
"""So much of a keyframe is looked at."""
_MACROBLOCK = 16
_H264_SPS, _HEVC_SPS = 7, 33
_AV1_SEQUENCE = 1
_MPEG_SEQUENCE = b"\x00\x00\x01\xb3"
_JPEG_SIZES = frozenset(range(0xC0, 0xD0)) - {0xC4, 0xC8, 0xCC}
_PNG_HEADER = b"IHDR"


@dataclass(frozen=True, slots=True, kw_only=True)
class CodedSize:
    """What a keyframe says of the pictures from it on."""

    height: int
    """As coded, before anything is cropped, turned or stretched."""
    width: int
    references: int | None = None
    """How many pictures a decoder has to keep; None where the codec does not tell."""


def sizes_in(codec: str, keyframe: bytes, extradata: bytes = b"") -> tuple[CodedSize, ...]:
    """The sizes that a keyframe states, or what the container keeps of it; none where it says nothing.

    Args:
        codec: FFmpeg's name of the codec or of a decoder of it.
        keyframe: the beginning of the packet.
        extradata: the container's, for streams that keep their parameter sets there.
    """
    read = _READERS.get(codec)
    if read is None:
        return ()
    try:
        return tuple(size for size in read(keyframe, extradata) if size.height > 0 and size.width > 0)
    except (IndexError, ValueError, struct.error):  # damaged, or cut off: the decoder will say so
        return ()


def _h264(keyframe: bytes, extradata: bytes) -> Iterator[CodedSize]:
    for unit in _units(keyframe, extradata):
        if unit[0] & 0x1F == _H264_SPS:
            yield _h264_size(Bits(without_escapes(unit[1:])))


def _hevc(keyframe: bytes, extradata: bytes) -> Iterator[CodedSize]:
    for unit in _units(keyframe, extradata):
        if unit[0] >> 1 & 0x3F == _HEVC_SPS:
            yield _hevc_size(Bits(without_escapes(unit[2:])))


def _units(keyframe: bytes, extradata: bytes) -> Iterator[bytes]:
    """NAL units: behind start codes (ITU-T H.264, annex B), or behind their lengths (ISO/IEC 14496-15, 5.2.4.1)."""
    is_measured = extradata[:1] == b"\x01"
    yield from _after_lengths(keyframe) if is_measured else _after_start_codes(keyframe)
    yield from _in_record(extradata) if is_measured else _after_start_codes(extradata)


def _after_start_codes(content: bytes) -> Iterator[bytes]:
    for part in content.split(b"\x00\x00\x01")[1:]:
        if part:
            yield part


def _after_lengths(content: bytes) -> Iterator[bytes]:
    place = 0
    while place + 4 < len(content):
        (length,) = struct.unpack_from(">I", content, place)
        if not length:
            return
        yield content[place + 4 : place + 4 + length]
        place += 4 + length


def _in_record(record: bytes) -> Iterator[bytes]:
    """Parameter sets of a decoder's configuration record: ISO/IEC 14496-15, 5.3.3.1 (AVC) and 8.3.3.1 (HEVC)."""
    yield from _avc_sets(record) if _is_avc(record) else _hevc_sets(record)


def _is_avc(record: bytes) -> bool:
    """Whether the first set is one of H.264: HEVC's records have 22 bytes in front of the first."""
    return len(record) > 8 and record[4] & 0xFC == 0xFC and record[8] & 0x1F == _H264_SPS


def _avc_sets(record: bytes) -> Iterator[bytes]:
    place = 6
    for _ in range(record[5] & 0x1F):
        (length,) = struct.unpack_from(">H", record, place)
        yield record[place + 2 : place + 2 + length]
        place += 2 + length


def _hevc_sets(record: bytes) -> Iterator[bytes]:
    place = 23
    for _ in range(record[22]):
        (count,) = struct.unpack_from(">H", record, place + 1)
        place += 3
        for _ in range(count):
            (length,) = struct.unpack_from(">H", record, place)
            yield record[place + 2 : place + 2 + length]
            place += 2 + length


_WITH_CHROMA = frozenset([100, 110, 122, 244, 44, 83, 86, 118, 128, 138, 139, 134, 135])


def _h264_size(bits: Bits) -> CodedSize:
    """ITU-T H.264, 7.3.2.1.1."""
    profile = bits.read(8)
    bits.read(16)  # constraints and level
    bits.unsigned()
    if profile in _WITH_CHROMA:
        chroma = bits.unsigned()
        if chroma == 3:
            bits.read(1)
        bits.unsigned(), bits.unsigned()  # depths
        bits.read(1)
        if bits.read(1):
            _pass_scaling(bits, 12 if chroma == 3 else 8)
    bits.unsigned()
    order = bits.unsigned()
    if order == 0:
        bits.unsigned()
    elif order == 1:
        bits.read(1)
        bits.signed(), bits.signed()
        for _ in range(bits.unsigned()):
            bits.signed()
    references = bits.unsigned()
    bits.read(1)
    width, height = bits.unsigned() + 1, bits.unsigned() + 1
    fields = 1 if bits.read(1) else 2
    return CodedSize(height=height * fields * _MACROBLOCK, width=width * _MACROBLOCK, references=references)


def _pass_scaling(bits: Bits, lists: int) -> None:
    """ITU-T H.264, 7.3.2.1.1.1."""
    for number in range(lists):
        if not bits.read(1):
            continue
        last = following = 8
        for _ in range(16 if number < 6 else 64):
            if following:
                following = (last + bits.signed()) % 256
            last = following or last


def _hevc_size(bits: Bits) -> CodedSize:
    """ITU-T H.265, 7.3.2.2.1; the pictures of the highest layer."""
    bits.read(4)
    layers = bits.read(3) + 1
    bits.read(1)
    _pass_profile(bits, layers)
    bits.unsigned()
    if bits.unsigned() == 3:
        bits.read(1)
    width, height = bits.unsigned(), bits.unsigned()
    if bits.read(1):
        for _ in range(4):
            bits.unsigned()
    for _ in range(3):  # depths, and how long counts of pictures are
        bits.unsigned()
    is_told_of_each = bits.read(1)
    references = 0
    for _ in range(layers if is_told_of_each else 1):
        references = max(references, bits.unsigned() + 1)
        bits.unsigned(), bits.unsigned()
    return CodedSize(height=height, width=width, references=references)


def _pass_profile(bits: Bits, layers: int) -> None:
    """ITU-T H.265, 7.3.3."""
    bits.read(88)
    bits.read(8)
    told = [(bits.read(1), bits.read(1)) for _ in range(layers - 1)]
    if layers > 1:
        bits.read(2 * (8 - (layers - 1)))
    for has_profile, has_level in told:
        bits.read(88 * has_profile + 8 * has_level)


def _vp8(keyframe: bytes, _: bytes) -> Iterator[CodedSize]:
    """RFC 6386, 9.1."""
    if keyframe[3:6] == b"\x9d\x01\x2a":
        width, height = struct.unpack_from("<HH", keyframe, 6)
        yield CodedSize(height=height & 0x3FFF, width=width & 0x3FFF)


def _vp9(keyframe: bytes, _: bytes) -> Iterator[CodedSize]:
    """VP9 bitstream specification 0.6, 6.2."""
    bits = Bits(keyframe)
    if bits.read(2) != 2:
        return
    profile = bits.read(1) + 2 * bits.read(1)
    if profile == 3:
        bits.read(1)
    if bits.read(1) or bits.read(1):  # shown again, or no keyframe
        return
    bits.read(2)
    if bits.read(24) != 0x498342:
        return
    if profile >= 2:
        bits.read(1)
    if bits.read(3) != 7:  # not RGB
        bits.read(1 + (3 if profile in (1, 3) else 0))
    elif profile in (1, 3):
        bits.read(1)
    width, height = bits.read(16) + 1, bits.read(16) + 1
    yield CodedSize(height=height, width=width)


def _av1(keyframe: bytes, extradata: bytes) -> Iterator[CodedSize]:
    """AV1 bitstream specification, 5.3 and 5.5.1; a container's record has 4 bytes in front (av1C)."""
    for content in (keyframe, extradata[4:]):
        for kind, unit in _obus(content):
            if kind == _AV1_SEQUENCE:
                yield _av1_size(Bits(unit))


def _obus(content: bytes) -> Iterator[tuple[int, bytes]]:
    place = 0
    while place < len(content):
        header = content[place]
        place += 2 if header & 4 else 1
        if not header & 2:
            return
        size = shift = 0
        while True:
            byte = content[place]
            place += 1
            size |= (byte & 0x7F) << shift
            shift += 7
            if not byte & 0x80:
                break
        yield header >> 3 & 0xF, content[place : place + size]
        place += size


def _av1_size(bits: Bits) -> CodedSize:
    bits.read(4)
    is_reduced = bits.read(1)
    if is_reduced:
        bits.read(5)
    else:
        _pass_operating_points(bits)
    width_bits, height_bits = bits.read(4) + 1, bits.read(4) + 1
    width, height = bits.read(width_bits) + 1, bits.read(height_bits) + 1
    return CodedSize(height=height, width=width)


def _pass_operating_points(bits: Bits) -> None:
    has_model = 0
    delay_bits = 0
    if bits.read(1):
        bits.read(64)
        if bits.read(1):
            bits.unsigned()
        has_model = bits.read(1)
        if has_model:
            delay_bits = bits.read(5) + 1
            bits.read(32 + 5 + 5)
    has_delay = bits.read(1)
    for _ in range(bits.read(5) + 1):
        bits.read(12)
        if bits.read(5) > 7:
            bits.read(1)
        if has_model and bits.read(1):
            bits.read(2 * delay_bits + 1)
        if has_delay and bits.read(1):
            bits.read(4)


def _mpeg(keyframe: bytes, extradata: bytes) -> Iterator[CodedSize]:
    """ISO/IEC 13818-2, 6.2.2.1; what an extension adds to the size is beyond what is ever read."""
    for content in (keyframe, extradata):
        place = content.find(_MPEG_SEQUENCE)
        if place >= 0:
            bits = Bits(content[place + 4 : place + 8])
            width, height = bits.read(12), bits.read(12)
            yield CodedSize(height=height, width=width)


def _jpeg(keyframe: bytes, _: bytes) -> Iterator[CodedSize]:
    """ITU-T T.81, B.2.2."""
    place = 2
    while keyframe[place] == 0xFF:
        (length,) = struct.unpack_from(">H", keyframe, place + 2)
        if keyframe[place + 1] in _JPEG_SIZES:
            height, width = struct.unpack_from(">HH", keyframe, place + 5)
            yield CodedSize(height=height, width=width)
            return
        place += 2 + length


def _png(keyframe: bytes, _: bytes) -> Iterator[CodedSize]:
    """ISO/IEC 15948, 11.2.2."""
    if keyframe[12:16] == _PNG_HEADER:
        width, height = struct.unpack_from(">II", keyframe, 16)
        yield CodedSize(height=height, width=width)


_READERS: Mapping[str, Callable[[bytes, bytes], Iterator[CodedSize]]] = {
    "h264": _h264,
    "hevc": _hevc,
    "vp8": _vp8,
    "vp9": _vp9,
    "libvpx-vp9": _vp9,
    "av1": _av1,
    "libdav1d": _av1,
    "mpeg1video": _mpeg,
    "mpeg2video": _mpeg,
    "mjpeg": _jpeg,
    "png": _png,
    "apng": _png,
}
