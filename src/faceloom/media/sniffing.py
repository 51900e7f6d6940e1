"""What a file is by its content: suffixes of cameras, of people and of downloads tell little, and some lie.

Only what is common, and safe to tell, is told here, from the first bytes: FFmpeg is asked about the rest.
"""

import re
from enum import StrEnum

HEAD_BYTES = 4096
"""Of a file, read to tell what it is."""
_TS_PACKETS = (188, 192, 204)
_TS_SYNCS = 5
_LONGEST_CHARACTER = 4
_MOST_CONTROLS = 0.05
_CONTROLS = bytes(set(range(32)) - set(b"\t\n\f\r\x1b"))


class Content(StrEnum):
    """What a file is."""

    PICTURE = "picture"
    VIDEO = "video"
    UNKNOWN = "unknown"
    """FFmpeg may know."""
    UNREADABLE = "file that cannot be read"
    EMPTY = "empty file"
    TEXT = "text"
    SOUND = "sound"
    DOCUMENT = "document"
    ARCHIVE = "archive"
    PROGRAM = "program or database"


def sniff(head: bytes) -> Content:
    """What a file is that begins with these bytes, `HEAD_BYTES` of them or all."""
    if not head:
        return Content.EMPTY
    if content := _boxed(head):
        return content
    for pattern, content in _SIGNATURES:
        if pattern.match(head):
            return content
    if is_text(head):
        return Content.TEXT
    return Content.VIDEO if _is_transport_stream(head) else Content.UNKNOWN


def raw_format(head: bytes) -> str | None:
    """FFmpeg's name of a stream without a container, which it would tell by the suffix; None for anything else."""
    return next((name for pattern, name in _RAW if pattern.match(head)), None)


def is_text(head: bytes) -> bool:
    """Whether these bytes are text that is no picture or video written as text."""
    if not head or any(pattern.match(head) for pattern in _WRITTEN):
        return False
    if head.startswith((b"\xff\xfe", b"\xfe\xff")):
        return True
    if b"\0" in head or len(head) - len(head.translate(None, _CONTROLS)) > _MOST_CONTROLS * len(head):
        return False
    try:
        head.decode()
    except UnicodeDecodeError as error:
        return error.start > len(head) - _LONGEST_CHARACTER  # which is cut off
    return True


_STILL_BRANDS = frozenset([b"mif1", b"heic", b"heix", b"heim", b"heis", b"avif", b"MiHB", b"MiHA", b"MiHE", b"jxl "])
_MOVING_BRANDS = frozenset([b"msf1", b"hevc", b"hevx", b"hevm", b"hevs", b"avis"])
_BOXES = frozenset([b"moov", b"mdat", b"wide", b"free", b"skip", b"pnot", b"styp", b"sidx", b"moof", b"uuid"])


def _boxed(head: bytes) -> Content | None:
    """What a file of boxes is (ISO/IEC 14496-12, 4.3), by its brands; older QuickTime has none."""
    size, name = int.from_bytes(head[:4], "big"), head[4:8]
    if name in _BOXES and (size in {0, 1} or size >= 8):
        return Content.VIDEO
    if name != b"ftyp":
        return None
    brand = head[8:12]
    brands = {brand, *(head[i : i + 4] for i in range(16, min(size, len(head)), 4))}
    if brand in _MOVING_BRANDS:
        return Content.VIDEO
    if brand in _STILL_BRANDS or brand in {b"jp2 ", b"jpx ", b"crx "}:
        return Content.PICTURE
    if brand in {b"M4A ", b"M4B "}:
        return Content.SOUND
    is_still = b"mif1" in brands and b"isom" not in brands and not brands & _MOVING_BRANDS
    return Content.PICTURE if is_still else Content.VIDEO


def _is_transport_stream(head: bytes) -> bool:
    for length in _TS_PACKETS:
        for start in range(min(length, max(0, len(head) - (_TS_SYNCS - 1) * length))):
            if all(head[start + i * length] == 0x47 for i in range(_TS_SYNCS)):
                return True
    return False


def _begins(*beginnings: bytes) -> re.Pattern[bytes]:
    return re.compile(b"|".join(map(re.escape, beginnings)))


_WRITTEN = (
    re.compile(rb"P[1-6fF]\s+[\d#-]|P7\s+(?:#|WIDTH|HEIGHT|DEPTH|MAXVAL|TUPLTYPE)"),
    re.compile(rb"#\?R"),
    re.compile(rb"YUV4MPEG2 "),
    re.compile(rb"\s*(/\*.*?\*/\s*)?#define\s+\S+_width", re.DOTALL),
)
"""Pictures and videos whose first bytes are text: portable maps, Radiance, YUV4MPEG, X bitmaps."""
_RAW = (
    (re.compile(rb"\0?\0\0\x01[\x09\x27\x47\x67]"), "h264"),  # a delimiter or a set of parameters
    (re.compile(rb"\0?\0\0\x01[\x40\x42\x46]\x01"), "hevc"),  # likewise
    (re.compile(rb"\0\0\x01\xb0"), "m4v"),
)
"""Streams without a container, and FFmpeg's names of them."""
_SIGNATURES = (
    (_begins(b"\xff\xd8\xff", b"\x8aMNG"), Content.PICTURE),
    # Animated pictures are videos: a GIF of one frame is a video of one frame.
    (re.compile(rb"\x89PNG\r\n\x1a\n(?s:.){29}(?:(?!IDAT)(?s:.))*?\0\0\0\x08acTL"), Content.VIDEO),
    (_begins(b"\x89PNG\r\n\x1a\n"), Content.PICTURE),
    (_begins(b"GIF87a", b"GIF89a"), Content.VIDEO),
    (re.compile(rb"RIFF(?s:.){4}WEBP"), Content.PICTURE),
    (re.compile(rb"RI(?:FF|FX)(?s:.){4}(?:AVI |AVIX|AMV )"), Content.VIDEO),
    (re.compile(rb"(?:RIFF|RIFX|RF64)(?s:.){4}WAVE"), Content.SOUND),
    (_begins(b"II*\0", b"MM\0*", b"II+\0", b"MM\0+"), Content.PICTURE),
    (re.compile(rb"BM(?s:.){4}\0\0\0\0(?s:.){4}[\x0c\x28\x34\x38\x40\x6c\x7c]\0\0\0"), Content.PICTURE),
    (_begins(b"\0\0\0\x0cjP  \r\n\x87\n", b"\xff\x4f\xff\x51"), Content.PICTURE),
    (_begins(b"\xff\x0a", b"\0\0\0\x0cJXL \r\n\x87\n"), Content.PICTURE),
    (_begins(b"8BPS", b"DDS ", b"v/1\x01", b"qoif", b"\x01\xda", b"\x59\xa6\x6a\x95"), Content.PICTURE),
    (_WRITTEN[0], Content.PICTURE),
    (_WRITTEN[1], Content.PICTURE),
    (_WRITTEN[2], Content.VIDEO),
    (_WRITTEN[3], Content.PICTURE),
    (re.compile(rb"\0\0\x01\0[\x01-\x20]\0"), Content.PICTURE),  # icons
    (_begins(b"\x1a\x45\xdf\xa3", b"FLV\x01", b"\x30\x26\xb2\x75\x8e\x66\xcf\x11", b".RMF", b"DKIF"), Content.VIDEO),
    (_begins(b"\0\0\x01\xba", b"\0\0\x01\xb3", b"\0\0\x01\xb0", b"\x1f\x07\0"), Content.VIDEO),
    (
        _begins(b"\x06\x0e\x2b\x34\x02\x05\x01\x01", b"nut/multimedia container", b"\xb7\xd8\x00\x20\x37\x49"),
        Content.VIDEO,
    ),
    *((pattern, Content.VIDEO) for pattern, _ in _RAW),
    (_begins(b"ID3", b"fLaC", b"MThd", b".snd", b"FORM\0\0\0\0AIFF"), Content.SOUND),
    (_begins(b"%PDF", b"{\\rtf", b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1"), Content.DOCUMENT),
    (
        _begins(b"PK\x03\x04", b"PK\x05\x06", b"\x1f\x8b", b"7z\xbc\xaf\x27\x1c", b"Rar!", b"BZh", b"\xfd7zXZ\0"),
        Content.ARCHIVE,
    ),
    (_begins(b"\x28\xb5\x2f\xfd", b"\x04\x22\x4d\x18"), Content.ARCHIVE),
    (_begins(b"\x7fELF", b"MZ", b"\xcf\xfa\xed\xfe", b"SQLite format 3\0", b"\x93NUMPY", b"\x89HDF"), Content.PROGRAM),
)

_PICTURE_SUFFIXES = re.compile(
    r"\.(?:apng|avif|bmp|dds|dib|exr|hdr|heic|heif|hif|ico|j2k|jfif|jp2|jpe|jpeg|jpg|jpx|jxl|mpo|pam|pbm|pcx|pfm|pgm"
    r"|pic|png|pnm|ppm|psd|qoi|ras|sgi|sr|tga|tif|tiff|webp|xbm)",
    re.IGNORECASE,
)
_VIDEO_SUFFIXES = re.compile(
    r"\.(?:3g2|3gp|asf|avi|divx|f4v|flv|gif|h264|h265|hevc|ivf|m1v|m2t|m2ts|m2v|m4v|mkv|mjpeg|mjpg|mov|mp4|mpeg|mpg|mts"
    r"|mxf|nut|obu|ogg|ogm|ogv|rm|rmvb|ts|vob|webm|wmv|y4m)",
    re.IGNORECASE,
)
_MOTION_JPEG = frozenset([".mjpeg", ".mjpg"])


def by_suffix(suffix: str) -> Content:
    """What a suffix promises, where content tells nothing."""
    if _VIDEO_SUFFIXES.fullmatch(suffix):
        return Content.VIDEO
    return Content.PICTURE if _PICTURE_SUFFIXES.fullmatch(suffix) else Content.UNKNOWN


def what_it_is(head: bytes, suffix: str) -> Content:
    """What a file is by its first bytes, or by its suffix where they tell of neither pictures nor videos."""
    content = sniff(head)
    if content is Content.PICTURE and suffix.lower() in _MOTION_JPEG:  # many of them, one behind another
        return Content.VIDEO
    if content in {Content.PICTURE, Content.VIDEO}:
        return content
    promised = by_suffix(suffix)
    return content if promised is Content.UNKNOWN else promised
