"""Films: a video is decoded once more, covered, and encoded; all else of its file is copied."""

from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import replace
from fractions import Fraction
from functools import partial
from pathlib import Path

import av
import numpy as np
from numpy.typing import NDArray

from faceloom.errors import MediaError
from faceloom.faces import Image
from faceloom.media.chunks import Span, Unreadable
from faceloom.media.decoding import Decoded, open_video, video_stream
from faceloom.media.sources import Source, VideoIndex
from faceloom.media.video_index import index_video
from faceloom.media.videos import VideoReader
from faceloom.redacting.containers import Copies, wrapping_of
from faceloom.redacting.encoded import EncodedFilm
from faceloom.redacting.encoders import can_encode_deep, encoding_of
from faceloom.redacting.planes import EIGHT_BITS, TEN_BITS
from faceloom.redacting.written import OnFrames, PaintFrame, Written

_USUAL_RATE = Fraction(25)
_SPAN = 256
"""Frames that are asked for together; their times are all that is held of them."""
PAINTING_BYTES_A_PIXEL = 24
"""Of a frame of which all is a face: copies that can be written to, and what is mixed of them."""


def clock_of(index: VideoIndex, path: Path) -> tuple[Fraction, NDArray[np.int64]]:
    """Seconds a tick, and the presentation time of every frame; even steps where the file has none."""
    if index.ticks is not None:
        return index.time_base, index.ticks
    with open_video(path) as container:
        stream = video_stream(container, path)
        rate = stream.average_rate or stream.guessed_rate or _USUAL_RATE
    return 1 / Fraction(rate), np.arange(len(index.keyframes), dtype=np.int64)


class FilmWriter:
    """Writes one video."""

    def __init__(self, source: Source, *, quality: int) -> None:
        """Of a source; what there is of it is looked at now.

        Raises:
            MediaError: it is no video that can be read.
            MemoryError: there is too little memory to tell.
        """
        index = index_video(source.path)
        self._source = replace(source, time_base=str(index.time_base), notes=index.notes)
        self._index = index
        self._quality = quality
        with open_video(source.path) as opened:
            self._wrapping = wrapping_of(opened, source.name)
            pixels = video_stream(opened, source.path).codec_context.format
            self._is_deep = pixels is not None and pixels.components[0].bits > 8 and can_encode_deep()
        self._base, self._ticks = clock_of(index, source.path)

    @property
    def times(self) -> NDArray[np.float64]:
        return np.asarray(self._ticks * float(self._base), np.float64)

    @property
    def suffix(self) -> str:
        return self._wrapping.suffix

    @property
    def needed_bytes(self) -> int:
        pixels = self._index.height * self._index.width
        encoding = encoding_of(TEN_BITS if self._is_deep else EIGHT_BITS, quality=self._quality)
        return self._index.reading_bytes + encoding.held_bytes(pixels) + PAINTING_BYTES_A_PIXEL * pixels

    def write(self, part: Path, paint: PaintFrame, *, stamp: Image | None, on_frames: OnFrames) -> Written:
        base, ticks = self._base, self._ticks
        thumbnails: dict[int, Image] = {}
        lost: list[int] = []
        count = 0
        with ExitStack() as stack:
            opened = stack.enter_context(open_video(self._source.path))
            chosen = video_stream(opened, self._source.path)
            options = {"fflags": "+bitexact"}
            target = stack.enter_context(av.open(str(part), "w", format=self._wrapping.name, options=options))
            copies = Copies(opened, target)
            film = EncodedFilm(
                target,
                base=base,
                rate=chosen.average_rate,
                quality=self._quality,
                stamp=stamp,
                on_begin=lambda: copies.add(chosen),
            )
            reader = stack.enter_context(VideoReader(self._source.path, is_joined=self._source.is_joined))
            for item in self._frames(reader, ticks):
                if isinstance(item, Unreadable):
                    lost.append(item.id.index)
                    continue
                number, decoded = item
                shown = film.add(decoded, int(ticks[number]), partial(paint, number))
                if shown is not None:
                    thumbnails[number] = shown
                copies.go_on_to(int(ticks[number]) * base)
                count += 1
                on_frames(count)
            if not film.has_begun:
                raise MediaError("the decoder gives no frame of the video", path=self._source.path)
            film.end()
            copies.go_on_to(None)
        return _told(film, copies, count, lost, thumbnails)

    def _frames(self, reader: VideoReader, ticks: NDArray[np.int64]) -> Iterator[tuple[int, Decoded] | Unreadable]:
        timed = self._index.ticks is not None
        keys = np.flatnonzero(self._index.keyframes)
        for first in range(0, len(ticks), _SPAN):
            end = min(first + _SPAN, len(ticks))
            told = tuple(ticks[first:end].tolist()) if timed else None
            seek = int(ticks[keys[np.searchsorted(keys, first, side="right") - 1]]) if timed else None
            span = Span(source=self._source, first=first, count=end - first, ticks=told, seek_ticks=seek)
            yield from reader.read_decoded(span)


def _told(film: EncodedFilm, copies: Copies, count: int, lost: list[int], thumbnails: dict[int, Image]) -> Written:
    notes = [*sorted(film.notes), *(f"{what} is left out" for what in copies.left_out)]
    if lost:
        notes.append(f"{len(lost)} frames of which the decoder gives no picture are left out")
    return Written(frames=count, codec=film.codec, notes=tuple(notes), lost=tuple(lost), thumbnails=thumbnails)
