"""Sources: the pictures and videos among what the user named, each with a name of its own."""

import os
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from enum import StrEnum
from fractions import Fraction
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

MAX_PIXELS = 1 << 28
"""A picture that declares more is refused before it is decoded (268 megapixels, 768 MiB)."""
RESULT_MARK = "faceloom.sqlite"
"""A folder with a file of this name holds results, and is never looked into for inputs."""


class SourceKind(StrEnum):
    """How a source is read."""

    PICTURE = "picture"
    VIDEO = "video"


@dataclass(frozen=True, slots=True, kw_only=True)
class Source:
    """One input file."""

    name: str
    """Path relative to the input folder, with forward slashes, or the file's own name; unique in a run."""
    path: Path
    kind: SourceKind
    time_base: str | None = None
    """Seconds a tick of the presentation times, as a fraction; None for a picture."""


@dataclass(frozen=True, slots=True)
class Shape:
    """How large a frame is, and what reading it takes."""

    height: int
    """Upright."""
    width: int
    reading_bytes: int
    """Held while it is read, on top of the frame itself, at most."""

    @property
    def frame_bytes(self) -> int:
        """Of the frame as RGB."""
        return 3 * self.height * self.width


@dataclass(frozen=True, slots=True, kw_only=True)
class VideoIndex:
    """What a video holds."""

    height: int
    """Upright."""
    width: int
    time_base: Fraction
    """Seconds a tick."""
    ticks: NDArray[np.int64] | None
    """(F,) presentation times in ascending order; None where the container has none that can be trusted."""
    problem: str | None = None
    """What tells that the file breaks off, if anything does."""
    reading_bytes: int
    """Held while a frame is read, on top of the frame itself, at most."""
    keyframes: NDArray[np.bool_]
    """(F,) whether decoding can start there; only the first where there are no times to seek to."""

    def times(self) -> Iterator[tuple[int | None, int | None]]:
        """Of each frame its presentation time, and that of the last keyframe at or before it, in ticks."""
        if self.ticks is None:
            yield from [(None, None)] * len(self.keyframes)
            return
        last_key = np.maximum.accumulate(np.where(self.keyframes, np.arange(len(self.ticks)), 0))
        yield from zip(self.ticks.tolist(), self.ticks[last_key].tolist(), strict=True)


_PICTURE_SUFFIXES = frozenset(
    [
        ".apng",
        ".avif",
        ".bmp",
        ".dds",
        ".dib",
        ".exr",
        ".hdr",
        ".heic",
        ".heif",
        ".ico",
        ".j2k",
        ".jfif",
        ".jp2",
        ".jpe",
        ".jpeg",
        ".jpg",
        ".jpx",
        ".pam",
        ".pbm",
        ".pcx",
        ".pfm",
        ".pgm",
        ".pic",
        ".png",
        ".pnm",
        ".ppm",
        ".psd",
        ".qoi",
        ".ras",
        ".sgi",
        ".sr",
        ".tga",
        ".tif",
        ".tiff",
        ".webp",
        ".xbm",
    ]
)
# Animated pictures are videos: a GIF of one frame is a video of one frame.
_VIDEO_SUFFIXES = frozenset(
    [
        ".3g2",
        ".3gp",
        ".asf",
        ".avi",
        ".divx",
        ".f4v",
        ".flv",
        ".gif",
        ".h264",
        ".h265",
        ".hevc",
        ".ivf",
        ".m1v",
        ".m2t",
        ".m2ts",
        ".m2v",
        ".m4v",
        ".mkv",
        ".mjpeg",
        ".mjpg",
        ".mov",
        ".mp4",
        ".mpeg",
        ".mpg",
        ".mts",
        ".mxf",
        ".nut",
        ".obu",
        ".ogg",
        ".ogm",
        ".ogv",
        ".rm",
        ".rmvb",
        ".ts",
        ".vob",
        ".webm",
        ".wmv",
        ".y4m",
    ]
)


def kind_of(path: Path) -> SourceKind | None:
    """What a file is by its suffix; None for a file that is neither picture nor video."""
    suffix = path.suffix.lower()
    if suffix in _VIDEO_SUFFIXES:
        return SourceKind.VIDEO
    return SourceKind.PICTURE if suffix in _PICTURE_SUFFIXES else None


def find_sources(inputs: Iterable[Path]) -> Iterator[Source]:
    """Every source under the inputs, in a fixed order: inputs as given, folders sorted by name.

    A file that is named itself is taken whatever its suffix, as a picture if that tells nothing. Links to
    folders are followed once, so a loop of links ends; folders of results are passed over. Names are relative
    to the input folder; several inputs can give the same name twice (see `longer_names`).
    """
    for root in inputs:
        if not root.is_dir():
            yield Source(name=printable(root.name), path=root, kind=kind_of(root) or SourceKind.PICTURE)
            continue
        for path in _files_under(root):
            kind = kind_of(path)
            if kind:
                yield Source(name=printable(path.relative_to(root).as_posix()), path=path, kind=kind)


def printable(name: str) -> str:
    """A file name as text that can be stored, printed and used as a name again: odd bytes become escapes."""
    if name.isascii() and name.isprintable():
        return name
    text = os.fsencode(name).decode("utf-8", "backslashreplace")
    return "".join(c if c.isprintable() else c.encode("unicode_escape").decode() for c in text)


def _files_under(root: Path) -> Iterator[Path]:
    open_folders: list[tuple[tuple[int, int], Iterator[os.DirEntry[str]]]] = []
    folder: Path | None = root
    while folder is not None or open_folders:
        if folder is not None:
            opened = _entries(folder)
            if opened and opened[0] not in (identity for identity, _ in open_folders):
                open_folders.append(opened)
            folder = None
            continue
        entry = next(open_folders[-1][1], None)
        if entry is None:
            open_folders.pop()
        elif _is(entry.is_dir):
            folder = Path(entry.path)
        elif _is(entry.is_file):
            yield Path(entry.path)


def _entries(folder: Path) -> tuple[tuple[int, int], Iterator[os.DirEntry[str]]] | None:
    """A folder's identity and what is in it; None for one that cannot be listed, or holds results."""
    try:
        state = folder.stat()
        entries = sorted(os.scandir(folder), key=lambda entry: entry.name)
    except OSError:
        return None
    if any(entry.name == RESULT_MARK for entry in entries):
        return None
    return (state.st_dev, state.st_ino), iter(entries)


def _is(question: Callable[[], bool]) -> bool:
    try:
        return question()
    except OSError:  # a link that leads to itself
        return False


def longer_names(source: Source) -> Iterator[str]:
    """Names for a source whose own is taken: with one more of the folders above it each time."""
    parts = source.path.absolute().parts
    for length in range(len(Path(source.name).parts) + 1, len(parts) + 1):
        yield printable(Path(*parts[-length:]).as_posix())
