"""Tracks of the faces of a source: those that its store has, or else those that follow from where the faces lie."""

from collections.abc import Iterator
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from faceloom.geometry.boxes import Boxes
from faceloom.tracking.sightings import SeenFrame
from faceloom.tracking.tracks import link


def tracks_of(
    frames: NDArray[np.int64], positions: NDArray[np.int64], times: NDArray[np.float64], boxes: Boxes
) -> NDArray[np.int64]:
    """(N,) numbers of tracks; faces with the same are one face.

    Args:
        frames: (N,) index of the frame of each face, ascending.
        positions: (N,) where that frame stands among those that were looked at.
        times: (N,) seconds of those frames.
        boxes: (N, 4) pixels.
    """
    tracks = np.full(len(frames), -1, np.int64)
    for number, rows in enumerate(link(_seen(frames, positions, times, boxes))):
        tracks[rows] = number
    return tracks


def _seen(
    frames: NDArray[np.int64], positions: NDArray[np.int64], times: NDArray[np.float64], boxes: Boxes
) -> Iterator[SeenFrame]:
    for begin, end in pairwise([*np.flatnonzero(np.diff(frames, prepend=-1)).tolist(), len(frames)]):
        count = end - begin
        yield SeenFrame(
            position=int(positions[begin]),
            time_s=float(times[begin]),
            faces=tuple(range(begin, end)),
            boxes=boxes[begin:end],
            points=(None,) * count,
            embeddings=(None,) * count,
            persons=(None,) * count,
        )
