"""What every format is written from and read into, and the contract of a format."""

import struct
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

from faceloom.attributes import FaceAttributes, Part
from faceloom.errors import RequestError
from faceloom.faces import FrameId
from faceloom.geometry.affine import Affine, Points
from faceloom.geometry.chips import Framing
from faceloom.geometry.drawings import Drawing
from faceloom.suggestions import or_else

_PNG = b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR"  # PNG specification 5.2, 11.2.2: width and height follow


@dataclass(frozen=True, slots=True, eq=False)
class OnChip:
    """A mask that is drawn from a face's landmarks over the square that its chip shows."""

    drawing: Drawing
    landmarks: Points
    """(68, 2) in frame pixels."""
    framing: Framing

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, OnChip):
            return NotImplemented
        same = (self.drawing, self.framing) == (other.drawing, other.framing)
        return same and np.array_equal(self.landmarks, other.landmarks)

    __hash__ = None  # type: ignore[assignment]  # as an array has none


@dataclass(frozen=True, slots=True, kw_only=True)
class MaskRecord:
    """A mask: a grey PNG, or what draws it; and where it lies."""

    size: int
    content: bytes | OnChip
    frame_to_mask: Affine | None = None
    """None where only the chip is known to have the same square."""

    @property
    def png(self) -> bytes:
        """As a grey PNG."""
        return self.content if isinstance(self.content, bytes) else encode_mask(self.pixels())

    def pixels(self) -> NDArray[np.uint8]:
        """(S, S) coverage 0..255.

        Raises:
            ValueError: the PNG is none of this size.
        """
        if isinstance(self.content, OnChip):
            told = self.content
            return told.drawing.over_chip(told.landmarks, size=self.size, framing=told.framing)
        return decode_mask(self.content, size=self.size)


def encode_mask(mask: NDArray[np.uint8]) -> bytes:
    """Encodes a mask (S, S) as it is stored, as PNG."""
    import cv2

    _, content = cv2.imencode(".png", mask)
    return bytes(content.tobytes())


def decode_mask(png: bytes, *, size: int) -> NDArray[np.uint8]:
    """The mask (size, size) in a grey PNG.

    Raises:
        ValueError: it is none of this size.
    """
    import cv2

    if png.startswith(_PNG + struct.pack(">II", size, size)):  # not to be taken by surprise by what it holds
        pixels = cv2.imdecode(np.frombuffer(png, np.uint8), cv2.IMREAD_GRAYSCALE)
        if pixels is not None:
            return np.asarray(pixels, np.uint8)
    raise ValueError(f"a mask is no picture of {size} x {size} pixels")


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
ChipReader: TypeAlias = Callable[[str], bytes]
"""The content of a chip file, by its path below the result folder; StoreError where it is not there."""


OrientationReader: TypeAlias = Callable[[str], int]
"""How a picture is stored, by its source's name: its EXIF orientation, 1 to 8; 1 where it is not there any more."""


def _takes_no_orientations(_frames: Frames, _orientation_of: OrientationReader) -> Iterator[Piece]:
    raise RequestError("this format does not ask how pictures are stored")


def _takes_no_chips(_frames: Frames, _read_chip: ChipReader) -> Iterator[Piece]:
    raise RequestError("this format holds no chips")


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
    write_with_chips: Callable[[Frames, ChipReader], Iterator[Piece]] = _takes_no_chips
    """In place of `write`, where chips are copied into the format's files."""
    layouts: Mapping[str, Callable[[Frames, ChipReader], Iterator[Piece]]] = field(default_factory=dict)
    """Ways to lay the files out, by name, the usual one first; then `write_with_chips` is that one."""
    write_with_orientations: Callable[[Frames, OrientationReader], Iterator[Piece]] = _takes_no_orientations
    """In place of `write`, where places are told on pictures as they are stored, and not upright."""
    read: Callable[[Path], Iterator[FrameRecord]] = _is_not_read
    """The frames of a file or folder; MediaError where it is not of this format, or beyond a limit. Left out where the
    format can only be written."""
    is_text: bool = True
    is_folder: bool = False
    needs: tuple[str, ...] = ()
    """Modules that are imported for it and are no part of a plain installation."""

    def writer(self, layout: str | None) -> Callable[[Frames, ChipReader], Iterator[Piece]]:
        """What writes a layout, or the usual one.

        Raises:
            RequestError: there is no such layout.
        """
        if layout is None:
            return self.write_with_chips if self.takes_chips else lambda frames, _: self.write(frames)
        if layout not in self.layouts:
            known = or_else(layout, self.layouts) if self.layouts else "it has but one"
            raise RequestError(f"{self.title} has no layout {layout!r}; {known}")
        return self.layouts[layout]

    @property
    def is_written(self) -> bool:
        """Whether it can be written."""
        return self.write is not _is_not_written or self.takes_chips or self.takes_orientations

    @property
    def takes_orientations(self) -> bool:
        """Whether it asks how pictures are stored."""
        return self.write_with_orientations is not _takes_no_orientations

    @property
    def takes_chips(self) -> bool:
        """Whether chips are copied into its files."""
        return self.write_with_chips is not _takes_no_chips

    @property
    def is_read(self) -> bool:
        """Whether it can be read."""
        return self.read is not _is_not_read
