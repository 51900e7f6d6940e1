"""Cuts: where one shot of a video ends and another begins, seen by how much small pictures of its frames change."""

from collections import deque
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

Signature: TypeAlias = NDArray[np.uint8]
"""(H, W, 3) a frame, shrunk so far that a moving hand hardly counts."""
_AROUND = 6
"""Over how many changes before and after one it is seen what is usual there."""
_BACK = 3
"""After how many frames a picture may be back that only a flash, or a torn frame, was between."""
_BEYOND = 1 / 6
"""How much of a change has to be there across a flash, for a cut beneath it."""
_LEAST, _LARGE = 2.5, 25.0
"""Mean change of a value, of 255, that may be a cut, and that is one unless all around is as restless
(measured: docs/tracks.md)."""
_SPIKE, _ABOVE_USUAL, _ABOVE_RESTLESS = 2.0, 4.0, 2.5


@dataclass(frozen=True, slots=True)
class _Change:
    """How much a frame differs from the one before it, and how little across that place."""

    size: float
    across: float


def find_cuts(signatures: Iterable[Signature]) -> list[int]:
    """The positions of the frames with which a new shot begins, the first frame of all not among them.

    Args:
        signatures: of consecutive frames, all of one shape.
    """
    changes = [_Change(0.0, np.inf), *_changes(signatures)]
    sizes = [change.size for change in changes]
    return [i for i in range(1, len(changes)) if _is_cut(sizes, i) and changes[i].across > _BEYOND * sizes[i]]


def _changes(signatures: Iterable[Signature]) -> Iterator[_Change]:
    """The change at each frame but the first; of some frames only the signatures are in memory."""
    held: deque[NDArray[np.float32]] = deque()
    at = 0
    for signature in signatures:
        held.append(signature.astype(np.float32))
        while len(held) > at + 1 + _BACK:
            if at:
                yield _change(held, at)
            at += 1
            if at > _BACK + 1:
                held.popleft()
                at -= 1
    for i in range(max(at, 1), len(held)):
        yield _change(held, i)


def _change(held: Sequence[NDArray[np.float32]], at: int) -> _Change:
    """Between the frames at `at - 1` and `at`; across: of one of them and frames soon after, or before, the other."""
    first, second = held[at - 1], held[at]
    after = [_difference(first, held[i]) for i in range(at + 1, min(at + 1 + _BACK, len(held)))]
    before = [_difference(held[i], second) for i in range(max(0, at - 1 - _BACK), at - 1)]
    return _Change(_difference(first, second), min([*after, *before], default=np.inf))


def _difference(first: NDArray[np.float32], second: NDArray[np.float32]) -> float:
    return float(np.abs(first - second).mean())


def _is_cut(sizes: Sequence[float], at: int) -> bool:
    size = sizes[at]
    if size < _LEAST:
        return False
    beside = [*sizes[max(1, at - 1) : at], *sizes[at + 1 : at + 2]]
    around = [*sizes[max(1, at - _AROUND) : at], *sizes[at + 1 : at + 1 + _AROUND]]
    usual = sum(around) / max(1, len(around))
    if size >= _LARGE:
        return size >= _ABOVE_RESTLESS * usual and all(size >= other for other in beside)
    return size >= _ABOVE_USUAL * usual and all(size >= _SPIKE * other for other in beside)
