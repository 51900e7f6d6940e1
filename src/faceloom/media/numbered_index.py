"""The index of numbered pictures, made by their headers: how many there are, how large they are, when each is shown."""

from collections.abc import Iterator
from fractions import Fraction
from pathlib import Path

import numpy as np

from faceloom.errors import MediaError
from faceloom.frame import Frame
from faceloom.media.headers import look, shape_read
from faceloom.media.notes import Note
from faceloom.media.numbered import NumberedFile, gaps_among, numbered_files
from faceloom.media.reading import read_still
from faceloom.media.sources import Shape, Source, SourceKind, VideoIndex


def index_numbered(pattern: Path, rate: Fraction) -> VideoIndex:
    """Counts and times numbered pictures.

    Raises:
        MediaError: there are none, or none can be read.
        MemoryError: there is too little memory to tell.
    """
    files = numbered_files(pattern)
    if not files:
        raise MediaError(f"there is no picture {pattern.name} with a number in it", path=pattern)
    shapes = {shape for one in files if (shape := _shape(one)) is not None}
    if not shapes:
        shapes = {shape for one in files[:1] for shape in _read_shape(one)}
    if not shapes:
        raise MediaError(f"{files[0].path.name} cannot be read, and no other tells how large it is", path=pattern)
    largest = max(shapes, key=lambda shape: shape.frame_bytes)
    takes = max(shape.frame_bytes + shape.reading_bytes for shape in shapes)
    first = files[0].number
    notes = {
        Note.NUMBERED: True,
        Note.MISSING: gaps_among(files) is not None,
        Note.RESIZED: len({(shape.height, shape.width) for shape in shapes}) > 1,
    }
    return VideoIndex(
        height=largest.height,
        width=largest.width,
        time_base=1 / rate,
        ticks=np.array([one.number - first for one in files], np.int64),
        problem=gaps_among(files),
        # A video's decoder is taken to hold a frame besides what it reads it into.
        reading_bytes=max(takes - largest.frame_bytes, largest.frame_bytes),
        keyframes=np.ones(len(files), np.bool_),
        notes=tuple(str(note) for note, is_so in notes.items() if is_so),
    )


def _source(one: NumberedFile) -> Source:
    return Source(name=one.path.name, path=one.path, kind=SourceKind.PICTURE)


def _shape(one: NumberedFile) -> Shape | None:
    return look(_source(one))


def _read_shape(one: NumberedFile) -> Iterator[Shape]:
    """Of a picture whose header does not tell it."""
    answer = read_still(_source(one))
    if isinstance(answer, Frame):
        height, width = answer.image.shape[:2]
        yield shape_read(height, width, one.size_bytes)
