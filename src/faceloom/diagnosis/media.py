"""What `faceloom doctor` says of pictures and videos: whether those that it writes come out as what they are."""

import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np

from faceloom.diagnosis.findings import Finding, Verdict
from faceloom.faces import Image

_DECODERS = ("h264", "hevc", "vp8", "vp9", "av1", "mpeg4", "mpeg2video", "mjpeg", "gif")
_LEVELS = (40, 120, 200)
"""Of grey, one a frame: far enough from each other that no frame can be taken for another."""
_WITHIN = 8
"""Levels by which a grey may be off that was encoded with loss."""
_SIDE = 32


def check_video() -> Iterator[Finding]:
    """Reads a small clip as runs do, frame by frame, and tells which codecs there are besides."""
    import av

    found = f"PyAV {av.__version__}"
    wrong = _trouble(_read_clip)
    if wrong:
        fix = "pip install --force-reinstall av (docs/versions.md has the releases that were tested)"
        yield Finding(name="video", verdict=Verdict.WRONG, found=f"{found} reads no video: {wrong}", fix=fix)
    else:
        yield Finding(name="video", verdict=Verdict.OK, found=f"{found} reads a clip")
    missing = [name for name in _DECODERS if name not in av.codecs_available]
    told = f"no decoder for {', '.join(missing)}" if missing else "every common video codec"
    yield Finding(name="codecs", verdict=Verdict.NOTE if missing else Verdict.OK, found=f"{found}: {told}")


def check_pictures() -> Iterator[Finding]:
    """Reads small pictures by the decoders that most are read by."""
    broken = [(name, package, wrong) for name, package, read in _PICTURES if (wrong := _trouble(read))]
    for name, package, wrong in broken:
        fix = f"pip install --force-reinstall {package}"
        yield Finding(name="pictures", verdict=Verdict.WRONG, found=f"no {name} can be read: {wrong}", fix=fix)
    if not broken:
        names = ", ".join(name for name, _, _ in _PICTURES)
        yield Finding(name="pictures", verdict=Verdict.OK, found=f"{names} can be read")


def _read_jpeg() -> None:
    from faceloom.media.chip_files import encode_jpeg

    _read_picture(encode_jpeg(_grey(_LEVELS[0])))


def _read_png() -> None:
    from faceloom.media.chip_files import encode_png

    _read_picture(encode_png(_grey(_LEVELS[0])))


def _find_heif() -> None:
    from faceloom.media.pillow import know_format_of

    know_format_of(b"\0\0\0\x18ftypheic")


_PICTURES = (
    ("JPEG", "simplejpeg", _read_jpeg),
    ("PNG", "pillow opencv-python-headless", _read_png),
    ("HEIC", "pi-heif", _find_heif),
)


def _read_picture(content: bytes) -> None:
    from faceloom.media.pictures import read_picture

    _require_level(read_picture(content, Path("a small picture")).image, _LEVELS[0])


def _read_clip() -> None:
    from faceloom.media.chunks import Span, Unreadable
    from faceloom.media.reading import FrameReader
    from faceloom.media.soundness import write_sound_video
    from faceloom.media.sources import Source, SourceKind
    from faceloom.media.video_index import index_video

    with tempfile.TemporaryDirectory(prefix="faceloom-clip-") as folder, FrameReader() as reader:
        path = write_sound_video(Path(folder) / "clip.mp4", levels=_LEVELS)
        index = index_video(path)
        source = Source(name=path.name, path=path, kind=SourceKind.VIDEO, time_base=str(index.time_base))
        ticks, seeks = zip(*index.times(), strict=True)
        span = Span(source=source, first=0, count=len(ticks), ticks=ticks, seek_ticks=seeks[0])
        frames = [read() for read in reader.reads([span])]
    if len(frames) != len(_LEVELS):
        raise ValueError(f"{len(frames)} of {len(_LEVELS)} frames came out")
    for frame, level in zip(frames, _LEVELS, strict=True):
        if isinstance(frame, Unreadable):
            raise ValueError(frame.reason)
        _require_level(frame.image, level)


def _require_level(image: Image, level: int) -> None:
    found = float(image.mean())
    if image.shape != (_SIDE, _SIDE, 3) or abs(found - level) > _WITHIN:
        raise ValueError(f"a grey of {level} came out as {image.shape[1]} x {image.shape[0]} pixels of {found:.0f}")


def _grey(level: int) -> Image:
    return np.full((_SIDE, _SIDE, 3), level, np.uint8)


def _trouble(read: Callable[[], None]) -> str:
    """What keeps something from being read; nothing if nothing does."""
    try:
        read()
    except Exception as error:  # whatever a broken installation may raise
        return f"{type(error).__name__}: {error}"
    return ""
