"""What a detector saw in a frame, in one look or in several."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from faceloom.faces import Candidates
from faceloom.geometry.affine import Affine, Points, apply, translation
from faceloom.geometry.boxes import Boxes, covered
from faceloom.geometry.turning import boxes_turned_back

EDGE_PX = 4
"""What comes so near to an edge of a tile, but not of the frame, is cut."""
MOST_COVERED = 0.5
"""Of a face in a tile, by a large one in the whole frame."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Sight:
    """What a detector found in a frame, and where on the frame that is."""

    candidates: Candidates
    canvas_to_frame: Affine
    turned_deg: float = 0.0
    """By how much the frame was turned back."""

    def in_frame(self, kept: NDArray[np.intp]) -> tuple[Boxes, Points | None]:
        """Boxes (K, 4) and keypoints (K, 5, 2) of some of the candidates, in frame pixels."""
        boxes, keypoints = self.candidates.boxes[kept], self.candidates.keypoints
        if self.turned_deg:
            boxes = boxes_turned_back(boxes, self.canvas_to_frame, degrees=self.turned_deg)
        else:
            boxes = apply(self.canvas_to_frame, boxes.reshape(-1, 2, 2)).reshape(-1, 4)
        return boxes, None if keypoints is None else apply(self.canvas_to_frame, keypoints[kept])


@dataclass(frozen=True, slots=True, kw_only=True)
class Place:
    """Where a tile lies in its frame."""

    x: int = 0
    """Column of the frame where it begins."""
    y: int = 0
    side: int = 0
    inner: tuple[bool, bool, bool, bool] = (False, False, False, False)
    """Whether the frame goes on beyond its left, upper, right and lower edge."""

    def holds(self, boxes: Boxes) -> NDArray[np.bool_]:
        """(N,) whether the tile sees what is in boxes (N, 4) of the frame whole, and does not cut it."""
        edges = np.array([self.x, self.y, self.x + self.side, self.y + self.side], np.float32)
        away = (boxes - edges) * np.array([1, 1, -1, -1], np.float32)  # (N, 4) inside an edge by so much
        return np.asarray(((away >= EDGE_PX) | ~np.array(self.inner)).all(axis=1))


WHOLE = Place()


def merged(whole: Sight, tiles: Sequence[Sight], places: Sequence[Place], *, overlap_px: int) -> Sight:
    """What was seen in a frame and in its tiles, in frame pixels.

    What a tile cuts is left out: a neighbour sees it whole or, if it is larger than tiles overlap, the look at the
    whole frame does. Such large faces are left to that look, so that no part of one counts as another face.
    """
    seen = [_in_frame(whole)]
    large = seen[0].boxes[(seen[0].boxes[:, 2:] - seen[0].boxes[:, :2]).max(axis=1, initial=0) > overlap_px]
    for sight, place in zip(tiles, places, strict=True):
        candidates = _in_frame(sight)
        is_own = place.holds(candidates.boxes) & (covered(candidates.boxes, large) < MOST_COVERED)
        seen.append(_some(candidates, is_own))
    return Sight(candidates=_together(seen), canvas_to_frame=translation(0, 0))


def _in_frame(sight: Sight) -> Candidates:
    boxes, keypoints = sight.in_frame(np.arange(len(sight.candidates.scores)))
    return Candidates(boxes=boxes, scores=sight.candidates.scores, keypoints=keypoints)


def _some(candidates: Candidates, which: NDArray[np.bool_]) -> Candidates:
    keypoints = None if candidates.keypoints is None else candidates.keypoints[which]
    return Candidates(boxes=candidates.boxes[which], scores=candidates.scores[which], keypoints=keypoints)


def _together(parts: Sequence[Candidates]) -> Candidates:
    keypoints = [part.keypoints for part in parts if part.keypoints is not None]
    return Candidates(
        boxes=np.concatenate([part.boxes for part in parts]),
        scores=np.concatenate([part.scores for part in parts]),
        keypoints=np.concatenate(keypoints) if keypoints else None,
    )
