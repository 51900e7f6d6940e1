"""Linking: which faces of a source's frames are one face, by where they lie."""

from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from faceloom.geometry.boxes import Boxes, iou

_LEAST_IOU = 0.15
"""Faces that overlap less are not linked: what that leaves uncovered is covered beyond the ends of each track."""
_NEAR = 0.75
"""Of a face's longer side: how far its middle may have gone over a gap, where boxes no longer overlap."""


def link(
    frames: NDArray[np.int64], times: NDArray[np.float64], boxes: Boxes, *, gap_s: float, gap_frames: int = 1
) -> NDArray[np.int64]:
    """Numbers the tracks of faces; those of one track have its number.

    The best overlap comes first, so that the outcome does not depend on the order of faces in a frame.

    Args:
        frames: (N,) index of the frame of each face, ascending.
        times: (N,) seconds of those frames.
        boxes: (N, 4) pixels.
        gap_s: how long a face may be missing from its track.
        gap_frames: how many frames later it may come in any case: where times tell nothing.
    """
    tracks = np.full(len(frames), -1, np.int64)
    last: dict[int, int] = {}
    count = 0
    edges = [*np.flatnonzero(np.diff(frames, prepend=-1)).tolist(), len(frames)]
    for start, end in pairwise(edges):
        frame, now = frames[start], times[start]
        last = {
            track: row for track, row in last.items() if now - times[row] <= gap_s or frame - frames[row] <= gap_frames
        }
        for row, track in _pairs(boxes, np.arange(start, end), last):
            tracks[row] = track
        for row in range(start, end):
            if tracks[row] < 0:
                tracks[row] = count
                count += 1
            last[int(tracks[row])] = row
    return tracks


def _pairs(boxes: Boxes, rows: NDArray[np.int64], last: dict[int, int]) -> list[tuple[int, int]]:
    """Which faces of a frame go on which tracks."""
    if not last:
        return []
    names = list(last)
    before = boxes[list(last.values())]
    worth = _worth(boxes[rows], before)
    pairs: dict[int, int] = {}
    for place in np.argsort(-worth, axis=None, kind="stable").tolist():
        row, track = divmod(place, len(names))
        if worth[row, track] <= 0:
            break
        if row not in pairs and names[track] not in pairs.values():
            pairs[row] = names[track]
    return [(int(rows[row]), track) for row, track in pairs.items()]


def _worth(boxes: Boxes, before: Boxes) -> NDArray[np.float64]:
    """(K, T) how well a face goes on a track: overlap, or less than that if it is only near; 0: not at all."""
    overlap = iou(boxes, before).astype(np.float64)
    centres, centres_before = _centres(boxes), _centres(before)
    sides = np.minimum(_sides(boxes)[:, None], _sides(before)[None])
    far = np.linalg.norm(centres[:, None] - centres_before[None], axis=2) / np.maximum(sides, 1e-6)
    alike = np.minimum(_sides(boxes)[:, None], _sides(before)) / np.maximum(_sides(boxes)[:, None], _sides(before))
    near = np.where((far < _NEAR) & (alike > 0.5), _LEAST_IOU * (1 - far / _NEAR) * 0.99, 0)
    return np.asarray(np.where(overlap >= _LEAST_IOU, overlap, near), np.float64)


def _centres(boxes: Boxes) -> NDArray[np.float64]:
    return ((boxes[:, :2] + boxes[:, 2:]) / 2).astype(np.float64)


def _sides(boxes: Boxes) -> NDArray[np.float64]:
    return np.asarray((boxes[:, 2:] - boxes[:, :2]).max(axis=1), np.float64)
