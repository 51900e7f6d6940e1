"""What every format is written from and read into, and the contract of a format."""

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TypeAlias

from faceloom.attributes import FaceAttributes, Part
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


@dataclass(frozen=True, slots=True, kw_only=True)
class Format:
    """One format, as `faceloom export --to` and the readers of other programs' files know it."""

    name: str
    title: str
    suffix: str
    keeps: frozenset[Part]
    changes: str
    """What a way there and back changes of what is kept."""
    write: Callable[[Frames], Iterator[Piece]]
    """The pieces of one file after the other."""
    read: Callable[[Path], Iterator[FrameRecord]]
    """The frames of a file or folder; MediaError where it is not of this format, or beyond a limit."""
    is_text: bool = True
    is_folder: bool = False
