"""Where a chip comes from: by the store of its result folder, else by what the file says of itself."""

import math
import os
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from faceloom.errors import MediaError
from faceloom.media.chip_files import read_chip_metadata
from faceloom.media.chunks import Span
from faceloom.media.numbered import is_there
from faceloom.media.sources import RESULT_MARK, Source, SourceKind, printable
from faceloom.store.chips import face_of_chip
from faceloom.store.folder import CHIPS
from faceloom.store.times import time_of
from faceloom.store.view import connect_corrected

_QUERY = (
    "SELECT name, path, kind, sha256, time_base, frame_idx, ticks, seek_ticks, face.idx, x0, y0, x1, y1"
    " FROM face JOIN source ON source.id = face.source_id"
    " JOIN frame ON frame.source_id = source.id AND frame.idx = frame_idx WHERE face.id = ?"
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Origin:
    """The face that a chip shows."""

    chip: Path
    source: str
    """The source's name."""
    frame: int
    """0-based."""
    index: int
    """Of the face in its frame, 0-based."""
    time_s: float | None
    """Of the frame; None for a picture."""
    box: tuple[float, float, float, float]
    """x0, y0, x1, y1 in pixels of the frame."""
    folder: Path | None = None
    """The result folder that the chip lies in; None if it lies in none that knows it."""
    path: Path | None = None
    """The source's file, as it lay when it was last read; None without a result folder."""
    sha256: str | None = None
    """Of the source's content."""
    span: Span | None = None
    """The frame, as readers take it; None without a result folder."""

    def to_json(self) -> dict[str, Any]:
        """Gives the origin as `where --json` prints it."""
        return {
            "chip": printable(str(self.chip)),
            "source": self.source,
            "path": None if self.path is None else printable(str(self.path)),
            "exists": self.path is not None and is_there(self.path),
            "sha256": self.sha256,
            "frame": self.frame,
            "time_s": self.time_s,
            "index": self.index,
            "box": list(self.box),
            "folder": None if self.folder is None else printable(str(self.folder)),
        }


def find_origin(chip: Path) -> Origin:
    """Where a chip comes from.

    Raises:
        MediaError: it lies in no result folder that knows it, and is no chip file by what it says of itself.
        StoreError: the store of the folder that it lies in cannot be read.
    """
    if not chip.is_file():
        raise MediaError(f"there is no file {str(chip)!r}", path=chip)
    folder = _result_folder(chip)
    return (folder and _by_store(chip, folder)) or _by_itself(chip)


def _result_folder(chip: Path) -> Path | None:
    """The nearest folder above that holds results, if the chip lies among its chips."""
    parents = chip.absolute().parents
    folder = next((parent for parent in parents if (parent / RESULT_MARK).is_file()), None)
    return folder if folder is not None and (folder / CHIPS) in parents else None


def _by_store(chip: Path, folder: Path) -> Origin | None:
    with connect_corrected(folder) as db:
        number = face_of_chip(db, chip.absolute().relative_to(folder).as_posix())
        return None if number is None else _origin(db.execute(_QUERY, (number,)).fetchone(), chip, folder)


def _origin(row: tuple[Any, ...], chip: Path, folder: Path) -> Origin:
    name, path, kind, sha256, time_base, frame, ticks, seek_ticks, index, x0, y0, x1, y1 = row
    source = Source(name=name, path=Path(os.fsdecode(path)), kind=SourceKind(kind), time_base=time_base)
    times, time = None if ticks is None else (ticks,), time_of(ticks, time_base)
    return Origin(
        chip=chip,
        source=name,
        frame=frame,
        index=index,
        time_s=None if time is None else float(time),
        box=(round(x0, 3), round(y0, 3), round(x1, 3), round(y1, 3)),
        folder=folder,
        path=source.path,
        sha256=sha256,
        span=Span(source=source, first=frame, count=1, ticks=times, seek_ticks=seek_ticks),
    )


def _by_itself(chip: Path) -> Origin:
    told = read_chip_metadata(chip)
    try:
        x0, y0, x1, y1 = map(float, told["box"])
        time_s = None if told["time_s"] is None else float(told["time_s"])
        if not all(map(math.isfinite, (x0, y0, x1, y1, time_s or 0))):
            raise ValueError("a number is not finite")
        return Origin(
            chip=chip,
            source=str(told["source"]),
            frame=int(told["frame"]),
            index=int(told["index"]),
            time_s=time_s,
            box=(x0, y0, x1, y1),
        )
    except (KeyError, TypeError, ValueError, OverflowError) as error:
        raise MediaError(f"{chip} has a text that says nothing of where it comes from", path=chip) from error
