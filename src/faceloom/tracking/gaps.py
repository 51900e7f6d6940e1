"""Gaps: where a track's face should be in frames in which it was not found, by the faces before and after."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from enum import StrEnum

import numpy as np
from numpy.typing import NDArray

from faceloom.geometry.affine import Points
from faceloom.geometry.boxes import Boxes, iou

_LEAST_IOU = 0.3
"""Of a face that is found with where it should be."""
_MOST_IOU = 0.4
"""With another face of its frame: it is that one then."""


class Mark(StrEnum):
    """How a face came to be that a detector did not find by looking at its frame."""

    FILLED = "filled"
    """A detector found it where its track told it to look, more closely."""
    INTERPOLATED = "interpolated"
    """Nobody has seen it: it lies between the faces of its track before and after."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Placed:
    """A face of a track: where it is, and when."""

    frame: int
    """Index of its frame."""
    time_s: float
    box: NDArray[np.float32]
    landmarks: Points | None
    keypoints: Points | None


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Gap:
    """Frames in which a track's face was not found."""

    before: int
    """The place in its track of the last face before them."""
    faces: tuple[Placed, ...]
    """Where it should be in each."""


def find_gaps(
    track: Sequence[Placed], frames: NDArray[np.int64], times_s: NDArray[np.float64], *, longest_s: float
) -> Iterator[Gap]:
    """The gaps of a track up to some length, with faces laid between those that were found.

    Args:
        track: its faces, in order.
        frames: indexes of all frames of the video that were looked at, in order.
        times_s: when each of these is.
        longest_s: from the last face before a gap to the first after it.
    """
    for place in range(len(track) - 1):
        first, second = track[place], track[place + 1]
        if second.time_s - first.time_s > longest_s:
            continue
        begin, end = np.searchsorted(frames, [first.frame + 1, second.frame])
        missing = [between(first, second, int(frames[i]), float(times_s[i])) for i in range(int(begin), int(end))]
        if missing:
            yield Gap(before=place, faces=tuple(missing))


def between(first: Placed, second: Placed, frame: int, time_s: float) -> Placed:
    """The face at a time between two: middle and logarithm of the size go straight, points do so in the box."""
    share = (time_s - first.time_s) / max(1e-9, second.time_s - first.time_s)
    middles, sizes = zip(*(_middle_and_size(one.box) for one in (first, second)), strict=True)
    middle = middles[0] + share * (middles[1] - middles[0])
    size = sizes[0] ** (1 - share) * sizes[1] ** share
    points = [
        None
        if one is None or two is None
        else (
            middle + size * ((1 - share) * (one - middles[0]) / sizes[0] + share * (two - middles[1]) / sizes[1])
        ).astype(np.float32)
        for one, two in ((first.landmarks, second.landmarks), (first.keypoints, second.keypoints))
    ]
    box = np.concatenate([middle - size / 2, middle + size / 2]).astype(np.float32)
    return Placed(frame=frame, time_s=time_s, box=box, landmarks=points[0], keypoints=points[1])


def _middle_and_size(box: NDArray[np.float32]) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    corners = box.astype(np.float64).reshape(2, 2)
    return corners.mean(axis=0), np.maximum(corners[1] - corners[0], 1.0)


def choose(expected: NDArray[np.float32], found: Boxes, scores: Sequence[float], others: Boxes) -> int | None:
    """The place of the face that was found where one should be; None: none that is not another face of the frame.

    Args:
        expected: the box (4,) where it should be.
        found: (N, 4) boxes that were found there.
        scores: of these.
        others: (M, 4) faces of the frame that are known.
    """
    overlaps = iou(expected[None], found)[0] if len(found) else np.zeros(0)
    taken = iou(found, others).max(axis=1, initial=0) if len(found) and len(others) else np.zeros(len(found))
    fits = [i for i in range(len(found)) if overlaps[i] >= _LEAST_IOU and taken[i] < _MOST_IOU]
    return max(fits, key=lambda i: (float(overlaps[i]) * scores[i], -i), default=None)
