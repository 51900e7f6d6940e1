"""Uprightness: whether faces stand upright in the look that found them, and what is looked at turned if none does."""

import math
from collections.abc import Sequence

import numpy as np

from faceloom.faces import Face
from faceloom.frame import Frame
from faceloom.geometry.affine import Points
from faceloom.geometry.boxes import iou
from faceloom.geometry.chips import eye_angle
from faceloom.pipeline.looking import Looker

NO_DOUBT = 0.92
"""Score from which a face with level eyes stands upright: none that lay, or stood on its head, was seen upright with as
much (measured, docs/accuracy.md)."""
MOST_TILT_DEG = 45.0
"""By how much the line of the eyes may be off level."""
SAME_FACE_IOU = 0.3


def in_every_turn(looker: Looker, frames: Sequence[Frame]) -> list[Sequence[Face]]:
    """The faces of frames, each looked at in every turn until a face stands upright for certain."""
    found: list[Sequence[Face]] = [() for _ in frames]
    for turned_deg in (0.0, *looker.plugin.turns):
        rest = [i for i, faces in enumerate(found) if not is_beyond_doubt(faces)]
        for i, seen_now in zip(rest, looker.faces([frames[i] for i in rest], turned_deg=turned_deg), strict=True):
            found[i] = better(found[i], seen_now)
    return found


def is_beyond_doubt(faces: Sequence[Face]) -> bool:
    """Whether one of the faces of a look stands upright in it for certain."""
    return uprightness(faces) >= NO_DOUBT


def better(faces: Sequence[Face], turned: Sequence[Face]) -> Sequence[Face]:
    """Of the faces that two looks found in one frame, returns those of the look that saw them upright.

    The second look has to see a face of the first one better: it is not enough that it finds another.
    """
    if not faces:
        return turned
    if uprightness(turned) <= uprightness(faces):
        return faces
    best = max(turned, key=upright_score)
    overlaps = iou(best.box[None], np.stack([face.box for face in faces]))
    return turned if overlaps.max() > SAME_FACE_IOU else faces


def uprightness(faces: Sequence[Face]) -> float:
    """The best score of a face that stands upright in the look that found it; 0 if none does."""
    return max(map(upright_score, faces), default=0.0)


def upright_score(face: Face) -> float:
    """The score of a face that stands upright on the canvas in which it was found, as far as keypoints tell; else 0."""
    return face.score if face.keypoints is None or is_level(face.keypoints, turned_deg=face.turned_deg) else 0.0


def is_level(keypoints: Points, *, turned_deg: float) -> bool:
    """Whether the eyes of a face (5, 2) lie about level once its frame is turned back."""
    tilt_deg = math.degrees(eye_angle(keypoints)) - turned_deg
    return abs((tilt_deg + 180) % 360 - 180) < MOST_TILT_DEG
