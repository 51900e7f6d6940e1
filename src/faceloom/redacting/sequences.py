"""Numbered pictures, written as one video."""

from fractions import Fraction
from functools import partial
from pathlib import Path

import av
import numpy as np
from av.video.frame import VideoFrame
from numpy.typing import NDArray

from faceloom.errors import MediaError
from faceloom.faces import Image
from faceloom.media.chunks import Span, Unreadable
from faceloom.media.decoding import Decoded
from faceloom.media.numbered import gaps_among, numbered_files
from faceloom.media.numbered_index import index_numbered
from faceloom.media.reading import FrameReader
from faceloom.media.sources import Source
from faceloom.redacting.encoded import EncodedFilm
from faceloom.redacting.encoders import encoding_of
from faceloom.redacting.films import PAINTING_BYTES_A_PIXEL
from faceloom.redacting.planes import EIGHT_BITS
from faceloom.redacting.written import OnFrames, PaintFrame, Written

_COPIES_BYTES_A_PIXEL = 8
"""Of a picture, as FFmpeg has it, and as it is converted."""


def as_decoded(image: Image) -> Decoded:
    """An upright RGB picture as if a decoder had given it."""
    return Decoded(frame=VideoFrame.from_ndarray(np.ascontiguousarray(image), "rgb24"), is_suspect=False)


class SequenceWriter:
    """Writes numbered pictures."""

    def __init__(self, source: Source, *, quality: int) -> None:
        """Of a source whose time base tells the rate.

        Raises:
            MediaError: there are no such pictures.
            MemoryError: there is too little memory to tell.
        """
        assert source.time_base is not None  # they were counted
        self._source = source
        self._quality = quality
        self._index = index_numbered(source.path, 1 / Fraction(source.time_base))

    @property
    def times(self) -> NDArray[np.float64]:
        return np.asarray(self._ticks * float(self._index.time_base), np.float64)

    @property
    def _ticks(self) -> NDArray[np.int64]:
        assert self._index.ticks is not None  # numbers tell them
        return self._index.ticks

    @property
    def suffix(self) -> str:
        return ".mp4"

    @property
    def needed_bytes(self) -> int:
        pixels = self._index.height * self._index.width
        encoding = encoding_of(EIGHT_BITS, quality=self._quality)
        here = (PAINTING_BYTES_A_PIXEL + _COPIES_BYTES_A_PIXEL) * pixels
        return self._index.reading_bytes + 3 * pixels + encoding.held_bytes(pixels) + here

    def write(self, part: Path, paint: PaintFrame, *, stamp: Image | None, on_frames: OnFrames) -> Written:
        ticks, base = self._ticks, self._index.time_base
        span = Span(source=self._source, first=0, count=len(ticks), ticks=tuple(ticks.tolist()))
        thumbnails: dict[int, Image] = {}
        lost: list[int] = []
        with av.open(str(part), "w", format="mp4", options={"fflags": "+bitexact"}) as target, FrameReader() as reader:
            film = EncodedFilm(target, base=base, rate=1 / base, quality=self._quality, stamp=stamp)
            for count, read in enumerate(reader.reads([span]), start=1):
                frame = read()
                index = frame.id.index
                if isinstance(frame, Unreadable):
                    lost.append(index)
                    continue
                shown = film.add(as_decoded(frame.image), int(ticks[index]), partial(paint, index))
                if shown is not None:
                    thumbnails[index] = shown
                on_frames(count)
            if not film.has_begun:
                raise MediaError("none of the pictures can be read", path=self._source.path)
            film.end()
        return Written(
            frames=len(ticks) - len(lost),
            codec=film.codec,
            notes=(*sorted(film.notes), *self._notes(lost)),
            lost=tuple(lost),
            thumbnails=thumbnails,
        )

    def _notes(self, lost: list[int]) -> list[str]:
        gaps = gaps_among(numbered_files(self._source.path))
        return [
            *([gaps] if gaps else []),
            *([f"{len(lost)} pictures cannot be read, and are left out"] if lost else []),
        ]
