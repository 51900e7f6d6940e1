"""Lists of faces: which of them, in which order."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from faceloom.errors import RequestError
from faceloom.review.plots import AXES
from faceloom.review.table import FaceTable, Rows
from faceloom.suggestions import or_else

DOUBTFUL_SCORE = 0.7
DOUBTFUL_QUALITY = 0.3
TURNED_DEG = 60.0
MADE_UP_SHARE = 0.2
_BEST_FIRST = {"quality": "quality", "score": "score", "size": "size", "sharpness": "sharpness"}
_DOUBT = "doubt"
SORTS = ("time", "quality", "-quality", "size", "-size", "score", "-score", "sharpness", "-sharpness", "pose", _DOUBT)
"""Orders of faces: the best first, with `-` the worst first; `doubt`: those far from the rest of their person first."""
PROBLEMS: Mapping[str, str] = {
    "score": f"the detector doubts that it is a face (score below {DOUBTFUL_SCORE:g})",
    "quality": f"too poor to tell whose it is (quality below {DOUBTFUL_QUALITY:g})",
    "turned": f"turned by more than {TURNED_DEG:g} degrees",
    "border": f"more than {MADE_UP_SHARE:.0%} of the chip lies beyond the frame",
    "landmarks": "no landmarks or chip, and not rejected",
    "far": "farther from the centre of its person than the identifier takes for one person",
    "rejected": "rejected by a filter, or by hand",
}
"""What faces can be looked at for, and what is said of it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class FaceQuery:
    """Which faces are asked for, in which order."""

    by: str = "all"
    """`all`, `person`, `source` or `problem`."""
    of: str | None = None
    """The person (None: nobody), the source, or the problem."""
    sort: str = "time"
    rejected: bool = True
    """Whether faces that are rejected are among them, where that is not the problem itself."""

    ranges: tuple[tuple[str, float, float], ...] = ()
    """Numbers that have to lie between two others, which are among them."""

    @property
    def needs_doubts(self) -> bool:
        """Whether embeddings have to be looked at."""
        return self.sort == _DOUBT or (self.by == "problem" and self.of == "far")


def query_of(told: Mapping[str, Any]) -> FaceQuery:
    """A query as the page asks it.

    Raises:
        RequestError: there is no such list, problem or order.
    """
    by, of, sort = str(told.get("by", "all")), told.get("of"), str(told.get("sort", "time"))
    for word, known in ((by, ("all", "person", "source", "problem")), (sort, SORTS)):
        if word not in known:
            raise RequestError(f"there is no {word!r}; {or_else(word, known)}")
    if by == "problem" and of not in PROBLEMS:
        raise RequestError(f"there is no problem {of!r}; {or_else(str(of), PROBLEMS)}")
    return FaceQuery(
        by=by,
        of=None if of is None else str(of),
        sort=sort,
        rejected=bool(told.get("rejected", True)),
        ranges=ranges_of(str(told.get("ranges", ""))),
    )


def ranges_of(text: str) -> tuple[tuple[str, float, float], ...]:
    """Ranges as the page writes them: `quality:0.1:0.3,yaw:-20:20`.

    Raises:
        RequestError: this is none.
    """
    found = []
    for part in text.split(",") if text else ():
        name, _, limits = part.partition(":")
        low, _, high = limits.partition(":")
        if name not in AXES:
            raise RequestError(f"there is no number {name!r}; {or_else(name, AXES)}")
        try:
            found.append((name, float(low), float(high)))
        except ValueError as error:
            raise RequestError(f"{part!r} is no range, as in quality:0.1:0.3") from error
    return tuple(found)


def within(table: FaceTable, ranges: Iterable[tuple[str, float, float]]) -> NDArray[np.bool_]:
    """Which faces have numbers within ranges; of which nobody knows the number, are not among them."""
    chosen = np.ones(len(table), np.bool_)
    for name, low, high in ranges:
        values = table.numbers[name]
        with np.errstate(invalid="ignore"):
            chosen &= (values >= np.float32(low)) & (values <= np.float32(high))
    return chosen


@dataclass(frozen=True, slots=True, eq=False)
class Doubts:
    """How far faces are from the others of their person, and how far is too far."""

    distances: NDArray[np.float32]
    limit: float


def problem_rows(table: FaceTable, problem: str, doubts: Doubts | None) -> NDArray[np.bool_]:
    """Which faces have a problem."""
    numbers = table.numbers
    with np.errstate(invalid="ignore"):  # what nobody knows is no problem
        found: dict[str, Any] = {
            "score": lambda: numbers["score"] < DOUBTFUL_SCORE,
            "quality": lambda: numbers["quality"] < DOUBTFUL_QUALITY,
            "turned": lambda: (abs(numbers["yaw"]) > TURNED_DEG) | (abs(numbers["roll"]) > TURNED_DEG),
            "border": lambda: numbers["made_up"] > MADE_UP_SHARE,
            "landmarks": lambda: ~table.has_chip,
            "far": lambda: np.zeros(len(table), np.bool_) if doubts is None else doubts.distances > doubts.limit,
        }
        if problem == "rejected":
            return ~table.is_shown
        return np.asarray(found[problem]() & table.is_shown)


def listed(table: FaceTable, query: FaceQuery, *, source_id: int | None = None, doubts: Doubts | None = None) -> Rows:
    """The places of the faces that are asked for, in order; faces of which the order is not known come last."""
    if query.by == "person":
        chosen = table.of_person(query.of)
    elif query.by == "source":
        chosen = table.sources == source_id
    elif query.by == "problem":
        chosen = problem_rows(table, str(query.of), doubts)
    else:
        chosen = np.ones(len(table), np.bool_)
    if query.ranges:
        chosen = chosen & within(table, query.ranges)
    if not query.rejected and query.of != "rejected":
        chosen = chosen & table.is_shown
    rows = np.flatnonzero(chosen)
    if query.sort == "time":
        return rows
    return rows[np.argsort(_keys(table, rows, query.sort, doubts), kind="stable")]


def _keys(table: FaceTable, rows: Rows, sort: str, doubts: Doubts | None) -> NDArray[np.float32]:
    """What comes first has the least; NaN comes last."""
    numbers = table.numbers
    if sort == "pose":
        return np.asarray(abs(numbers["yaw"][rows]) + abs(numbers["pitch"][rows]), np.float32)
    if sort == _DOUBT:
        return np.zeros(len(rows), np.float32) if doubts is None else -doubts.distances[rows]
    values = numbers[_BEST_FIRST[sort.removeprefix("-")]][rows]
    return values if sort.startswith("-") else -values
