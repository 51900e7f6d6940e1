"""Sources: the pictures and videos among what the user named, each with a name of its own."""

import hashlib
import os
import re
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from enum import StrEnum
from fractions import Fraction
from pathlib import Path
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

from faceloom.media.notes import Note
from faceloom.media.numbered import is_pattern, is_there
from faceloom.media.sniffing import HEAD_BYTES, Content, by_suffix, what_it_is

RESULT_MARK = "faceloom.sqlite"
"""A folder with a file of this name holds results, and is never looked into for inputs."""


REDACTION_MARK = "redaction.sqlite"
"""The same of a folder that holds what was written anew of inputs."""


class SourceKind(StrEnum):
    """How a source is read."""

    PICTURE = "picture"
    VIDEO = "video"


@dataclass(frozen=True, slots=True, kw_only=True)
class RemoteAddress:
    """Where a file comes from that was fetched, and what tells that it is another now."""

    url: str
    size_bytes: int
    tag: int
    """Of its version there; in the place of a time of change."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Source:
    """One input file."""

    name: str
    """Path relative to the input folder, with forward slashes, or the file's own name; unique in a run."""
    path: Path
    kind: SourceKind
    time_base: str | None = None
    """Seconds a tick of the presentation times, as a fraction; None for a picture."""
    notes: tuple[str, ...] = ()
    """What is known to have been done to it, see `Note`."""
    address: RemoteAddress | None = None
    """Where it was fetched from, when it is taken up; None for a file of this machine."""

    @property
    def is_joined(self) -> bool:
        """Whether the times of its frames go on where the stream's own clock starts again."""
        return Note.JOINED in self.notes


@dataclass(frozen=True, slots=True, kw_only=True)
class PassedOver:
    """Something in a folder that is no source."""

    name: str
    """Path relative to the input folder, with forward slashes."""
    path: Path
    why: str
    """In a few words, which many have in common."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Missing:
    """Something that a list names, and that is not there."""

    name: str
    path: Path


Found: TypeAlias = Source | PassedOver | Missing
"""What is come across among the inputs."""


@dataclass(frozen=True, slots=True)
class Shape:
    """How large a frame is, and what reading it takes."""

    height: int
    """Upright."""
    width: int
    reading_bytes: int
    """Held while it is read, on top of the frame itself, at most."""
    pages: int = 1
    """How many frames a picture has; the size is that of the largest."""

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
    notes: tuple[str, ...] = ()
    """What is done to all of it, see `Note`; what is done to its frames is told with them."""

    def times(self) -> Iterator[tuple[int | None, int | None]]:
        """Of each frame its presentation time, and that of the last keyframe at or before it, in ticks."""
        if self.ticks is None:
            yield from [(None, None)] * len(self.keyframes)
            return
        last_key = np.maximum.accumulate(np.where(self.keyframes, np.arange(len(self.ticks)), 0))
        yield from zip(self.ticks.tolist(), self.ticks[last_key].tolist(), strict=True)


LEFTOVERS = re.compile(
    r"\._.*|\.DS_Store|\.AppleDouble|\.Spotlight-V100|\.fseventsd|\.TemporaryItems|__MACOSX|\.Trash.*|\.localized"
    r"|@eaDir|#recycle|@Recycle|\.@__thumb|\.thumbnails|\.picasaoriginals|\.dtrash|lost\+found"
    r"|Thumbs\.db(?:.*)|ehthumbs.*\.db|desktop\.ini|\$RECYCLE\.BIN|System Volume Information",
    re.IGNORECASE,
)
"""Names of files and folders that systems and other programs leave beside pictures: copies, thumbnails, rubbish."""
_IS_LEFTOVER = "left there by another program"
_IS_RESULT = "results of faceloom"
_IS_BROKEN = "link that leads nowhere"
_IS_CLOSED = "cannot be listed"
_IS_SPECIAL = "neither file nor folder"
_HASH_DIGITS = 12


def kind_of(path: Path) -> SourceKind | None:
    """What a file is by its content, and by its suffix where that tells of neither; None for what is no source.

    What only FFmpeg could tell passes for a video.
    """
    return _KINDS.get(_content_of(path))


_KINDS = {
    Content.PICTURE: SourceKind.PICTURE,
    Content.VIDEO: SourceKind.VIDEO,
    Content.UNKNOWN: SourceKind.VIDEO,
}


def kind_or_why(path: Path) -> tuple[SourceKind | None, str]:
    """What a file is, as `kind_of` tells it; or None, and in a few words what else it is."""
    content = _content_of(path)
    return _KINDS.get(content), str(content)


def is_guess(path: Path) -> bool:
    """Whether only FFmpeg can tell that a file is a video at all."""
    return _content_of(path) is Content.UNKNOWN


def _content_of(path: Path) -> Content:
    try:
        with path.open("rb") as file:
            head = file.read(HEAD_BYTES)
    except OSError:  # reading it will say why
        promised = by_suffix(path.suffix)
        return Content.UNREADABLE if promised is Content.UNKNOWN else promised
    return what_it_is(head, path.suffix)


def _every(_name: str) -> bool:
    return True


def find_sources(inputs: Iterable[Path]) -> Iterator[Source]:
    """Every source under the inputs, as `find_inputs` gives them."""
    return (found for found in find_inputs(inputs) if isinstance(found, Source))


def find_inputs(inputs: Iterable[Path], *, is_wanted: Callable[[str], bool] = _every) -> Iterator[Source | PassedOver]:
    """Everything under the inputs, in a fixed order: inputs as given, folders sorted by name.

    A file that is named itself is a source whatever it is, a picture if nothing tells. Links to folders are followed
    once, so a loop of links ends. Names are relative to the input folder; several inputs can give the same name
    twice (see `longer_names`). What is not wanted, by its name, is not looked into.
    """
    for root in inputs:
        if root.is_dir():
            yield from _find_under(root, "", is_wanted)
        elif is_wanted(name := printable(root.name)):
            kind = kind_of(root) if _is(root.is_file) else SourceKind.VIDEO if is_pattern(root) else None
            yield Source(name=name, path=root, kind=kind or SourceKind.PICTURE)


def find_listed(paths: Iterable[Path], *, is_wanted: Callable[[str], bool] = _every) -> Iterator[Found]:
    """Everything that a list names, in its order: files, and what is under folders as `find_inputs` gives that.

    Names are the paths as they are written, without a slash at the start, so that they do not depend on what else
    there is. As in a folder, a file that is neither picture nor video is passed over.
    """
    for path in paths:
        name = _listed_name(path)
        if _is(path.is_dir):
            yield from _find_under(path, name, is_wanted)
        elif not is_wanted(name):
            continue
        elif _is(path.is_file):
            yield _found(path, name, None)
        elif _is(path.exists):
            yield _found(path, name, _IS_SPECIAL)
        elif is_there(path):
            yield Source(name=name, path=path, kind=SourceKind.VIDEO)
        else:
            yield Missing(name=name, path=path)


def _listed_name(path: Path) -> str:
    text = os.path.normpath(path)
    if text.startswith(".."):
        text = os.path.normpath(path.absolute())
    return "" if text == "." else printable(text.lstrip("/"))


def _find_under(root: Path, prefix: str, is_wanted: Callable[[str], bool]) -> Iterator[Source | PassedOver]:
    for path, why in _under(root):
        name = printable(path.relative_to(root).as_posix())
        name = f"{prefix}/{name}" if prefix else name
        if is_wanted(name):
            yield _found(path, name, why)


def _found(path: Path, name: str, why: str | None) -> Source | PassedOver:
    content = None if why else _content_of(path)
    if content in _KINDS:
        return Source(name=name, path=path, kind=_KINDS[content])
    return PassedOver(name=name, path=path, why=why or str(content))


def printable(name: str) -> str:
    """A file name as text that can be stored, printed and used as a name again.

    It is the file's own but for what a terminal would act on, and bytes that are no text: those become escapes.
    """
    if name.isascii() and name.isprintable():
        return name
    text = os.fsencode(name).decode("utf-8", "backslashreplace")
    return "".join(c.encode("unicode_escape").decode() if _ACTS.match(c) else c for c in text)


_ACTS = re.compile(r"[\0-\x1f\x7f-\x9f\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069\ud800-\udfff\ufff9-\ufffb]")
"""Controls, line separators, and what turns the direction of writing (Unicode, UAX 9)."""


def _under(root: Path) -> Iterator[tuple[Path, str | None]]:
    """Every file under a folder, and what else there is with why it is none."""
    open_folders: list[tuple[tuple[int, int], Iterator[os.DirEntry[str]]]] = []
    folder: Path | None = root
    while folder is not None or open_folders:
        if folder is not None:
            opened, why = _entries(folder)
            if opened is None:
                yield folder, why
            elif opened[0] not in (identity for identity, _ in open_folders):
                open_folders.append(opened)
            folder = None
            continue
        entry = next(open_folders[-1][1], None)
        if entry is None:
            open_folders.pop()
        elif LEFTOVERS.fullmatch(entry.name):
            yield Path(entry.path), _IS_LEFTOVER
        elif _is(entry.is_dir):
            folder = Path(entry.path)
        elif _is(entry.is_file):
            yield Path(entry.path), None
        else:
            yield Path(entry.path), _IS_BROKEN if _is(entry.is_symlink) else _IS_SPECIAL


def _entries(folder: Path) -> tuple[tuple[tuple[int, int], Iterator[os.DirEntry[str]]] | None, str]:
    """A folder's identity and what is in it; or None, and why it is not looked into."""
    try:
        state = folder.stat()
        entries = sorted(os.scandir(folder), key=lambda entry: entry.name)
    except OSError:
        return None, _IS_CLOSED
    if any(entry.name in {RESULT_MARK, REDACTION_MARK} for entry in entries):
        return None, _IS_RESULT
    return ((state.st_dev, state.st_ino), iter(entries)), ""


def _is(question: Callable[[], bool]) -> bool:
    try:
        return question()
    except OSError:  # a link that leads to itself
        return False


def longer_names(source: Source) -> Iterator[str]:
    """Names for a source whose own is taken: with one more of the folders above it each time, and a hash at last."""
    path = Path(source.address.url) if source.address else source.path.absolute()
    parts = () if source.address else path.parts[1:]
    for length in range(len(Path(source.name).parts) + 1, len(parts) + 1):
        yield printable(Path(*parts[-length:]).as_posix())
    yield f"{source.name}~{hashlib.sha256(os.fsencode(path)).hexdigest()[:_HASH_DIGITS]}"
