"""Whether faces stand upright in a look at a frame, and which of several looks counts."""

import math
from collections.abc import Sequence

import numpy as np

from faceloom.errors import RequestError
from faceloom.faces import Face
from faceloom.geometry.boxes import iou
from faceloom.geometry.chips import eye_angle
from faceloom.geometry.turning import steps

LEAST_STEP_DEG = 5.0
NO_DOUBT = 0.92
"""Score from which a face with level eyes stands upright: none that lay, or stood on its head, was seen upright with as
much (measured, docs/accuracy.md)."""
MOST_TILT_DEG = 45.0
"""Of a level line of eyes."""
SAME_FACE_IOU = 0.3


def parse_turns(text: str) -> tuple[float, ...]:
    """Degrees in (0, 360) by which frames are turned back: `90` for its multiples, `0,45,315` for these, in this order.

    Raises:
        RequestError: the text is neither.
    """
    try:
        numbers = [float(part) for part in text.split(",")]
    except ValueError:
        numbers = [math.nan]
    if not all(map(math.isfinite, numbers)):
        raise RequestError(f"{text!r} says no angles; write a step like 90, or angles like 0,45,315")
    if len(numbers) > 1:
        return tuple(dict.fromkeys(number % 360 for number in numbers if number % 360))
    (step,) = numbers
    if not LEAST_STEP_DEG <= step < 360:
        raise RequestError(f"frames cannot be turned by steps of {step:g} degrees; ask for {LEAST_STEP_DEG:g} to 359")
    return steps(step)


def is_beyond_doubt(faces: Sequence[Face]) -> bool:
    """Whether one of the faces of a look stands upright in it for certain."""
    return _uprightness(faces) >= NO_DOUBT


def better(faces: Sequence[Face], turned: Sequence[Face]) -> Sequence[Face]:
    """Of the faces that two looks found in one frame, those of the one that saw them upright.

    The second look has to see a face of the first one better: it is not enough that it finds another.
    """
    if not faces:
        return turned
    if _uprightness(turned) <= _uprightness(faces):
        return faces
    best = max(turned, key=_upright_score)
    overlaps = iou(best.box[None], np.stack([face.box for face in faces]))
    return turned if overlaps.max() > SAME_FACE_IOU else faces


def _uprightness(faces: Sequence[Face]) -> float:
    return max(map(_upright_score, faces), default=0.0)


def _upright_score(face: Face) -> float:
    """The score of a face that stands upright on the canvas in which it was found, as far as keypoints tell; else 0."""
    if face.keypoints is None:
        return face.score
    tilt_deg = math.degrees(eye_angle(face.keypoints)) - face.turned_deg
    return face.score if abs((tilt_deg + 180) % 360 - 180) < MOST_TILT_DEG else 0.0
