"""What readers check where a file's content comes in: limits, numbers, and errors that name the file."""

import itertools
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from faceloom.errors import MediaError
from faceloom.faces import FrameId
from faceloom.formats.record import FaceRecord, FrameRecord
from faceloom.geometry.affine import Affine
from faceloom.geometry.pose import Pose
from faceloom.units import MIB, format_bytes

MAX_FILE_BYTES = 256 * MIB
"""Of a file whose format has to be read as a whole."""
MAX_LINE_BYTES = 16 * MIB
_MAX_NAME = 4096
_MAX_PIXEL = 1e7
_MAX_INDEX = 2**53


@contextmanager
def reading(path: Path, title: str) -> Iterator[None]:
    """Whatever a file's content does to its reader becomes an error that names the file."""
    try:
        yield
    except (ArithmeticError, AttributeError, LookupError, OSError, RecursionError, TypeError, ValueError) as error:
        raise MediaError(f"{path} cannot be read as {title}: {error or type(error).__name__}", path=path) from error


def read_whole(path: Path, *, limit: int) -> bytes:
    """The content of a file of at most `limit` bytes."""
    with path.open("rb") as file:
        content = file.read(limit + 1)
    if len(content) > limit:
        raise ValueError(f"it has more than {format_bytes(limit)}")
    return content


def read_lines(path: Path) -> Iterator[str]:
    """The lines of a text in UTF-8, their ends included, none longer than a limit."""
    with path.open("rb") as file:
        for number in itertools.count(1):
            line = file.readline(MAX_LINE_BYTES + 1)
            if not line:
                return
            if len(line) > MAX_LINE_BYTES:
                raise ValueError(f"line {number} has more than {format_bytes(MAX_LINE_BYTES)}")
            yield line.decode()


def numbers(values: Any, shape: tuple[int, ...], what: str) -> NDArray[np.float64]:
    """Nested lists, or an array, as finite numbers of a shape; -1 stands for any length.

    Raises:
        ValueError: it is something else.
    """
    array = np.asarray(values)
    fits = array.ndim == len(shape) and all(b in (-1, a) for a, b in zip(array.shape, shape, strict=True))
    if not fits or array.dtype.kind not in "fiu" or not np.isfinite(array).all():
        raise ValueError(f"{what} is not {shape} finite numbers")
    return array.astype(np.float64)


def pixels(values: Any, shape: tuple[int, ...], what: str) -> NDArray[np.float32]:
    """Coordinates, checked."""
    array = numbers(values, shape, what)
    if (np.abs(array) > _MAX_PIXEL).any():
        raise ValueError(f"{what} lies more than {_MAX_PIXEL:.0f} pixels away")
    return array.astype(np.float32)


def optional_pixels(values: Any, shape: tuple[int, ...], what: str) -> NDArray[np.float32] | None:
    """Coordinates that may be missing."""
    return None if values is None else pixels(values, shape, what)


def optional_affine(values: Any) -> Affine | None:
    """An affine map that may be missing."""
    return None if values is None else numbers(values, (2, 3), "the affine map")


def optional_pose(values: Any) -> Pose | None:
    """Angles that may be missing."""
    return None if values is None else Pose(*numbers(values, (3,), "a pose").tolist())


def box(x0: float, y0: float, x1: float, y1: float) -> NDArray[np.float32]:
    """A box, its corners in order."""
    corners = pixels([x0, y0, x1, y1], (4,), "a box")
    if x1 < x0 or y1 < y0:
        raise ValueError(f"a box of negative size: {corners.tolist()}")
    return corners


def score(value: Any) -> float | None:
    """A score or another number; detectors of other programs may have scores above 1."""
    return None if value is None else float(numbers(value, (), "a score"))


def whole(value: Any, what: str, *, at_least: int = 0) -> int:
    """A whole number of ordinary size."""
    if type(value) is not int or not at_least <= value <= _MAX_INDEX:
        raise ValueError(f"{what} is {value!r}, which is no whole number from {at_least}")
    return value


def name(value: Any, what: str) -> str:
    """A name of ordinary length."""
    if type(value) is not str or not 0 < len(value) <= _MAX_NAME:
        raise ValueError(f"{what} is not a name of 1 to {_MAX_NAME:,} characters")
    value.encode()  # halves of characters, which JSON and XML can spell, are a ValueError
    return value


def optional_name(value: Any, what: str) -> str | None:
    """A name, or another short text, that may be missing."""
    return None if value is None else name(value, what)


def grouped(faces: Iterable[tuple[FrameId, float | None, FaceRecord]]) -> Iterator[FrameRecord]:
    """Frames of faces that follow each other, with the frame's time."""
    for frame, same in itertools.groupby(faces, key=lambda told: told[0]):
        found = list(same)
        yield FrameRecord(id=frame, time=found[0][1], faces=tuple(face for _, _, face in found))
