"""Filters: which faces of a result folder are asked for, as a condition of its store."""

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from typing import TypeAlias

from faceloom.errors import RequestError
from faceloom.selection import Length, LengthLike, length_of
from faceloom.suggestions import or_else

Names: TypeAlias = str | Iterable[str]
"""One name or several."""
Value: TypeAlias = str | float
"""Of a condition's parameter."""

_SIDE = "max(x1 - x0, y1 - y0)"  # as `extract --min-size` has it
_SHORTER_SIDE = "min(frame.width, frame.height)"


@dataclass(frozen=True, slots=True, kw_only=True)
class FaceFilter:
    """What a face has to be; None is no condition. A face of which nobody knows it does not meet a condition."""

    sources: tuple[str, ...] | None = None
    persons: tuple[str, ...] | None = None
    min_score: float | None = None
    min_size: Length | None = None
    max_size: Length | None = None
    min_quality: float | None = None
    min_sharpness: float | None = None
    max_pitch: float | None = None
    """Degrees, either way, like the next two."""
    max_yaw: float | None = None
    max_roll: float | None = None
    rejected: bool = False
    """Whether faces that a filter rejected are asked for too."""

    @property
    def condition(self) -> tuple[str, tuple[Value, ...]]:
        """SQL that goes on from a WHERE, over the tables source, face and frame, and its parameters."""
        parts = list(self._parts())
        return "".join(f" AND {text}" for text, _ in parts), tuple(value for _, values in parts for value in values)

    def _parts(self) -> Iterator[tuple[str, tuple[Value, ...]]]:
        if self.sources is not None:
            yield f"name IN ({', '.join('?' * len(self.sources))})", self.sources
        if self.persons is not None:
            nobodys = " OR person IS NULL" if "" in self.persons else ""
            yield f"(person IN ({', '.join('?' * len(self.persons))}){nobodys})", self.persons
        for column, comparison, limit in (
            ("score", ">=", self.min_score),
            ("quality", ">=", self.min_quality),
            ("sharpness", ">=", self.min_sharpness),
            ("abs(pitch)", "<=", self.max_pitch),
            ("abs(yaw)", "<=", self.max_yaw),
            ("abs(roll)", "<=", self.max_roll),
        ):
            if limit is not None:
                yield f"{column} {comparison} ?", (limit,)
        for comparison, size in ((">=", self.min_size), ("<=", self.max_size)):
            if size is not None:
                unit = f" / 100.0 * {_SHORTER_SIDE}" if size.is_share else ""
                yield f"{_SIDE} {comparison} ?{unit}", (size.value,)


EVERY = FaceFilter()


def names_of(asked: Names | None) -> tuple[str, ...] | None:
    """Names that are asked for, one or several."""
    return (asked,) if isinstance(asked, str) else None if asked is None else tuple(asked)


def refuse_unknown(name: str | None, known: Callable[[], Iterable[str]], *, what: str) -> None:
    """Refuses a name that is not there, if any is; all that are there are only read for the message then.

    Raises:
        RequestError: there is one; the message has the nearest that is there.
    """
    if name is not None:
        raise RequestError(f"there is no {what} {name!r} among these results; {or_else(name, known())}")


def share_of(value: float | None, what: str) -> float | None:
    """A number from 0 to 1.

    Raises:
        RequestError: it is none.
    """
    if value is not None and not 0 <= value <= 1:
        raise RequestError(f"{what} is {value:g}, but has to be 0 to 1")
    return value


def at_least_0(value: float | None, what: str) -> float | None:
    """A number that is not negative.

    Raises:
        RequestError: it is.
    """
    if value is not None and not value >= 0:
        raise RequestError(f"{what} is {value:g}, but has to be 0 or more")
    return value


def size_of(value: LengthLike | None) -> Length | None:
    """A length in a frame, if one is asked for.

    Raises:
        RequestError: it is none.
    """
    return None if value is None else length_of(value)
