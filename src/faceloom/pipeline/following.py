"""Following: between the frames that a detector looks at, faces go with the pixels that they are made of.

Points on a grid within each face are found again in the next frame by pyramidal Lucas-Kanade flow, and from there in
the frame before; those that come back to where they began (forward-backward error: Kalal, Mikolajczyk and Matas,
"Forward-Backward Error: Automatic Detection of Tracking Failures", ICPR 2010) lay the similarity that moves the face.
Where too few do, or the picture changes as a whole, the detector looks.

A block is as many consecutive frames of a video as lie between two looks. What is found in a frame depends on the
frames of its block alone, so that it is the same however the video is cut into chunks.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import cv2
import numpy as np
from numpy.typing import NDArray

from faceloom.faces import Face, FrameId, Image
from faceloom.frame import Frame
from faceloom.geometry.affine import Affine, Points, apply, compose, fit_similarity, scale_of, scaling, translation

_SIDE_PX = 96
"""Side of the small grey picture of a face and its surroundings."""
_AROUND = 2.0
"""The side of what it shows, as a multiple of the face's longer side: a face may move by half of itself in a frame."""
_GRID = 7
"""Points along each side of the inner part of a box."""
_INNER = 0.7
"""The part of a box that is face and not background."""
_BACK_PX = 1.0
"""So far, in the small picture, a point may end from where it began, there and back."""
_ENOUGH = 0.5
"""The share of points that have to come back."""
_MOST_SCALE = 1.25
"""No face grows or shrinks by more between two frames."""
_ALIKE = 0.8
"""Correlation of a face with what it was when a detector saw it, below which it may be something else by now: a hand
before it, or another side of the head (measured: docs/sparse.md)."""
_FACE_PX = 24
"""Side of the picture that is compared."""
_CUT = 25.0
"""Mean change of a value, of 255, in a small picture of the frame, from which it is another scene."""
_STEP_PX = 8
"""Every so many pixels of a frame are in that picture."""
_FLOW = {"winSize": (15, 15), "maxLevel": 2}


@dataclass(frozen=True, slots=True, kw_only=True)
class _Followed:
    """A face, and what it and its surroundings look like."""

    face: Face
    square: tuple[int, int, int]
    """Column, row and side in the frame."""
    look: NDArray[np.uint8]
    """(S, S) grey."""
    seen: NDArray[np.float32]
    """(F * F,) the face as a detector last saw it; its mean is 0 and its length 1."""


@dataclass(frozen=True, slots=True, kw_only=True)
class _State:
    """What is known of a frame when the next one comes."""

    id: FrameId
    small: NDArray[np.uint8]
    """The frame as a whole."""
    faces: tuple[_Followed, ...]


Looks = Callable[[Sequence[Frame]], Sequence[Sequence[Face]]]
"""A detector's faces in each of some frames."""


class Follower:
    """Finds the faces of consecutive frames of videos: by a look at the first of each block, then by following them."""

    def __init__(self, every: int) -> None:
        """Blocks have `every` frames, counted from the first of a video whether they are wanted or not."""
        self._every = every
        self._state: _State | None = None
        self.leads: frozenset[FrameId] = frozenset()
        """Frames that are read only because later ones of their block are wanted."""

    def is_at(self, frame: FrameId) -> bool:
        """Whether the last frame that it has seen is this one."""
        return self._state is not None and self._state.id == frame

    def find(self, frames: Sequence[Frame], look: Looks) -> list[Sequence[Face]]:
        """The faces of each frame, in the order in which they come; if this raises, it can be called again."""
        before = [self._state.id if self._state else None, *(frame.id for frame in frames)]
        due = [frame for frame, last in zip(frames, before, strict=False) if self._begins(frame.id, last)]
        found = dict(zip((frame.id for frame in due), look(due), strict=True)) if due else {}
        answers: list[Sequence[Face]] = []
        state = self._state
        for frame in frames:
            small = _small(frame.image)
            carried = _carried(state, frame, small) if state is not None and frame.id not in found else None
            if carried is None:
                faces = found[frame.id] if frame.id in found else look([frame])[0]
                carried = tuple(_followed(frame.image, face) for face in faces)
            state = _State(id=frame.id, small=small, faces=carried)
            answers.append([followed.face for followed in carried])
        self._state = state
        return answers

    def _begins(self, frame: FrameId, last: FrameId | None) -> bool:
        """Whether a frame is the first of its block that is seen."""
        if last is None or last.source != frame.source or last.index >= frame.index:  # two may have one name
            return True
        return last.index // self._every != frame.index // self._every


def _carried(state: _State, frame: Frame, small: NDArray[np.uint8]) -> tuple[_Followed, ...] | None:
    """The faces of the frame before where they are now; None where that cannot be told of all of them."""
    if small.shape != state.small.shape or float(cv2.absdiff(small, state.small).mean()) > _CUT:
        return None
    moved = []
    for followed in state.faces:
        map_ = _motion(followed, frame.image)
        if map_ is None:
            return None
        face = replace(
            followed.face,
            frame=frame.id,
            time=frame.time,
            box=_moved(followed.face.box, map_),
            keypoints=None
            if followed.face.keypoints is None
            else apply(map_, followed.face.keypoints).astype(np.float32),
        )
        if not _is_within(face.box, frame.image):
            return None
        now = _followed(frame.image, face)
        if float(now.seen @ followed.seen) < _ALIKE:
            return None
        moved.append(replace(now, seen=followed.seen))
    return tuple(moved)


def _motion(followed: _Followed, image: Image) -> Affine | None:
    """How a face has moved since, in frame pixels; None where too few of its points are found again."""
    x, y, side = followed.square
    now = _cut(image, followed.square)
    points = _grid(followed, side)
    there, found, _ = cv2.calcOpticalFlowPyrLK(followed.look, now, points, None, **_FLOW)  # type: ignore[call-overload]
    back, found_back, _ = cv2.calcOpticalFlowPyrLK(now, followed.look, there, None, **_FLOW)  # type: ignore[call-overload]
    error = np.linalg.norm(back - points, axis=-1).ravel()
    kept = (found.ravel() == 1) & (found_back.ravel() == 1) & (error < _BACK_PX)
    if kept.mean() < _ENOUGH:
        return None
    similarity = fit_similarity(points.reshape(-1, 2)[kept], there.reshape(-1, 2)[kept])
    if not 1 / _MOST_SCALE < scale_of(similarity) < _MOST_SCALE:
        return None
    to_small = compose(scaling(_SIDE_PX / side, _SIDE_PX / side), translation(-x, -y))
    to_frame = compose(translation(x, y), scaling(side / _SIDE_PX, side / _SIDE_PX))
    return compose(to_frame, compose(similarity, to_small))


def _grid(followed: _Followed, side: int) -> Points:
    """(N, 1, 2) points within a face, in its small picture."""
    x, y, _ = followed.square
    x0, y0, x1, y1 = ((followed.face.box - np.array([x, y, x, y])) * (_SIDE_PX / side)).tolist()
    inset_x, inset_y = (1 - _INNER) / 2 * (x1 - x0), (1 - _INNER) / 2 * (y1 - y0)
    across = np.linspace(x0 + inset_x, x1 - inset_x, _GRID)
    down = np.linspace(y0 + inset_y, y1 - inset_y, _GRID)
    return np.stack(np.meshgrid(across, down), axis=-1).reshape(-1, 1, 2).astype(np.float32)


def _moved(box: NDArray[np.float32], map_: Affine) -> NDArray[np.float32]:
    """The box about where its centre goes, larger or smaller by the scale: boxes do not turn."""
    centre = apply(map_, ((box[:2] + box[2:])[None] / 2).astype(np.float32))[0]
    half = (box[2:] - box[:2]) / 2 * scale_of(map_)
    return np.concatenate([centre - half, centre + half]).astype(np.float32)


def _is_within(box: NDArray[np.float32], image: Image) -> bool:
    """Whether the centre of a box is in the frame."""
    height, width = image.shape[:2]
    x, y = (box[:2] + box[2:]) / 2
    return bool(0 <= x < width and 0 <= y < height)


def _followed(image: Image, face: Face) -> _Followed:
    x0, y0, x1, y1 = face.box.tolist()
    side = max(8, round(_AROUND * max(x1 - x0, y1 - y0)))
    square = (round((x0 + x1 - side) / 2), round((y0 + y1 - side) / 2), side)
    look = _cut(image, square)
    begin, end = round(_SIDE_PX * (1 - 1 / _AROUND) / 2), round(_SIDE_PX * (1 + 1 / _AROUND) / 2)
    inner = cv2.resize(look[begin:end, begin:end], (_FACE_PX, _FACE_PX), interpolation=cv2.INTER_AREA)
    values = inner.astype(np.float32).ravel()
    values -= values.mean()
    return _Followed(face=face, square=square, look=look, seen=values / max(1.0, float(np.linalg.norm(values))))


def _cut(image: Image, square: tuple[int, int, int]) -> NDArray[np.uint8]:
    """(S, S) a square of a frame, small and grey; beyond the frame it is black."""
    x, y, side = square
    height, width = image.shape[:2]
    x0, y0, x1, y1 = max(0, x), max(0, y), min(width, x + side), min(height, y + side)
    small = np.zeros((_SIDE_PX, _SIDE_PX), np.uint8)
    if x0 >= x1 or y0 >= y1:
        return small
    to = [round((edge - start) * _SIDE_PX / side) for edge, start in ((x0, x), (y0, y), (x1, x), (y1, y))]
    if to[0] >= to[2] or to[1] >= to[3]:
        return small
    inside = cv2.resize(image[y0:y1, x0:x1], (to[2] - to[0], to[3] - to[1]), interpolation=cv2.INTER_AREA)
    small[to[1] : to[3], to[0] : to[2]] = cv2.cvtColor(inside, cv2.COLOR_RGB2GRAY)
    return small


def _small(image: Image) -> NDArray[np.uint8]:
    """The frame, so small that only a change of scene changes all of it."""
    few = np.ascontiguousarray(image[::_STEP_PX, ::_STEP_PX])
    small = np.zeros((18, 32, 3), np.uint8)
    cv2.resize(few, (32, 18), dst=small, interpolation=cv2.INTER_AREA)
    return small
