"""Pictures of a result folder as the page shows them: chips, frames, and chips that are cut of frames at once."""

import sqlite3
import struct
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from faceloom.choices import Border
from faceloom.errors import BudgetError, FaceloomError, MediaError, RequestError
from faceloom.faces import Image
from faceloom.geometry.affine import Points
from faceloom.geometry.borders import cut_bordered, extent
from faceloom.geometry.chips import in_patch, patch_bounds, square_to_chip
from faceloom.media.chip_files import encode_jpeg
from faceloom.media.chunks import Span, Unreadable
from faceloom.media.reading import FrameReader
from faceloom.media.sources import Source, SourceKind
from faceloom.memory.ceilings import ProcessCeiling, is_out_of_memory
from faceloom.memory.usage import held_bytes
from faceloom.results.pictures import read_small_chip
from faceloom.results.sheets import tiled
from faceloom.store.configuration import config_in, framing_of
from faceloom.store.corrections import png_of
from faceloom.store.database import connect
from faceloom.store.notes import read_notes
from faceloom.store.scratch import is_address, place_of
from faceloom.store.view import connect_corrected
from faceloom.thumbnails import shrink
from faceloom.units import format_bytes

_MOST_KEPT_BYTES = 40 << 20
"""A frame of more is read anew for each picture of it."""
_MOST_MASK_PX = 1024
_PNG = b"\x89PNG\r\n\x1a\n"
_BOX_SCALE = 1.4
"""Side of the square that shows a face without landmarks, over the longer side of its box."""


def thumbnail(folder: Path, chip: str, *, longest: int) -> bytes:
    """A chip, scaled down, as JPEG.

    Raises:
        StoreError: the file is gone, or lies outside the folder.
        MediaError: it is no picture any more.
    """
    return encode_jpeg(np.ascontiguousarray(read_small_chip(folder, chip, longest=longest)))


def sheet(folder: Path, chips: Sequence[str | None], *, across: int, size: int) -> bytes:
    """Chips side by side in rows, each scaled down to a square, as one JPEG; of a chip that is not there, nothing."""
    return encode_jpeg(tiled(folder, chips, across=across, size=size))


def painted(told: Mapping[str, Any]) -> NDArray[np.uint8]:
    """The mask that the page has painted: a grey PNG.

    Raises:
        RequestError: it is none, or not of a mask's size.
    """
    import cv2

    try:
        content = png_of(told)
    except (LookupError, TypeError, ValueError) as error:
        raise RequestError(f"there is no mask in this: {error}") from error
    if content[:8] != _PNG or max(struct.unpack(">II", content[16:24].ljust(8, b"\0"))) > _MOST_MASK_PX:
        raise RequestError(f"a mask is a PNG of at most {_MOST_MASK_PX} pixels a side")
    pixels = cv2.imdecode(np.frombuffer(content, np.uint8), cv2.IMREAD_GRAYSCALE)
    if pixels is None:
        raise RequestError("a mask is a PNG, and this is none")
    return np.asarray(pixels, np.uint8)


class FramePictures:
    """Frames, read again from their sources. One thread owns it; of all frames it holds the last."""

    def __init__(self, folder: Path, *, budget_bytes: int | None = None) -> None:
        self._folder = folder
        self._budget_bytes = budget_bytes
        self._ceiling = ProcessCeiling(budget_bytes or 0)
        self._reader = FrameReader()
        self._last: tuple[tuple[int, int], Image] | None = None

    def close(self) -> None:
        """Closes what is open."""
        self._last = None
        self._reader.close()

    def whole(self, source: int, frame: int, *, longest: int) -> bytes:
        """A frame, scaled down if it is larger, as JPEG.

        Raises:
            MediaError: it cannot be read.
            BudgetError: it does not fit into the memory.
        """
        return encode_jpeg(shrink(self._frame(source, frame), longest=longest))

    def part(self, source: int, frame: int, bounds: tuple[int, int, int, int], *, longest: int) -> bytes:
        """What lies between x0, y0 and x1, y1 of a frame, as JPEG."""
        image = self._frame(source, frame)
        (height, width), (x0, y0, x1, y1) = image.shape[:2], bounds
        x0, y0 = min(max(0, x0), width - 1), min(max(0, y0), height - 1)
        part = image[y0 : max(y0 + 1, min(y1, height)), x0 : max(x0 + 1, min(x1, width))]
        return encode_jpeg(np.ascontiguousarray(shrink(part, longest=longest)))

    def face(self, face: int, *, size: int) -> bytes:
        """A face as its chip would show it now, cut of its frame."""
        with connect_corrected(self._folder) as db:
            query = "SELECT source_id, frame_idx, x0, y0, x1, y1, landmarks FROM face WHERE id = ?"
            source, frame, *box, landmarks = _found(db.execute(query, (face,)).fetchone(), f"face {face}")
        points = None if landmarks is None else np.frombuffer(landmarks, "<f4").reshape(68, 2)
        return self._cut(source, frame, np.array(box, np.float32), points, size=size)

    def preview(self, source: int, frame: int, landmarks: Points, *, size: int) -> bytes:
        """The chip that would be cut by some landmarks.

        Raises:
            GeometryError: no square follows from them.
        """
        box = np.concatenate([landmarks.min(axis=0), landmarks.max(axis=0)]).astype(np.float32)
        return self._cut(source, frame, box, landmarks, size=size)

    def _cut(self, source: int, frame: int, box: NDArray[np.float32], landmarks: Points | None, *, size: int) -> bytes:
        image = self._frame(source, frame)
        height, width = image.shape[:2]
        if landmarks is None:
            x0, y0, x1, y1 = patch_bounds(box, height=height, width=width, scale=_BOX_SCALE)
            return encode_jpeg(np.ascontiguousarray(shrink(image[y0:y1, x0:x1], longest=size)))
        with connect(self._folder, read_only=True) as db:
            framing = framing_of(config_in(db))
        to_chip = square_to_chip(landmarks, size=size, framing=framing, frame_shape=(height, width))
        x0, y0, x1, y1 = patch_bounds(box, height=height, width=width, scale=framing.patch_scale)
        patch, edges = image[y0:y1, x0:x1], extent(height, width, x=x0, y=y0)
        to_patch = in_patch(to_chip, x=x0, y=y0)
        return encode_jpeg(cut_bordered(patch, to_patch, size=size, frame=edges, border=Border.BLACK))

    def _frame(self, source: int, frame: int) -> Image:
        if self._last is not None and self._last[0] == (source, frame):
            return self._last[1]
        self._last = None
        try:
            image = self._read(source, frame)
        except FaceloomError:
            raise
        except Exception as error:
            if is_out_of_memory(error):
                raise self._too_large() from None
            raise
        if image.nbytes <= _MOST_KEPT_BYTES:
            self._last = ((source, frame), image)
        return image

    def _read(self, source: int, frame: int) -> Image:
        with connect(self._folder, read_only=True) as db:
            span, reading_bytes = self._span(db, source, frame)
        if self._budget_bytes is not None and held_bytes() + reading_bytes > self._budget_bytes:
            raise self._too_large()
        self._ceiling.tighten()
        answer = next(iter(self._reader.reads([span])))()
        if isinstance(answer, Unreadable):
            raise MediaError(answer.reason, path=span.source.path)
        return answer.image

    def _span(self, db: sqlite3.Connection, source: int, frame: int) -> tuple[Span, int]:
        """Where a frame is read, and about how much memory that takes."""
        query = (
            "SELECT name, path, kind, time_base, notes, reading_bytes, ticks, seek_ticks, height, width"
            " FROM main.source JOIN main.frame ON source_id = source.id WHERE source.id = ? AND idx = ?"
        )
        row = _found(db.execute(query, (source, frame)).fetchone(), f"frame {frame}")
        name, path, kind, time_base, notes, reading, ticks, seek, height, width = row
        if is_address(path) and not place_of(self._folder, path).is_file():
            raise MediaError(f"{name} is not on this machine; chips of it are", path=Path(name))
        file = Source(
            name=name,
            path=place_of(self._folder, path),
            kind=SourceKind(kind),
            time_base=time_base,
            notes=read_notes(notes),
        )
        span = Span(source=file, first=frame, count=1, ticks=None if ticks is None else (ticks,), seek_ticks=seek)
        return span, (reading or 0) + 3 * (height or 0) * (width or 0)

    def _too_large(self) -> BudgetError:
        budget = self._budget_bytes or 0
        message = f"this frame does not fit into {format_bytes(budget)}; raise --memory to see it"
        return BudgetError(message, stage="review", needed_bytes=0, budget_bytes=budget)


def _found(row: Any, what: str) -> Any:
    if row is None:
        raise RequestError(f"there is no {what}")
    return row
