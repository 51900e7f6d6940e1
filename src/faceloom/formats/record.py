"""What every format is written from and read into, and the contract of a format."""

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TypeAlias

from faceloom.attributes import FaceAttributes, Part
from faceloom.errors import RequestError
from faceloom.faces import FrameId
from faceloom.geometry.affine import Affine


@dataclass(frozen=True, slots=True, kw_only=True)
class MaskRecord:
    """A mask: a grey PNG, and where it lies."""

    size: int
    png: bytes
    frame_to_mask: Affine | None = None
    """None where only the chip is known to have the same square."""


@dataclass(frozen=True, slots=True, kw_only=True)
class FaceRecord(FaceAttributes[MaskRecord]):
    """One face of a frame, its masks encoded; None is what the file, or the run, does not tell."""


@dataclass(frozen=True, slots=True, kw_only=True)
class FrameRecord:
    """One frame and its faces."""

    id: FrameId
    time: float | None = None
    """Seconds; None for a still picture."""
    width: int | None = None
    height: int | None = None
    faces: tuple[FaceRecord, ...] = ()


Frames: TypeAlias = Iterable[FrameRecord]
"""Sorted by source and index; may be gone through more than once."""
Piece: TypeAlias = tuple[str, bytes]
"""Some bytes of a file: its path below the folder ("" for a format of one file), and what comes next in it."""


def _is_not_written(_frames: Frames) -> Iterator[Piece]:
    raise RequestError("this format can be read and not written")


def _is_not_read(_path: Path) -> Iterator[FrameRecord]:
    raise RequestError("this format can be written and not read")


@dataclass(frozen=True, slots=True, kw_only=True)
class Format:
    """One format, as `faceloom export --to` and the readers of other programs' files know it."""

    name: str
    title: str
    suffix: str
    keeps: frozenset[Part]
    changes: str
    """What a way there and back changes of what is kept."""
    write: Callable[[Frames], Iterator[Piece]] = _is_not_written
    """The pieces of one file after the other; left out where the format can only be read."""
    read: Callable[[Path], Iterator[FrameRecord]] = _is_not_read
    """The frames of a file or folder; MediaError where it is not of this format, or beyond a limit. Left out where the
    format can only be written."""
    is_text: bool = True
    is_folder: bool = False
    needs: tuple[str, ...] = ()
    """Modules that are imported for it and are no part of a plain installation."""

    @property
    def is_written(self) -> bool:
        """Whether it can be written."""
        return self.write is not _is_not_written

    @property
    def is_read(self) -> bool:
        """Whether it can be read."""
        return self.read is not _is_not_read
