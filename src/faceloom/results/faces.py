"""The nouns of results: a face and a frame as a result folder holds them."""

from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path

from faceloom.attributes import attributes_of
from faceloom.errors import FaceloomError
from faceloom.faces import Face, FrameId, Image
from faceloom.results.pictures import StoredMasks, read_chip
from faceloom.store.rows import FaceRow, Status
from faceloom.thumbnails import shrink, to_html

_SHOWN_PX = 160


@dataclass(frozen=True, slots=True, kw_only=True, eq=False, repr=False)
class ResultFace(Face):
    """A face of a result folder: a `Face` whose pixels are in its chip file."""

    folder: Path
    """The result folder."""

    def _picture(self) -> Image | None:
        if self.chip is None:
            return None
        try:
            return shrink(read_chip(self.folder, self.chip), longest=_SHOWN_PX)
        except FaceloomError:  # what is shown in passing is no place to fail
            return None


@dataclass(frozen=True, slots=True, kw_only=True, eq=False, repr=False)
class ResultFrame:
    """A frame of a result folder, which holds no pixels of it. It equals itself alone."""

    id: FrameId
    time: Fraction | None
    """Exact presentation time in seconds; None for a still picture."""
    height: int | None
    """Pixels; None if the frame was never seen."""
    width: int | None
    status: Status
    """How far it is: pending, done or failed."""
    reason: str | None = None
    """Why it failed, or what was lost of it; None when all is well."""
    faces: tuple[ResultFace, ...] = ()
    """Best score first."""

    def __str__(self) -> str:
        return str(self.id)

    def __repr__(self) -> str:
        return f"<ResultFrame {self}: {self._in_words()}>"

    def _in_words(self) -> str:
        count = len(self.faces)
        known = [str(self.status), f"{count} face{'s' * (count != 1)}"]
        known += [] if self.width is None else [f"{self.width} x {self.height} px"]
        known += [] if self.time is None else [f"at {float(self.time):.3f} s"]
        known += [] if self.reason is None else [self.reason]
        return ", ".join(known)

    def _repr_html_(self) -> str:
        return to_html(None, f"{self}: {self._in_words()}") + "".join(face._repr_html_() for face in self.faces)


def result_face(row: FaceRow, time: Fraction | None, *, folder: Path) -> ResultFace:
    """The face of a row."""
    attributes = attributes_of(row) | {"masks": StoredMasks(row.masks)}
    return ResultFace(folder=folder, frame=row.frame, time=time, **attributes)
