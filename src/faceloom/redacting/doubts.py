"""Doubts: which frames a person should look at, in runs, and of which of them a page shows a picture."""

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from faceloom.redacting.covering import Covers, Doubt

_MOST_SHOWN = 4
"""Of each kind, spread over all runs of it."""
_ORDER = (Doubt.FOUND, Doubt.UNSEEN, Doubt.CUT, Doubt.LOW_SCORE, Doubt.GAP, Doubt.EDGE, Doubt.ENDS)


@dataclass(frozen=True, slots=True, kw_only=True)
class Run:
    """Frames one after another with the same doubt."""

    doubt: Doubt
    first: int
    last: int

    @property
    def middle(self) -> int:
        """The frame that stands for all."""
        return (self.first + self.last) // 2


def runs_of(covers: Covers, unseen: NDArray[np.int64], cuts: Iterable[int] = ()) -> list[Run]:
    """Every run, the worst doubts first.

    Args:
        covers: of a source.
        unseen: (U,) frames in which nobody looked for faces.
        cuts: frames that begin a shot.
    """
    by_doubt: dict[Doubt, list[int]] = {Doubt.UNSEEN: unseen.tolist(), Doubt.CUT: list(cuts)}
    for frame, doubt in zip(covers.frames.tolist(), covers.doubts, strict=True):
        if doubt is not None:
            by_doubt.setdefault(doubt, []).append(frame)
    return [run for doubt in _ORDER for run in _runs(doubt, by_doubt.get(doubt, []))]


def _runs(doubt: Doubt, frames: list[int]) -> Iterable[Run]:
    numbers = np.unique(np.array(frames, np.int64))
    for part in np.split(numbers, np.flatnonzero(np.diff(numbers) > 1) + 1) if len(numbers) else ():
        yield Run(doubt=doubt, first=int(part[0]), last=int(part[-1]))


def shown_of(runs: Iterable[Run]) -> list[Run]:
    """Those of which a page shows a picture: of each kind a few, spread over all."""
    by_doubt: dict[Doubt, list[Run]] = {}
    for run in runs:
        by_doubt.setdefault(run.doubt, []).append(run)
    return [some[i] for some in by_doubt.values() for i in _spread(len(some))]


def _spread(count: int) -> list[int]:
    return sorted(set(np.linspace(0, count - 1, min(count, _MOST_SHOWN)).round().astype(int).tolist()))


def counted(runs: Iterable[Run]) -> Mapping[str, int]:
    """Frames of each kind of doubt."""
    counts: Counter[str] = Counter()
    for run in runs:
        counts[str(run.doubt)] += run.last - run.first + 1
    return dict(counts)
