"""Results: what a result folder holds, read lazily, also while a run writes to it."""

from collections.abc import Iterable, Iterator
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Self, TypeVar

import numpy as np
from numpy.typing import NDArray

from faceloom.errors import RequestError, StoreError
from faceloom.faces import Image
from faceloom.results import reading, tables
from faceloom.results.faces import ResultFace, ResultFrame
from faceloom.results.filters import EVERY, FaceFilter, Names, at_least_0, names_of, refuse_unknown, share_of, size_of
from faceloom.results.pictures import read_chip
from faceloom.results.sheets import sheet_of, write_sheet
from faceloom.selection import LengthLike
from faceloom.store.folder import DATABASE
from faceloom.store.tracks import Shot, Track, read_shots, read_tracks
from faceloom.thumbnails import to_html

if TYPE_CHECKING:
    import pandas
    import pyarrow

_ON_SHEET = 48
"""Faces that a notebook shows of a selection."""
_PERSONS_ON_SHEET = 8
"""Persons that a notebook shows of a result folder, or rows of faces where there are none."""
_Item = TypeVar("_Item")


def open(folder: str | Path, *, raw: bool = False) -> "Results":  # noqa: A001  # as users write it, faceloom.open
    """Opens a result folder for reading; also while a run writes to it.

    Example:
        with faceloom.open("faces") as results:
            for face in results.faces(min_score=0.8, min_size=80, max_yaw=30):
                print(face, results.chip(face).shape)

    Args:
        folder: a result folder, as `extract` and `derive` make it.
        raw: leave out what people have corrected: everything is as it was found.

    Raises:
        StoreError: it holds no results that can be read; the message says what to do.
    """
    place = Path(folder).absolute()
    if not (place / DATABASE).is_file():
        message = f"{folder} holds no results of faceloom (no {DATABASE}); name a folder that faceloom.extract made"
        raise StoreError(message, path=place)
    reading.require_readable(place, raw=raw)  # a store that cannot be read is told of now
    return Results(place, raw=raw)


class Results:
    """What a result folder holds; nothing of it is changed.

    Each iteration reads one face after the other, in a fixed order, in constant memory. What a run has written when an
    iteration begins is in it. `len` counts the faces that no filter rejected.
    """

    def __init__(self, folder: Path, *, raw: bool = False) -> None:
        self._folder = folder
        self._raw = raw
        self._is_closed = False

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def __repr__(self) -> str:
        return f"<Results of {self._folder}{', closed' * self._is_closed}>"

    def __len__(self) -> int:
        return reading.count_faces(self.folder, raw=self._raw)

    def __bool__(self) -> bool:
        return True  # results without a face are results too

    def __iter__(self) -> Iterator[ResultFace]:
        return iter(self.faces())

    def close(self) -> None:
        """Ends all reading; iterations that have not come to their end raise an error if they are gone on with."""
        self._is_closed = True

    @property
    def folder(self) -> Path:
        """The result folder.

        Raises:
            RequestError: the results have been closed.
        """
        if self._is_closed:
            raise RequestError(f"the results of {self._folder} have been closed; open them again with faceloom.open")
        return self._folder

    @property
    def is_raw(self) -> bool:
        """True if corrections are left out."""
        return self._raw

    @property
    def sources(self) -> tuple[str, ...]:
        """The names of all sources, sorted."""
        return reading.read_sources(self.folder)

    @property
    def persons(self) -> tuple[str, ...]:
        """The names that `faceloom.group` gave, the person with the most faces first; empty if nothing was grouped."""
        return reading.read_person_names(self.folder, raw=self._raw)

    @property
    def failures(self) -> tuple[ResultFrame, ...]:
        """The frames that failed or of which something was lost, each with its `reason`, without faces."""
        return tuple(reading.read_failures(self.folder))

    def tracks(self, *, source: Names | None = None) -> Iterator[Track]:
        """The tracks of videos, sorted by source and number; none if `faceloom.track` was never called.

        Args:
            source: name of a source, or several.

        Raises:
            RequestError: there is no such source.
        """
        names = self._sources(source)
        return _while_open(self, read_tracks(self.folder, sources=names, raw=self._raw))

    def shots(self, *, source: Names | None = None) -> Iterator[Shot]:
        """The shots of videos that were tracked, sorted by source and frame.

        Args:
            source: name of a source, or several.

        Raises:
            RequestError: there is no such source.
        """
        names = self._sources(source)
        return _while_open(self, read_shots(self.folder, sources=names))

    def faces(
        self,
        *,
        source: Names | None = None,
        person: Names | None = None,
        min_score: float | None = None,
        min_size: LengthLike | None = None,
        max_size: LengthLike | None = None,
        min_quality: float | None = None,
        min_sharpness: float | None = None,
        max_pitch: float | None = None,
        max_yaw: float | None = None,
        max_roll: float | None = None,
        rejected: bool = False,
    ) -> "FaceSelection":
        """The faces that meet all conditions, sorted by source, frame and index.

        A face of which something is not known, as its pose without an aligner, meets no condition on it.

        Args:
            source: name of a source, or several; `sources` has them all.
            person: name of a person, or several; `persons` has them all.
            min_score: least score of the detector, 0 to 1.
            min_size: least length of the longer side of the box, in pixels or like `5%` of the frame's shorter side.
            max_size: greatest length, likewise.
            min_quality: least quality, 0 to 1: how well a face will do to tell whose it is.
            min_sharpness: least sharpness between brows and mouth; around 100 is sharp, below 10 is a blur.
            max_pitch: degrees by which the head may look up or down.
            max_yaw: degrees by which it may look to either side.
            max_roll: degrees by which it may be tilted to either side.
            rejected: whether faces that a filter rejected are among them.

        Raises:
            RequestError: a value out of range, or a source or person that is not there.
        """
        asked = FaceFilter(
            sources=self._sources(source),
            persons=self._persons(person),
            min_score=share_of(min_score, "the least score"),
            min_size=size_of(min_size),
            max_size=size_of(max_size),
            min_quality=share_of(min_quality, "the least quality"),
            min_sharpness=at_least_0(min_sharpness, "the least sharpness"),
            max_pitch=at_least_0(max_pitch, "the greatest pitch"),
            max_yaw=at_least_0(max_yaw, "the greatest yaw"),
            max_roll=at_least_0(max_roll, "the greatest roll"),
            rejected=rejected,
        )
        return FaceSelection(self, asked)

    def frames(self, *, source: Names | None = None, rejected: bool = False) -> Iterator[ResultFrame]:
        """The frames that are done or have failed, each with its faces, sorted by source and index.

        Args:
            source: name of a source, or several.
            rejected: whether faces that a filter rejected are among those of the frames.

        Raises:
            RequestError: there is no such source.
        """
        asked = FaceFilter(sources=self._sources(source), rejected=rejected)
        return _while_open(self, reading.read_frames(self.folder, asked, raw=self._raw))

    def chip(self, face: ResultFace) -> Image:
        """The chip (S, S, 3) uint8 RGB of a face, from its file.

        Raises:
            RequestError: the face has none, or is of another result folder.
            StoreError: the file is gone, or does not lie below the result folder.
            MediaError: it is no picture any more.
        """
        self._require_own(face)
        if face.chip is None:
            why = "a filter rejected it" if face.rejected is not None else "the folder was made without chips"
            raise RequestError(f"{face} has no chip: it has no landmarks, or {why}")
        return read_chip(self.folder, face.chip)

    def mask(self, face: ResultFace, name: str) -> NDArray[np.uint8]:
        """A mask (S, S) uint8 of a face: coverage 0 to 255 of the square that its chip shows.

        Raises:
            RequestError: the face has none of this name, or is of another result folder.
            StoreError: what is stored is no mask.
        """
        self._require_own(face)
        if name not in face.masks:
            raise RequestError(f"{face} has no mask {name!r}; it has: {', '.join(sorted(face.masks)) or 'none'}")
        return face.masks[name]

    def to_arrow(self) -> "pyarrow.Table":
        """All faces as an Arrow table, see `FaceSelection.to_arrow`."""
        return self.faces().to_arrow()

    def to_pandas(self) -> "pandas.DataFrame":
        """All faces as a pandas DataFrame, see `FaceSelection.to_pandas`."""
        return self.faces().to_pandas()

    def write_sheet(self, out: str | Path) -> Path:
        """Writes a contact sheet to a new .jpg or .png: a row of the best faces of each person, and of nobody's.

        Raises:
            RequestError: the file is there already or cannot be written, or there are no chips.
        """
        return write_sheet(self.folder, Path(out), raw=self._raw)

    def _repr_html_(self) -> str:
        """A contact sheet: a row of the best faces of each person, of those with most faces."""
        told = f"{_counted(len(self), 'face')} of {_counted(len(self.sources), 'source')}"
        told += f", {_counted(len(self.persons), 'person')}" if self.persons else ""
        return to_html(sheet_of(self.folder, most_people=_PERSONS_ON_SHEET, raw=self._raw), told)

    def _sources(self, asked: Names | None) -> tuple[str, ...] | None:
        names = names_of(asked)
        missing = None if names is None else reading.missing_source(self.folder, names)
        refuse_unknown(missing, lambda: self.sources, what="source")
        return names

    def _persons(self, asked: Names | None) -> tuple[str, ...] | None:
        names = names_of(asked)
        missing = None if names is None else reading.missing_person(self.folder, names, raw=self._raw)
        refuse_unknown(missing, lambda: ("", *self.persons), what="person")
        return names

    def _require_own(self, face: ResultFace) -> None:
        if face.folder != self.folder:
            raise RequestError(f"{face} is of {face.folder}, and not of {self.folder}")


class FaceSelection:
    """Faces of a result folder that meet some conditions; read anew, lazily, each time that they are gone through."""

    def __init__(self, results: Results, asked: FaceFilter = EVERY) -> None:
        self._results = results
        self._asked = asked

    def __iter__(self) -> Iterator[ResultFace]:
        return _while_open(
            self._results, reading.read_faces(self._results.folder, self._asked, raw=self._results.is_raw)
        )

    def __len__(self) -> int:
        return reading.count_faces(self._results.folder, self._asked, raw=self._results.is_raw)

    def __repr__(self) -> str:
        return f"<FaceSelection of {self._results!r}>"

    def to_arrow(self) -> "pyarrow.Table":
        """The faces as an Arrow table: a row a face, with the columns of `faceloom export --to parquet`.

        Raises:
            RequestError: pyarrow is not installed; `pip install 'faceloom[parquet]'`.
        """
        return tables.to_arrow(reading.read_records(self._results.folder, self._asked, raw=self._results.is_raw))

    def to_pandas(self) -> "pandas.DataFrame":
        """The faces as a pandas DataFrame: a row a face.

        The columns are those of the Arrow table, but `x0`, `y0`, `x1`, `y1` for the box and `pitch`, `yaw`, `roll` for
        the pose, arrays (5, 2), (68, 2) and (2, 3) for `keypoints`, `landmarks` and `affine`, and no masks.

        Raises:
            RequestError: pandas or pyarrow is not installed; `pip install 'faceloom[pandas]'`.
        """
        return tables.to_pandas(reading.read_records(self._results.folder, self._asked, raw=self._results.is_raw))

    def _repr_html_(self) -> str:
        """A contact sheet of the first of them."""
        shown = [face._repr_html_() for face, _ in zip(self, range(_ON_SHEET), strict=False)]
        count = len(self)
        more = f", the first {len(shown)} of them" if count > len(shown) else ""
        return f"<p>{count:,} face{'s' * (count != 1)}{more}</p>{''.join(shown)}"


def _counted(number: int, what: str) -> str:
    return f"{number:,} {what}{'s' * (number != 1)}"


def _while_open(results: Results, items: Iterable[_Item]) -> Iterator[_Item]:
    for item in items:
        results.folder  # noqa: B018  # raises once the results have been closed
        yield item
