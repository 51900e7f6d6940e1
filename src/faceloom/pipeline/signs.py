"""Signs of faces that are not upright: with them few frames are looked at turned, and of most only the faces in doubt.

A face whose eyes are level and whose score is high stands upright for certain. Any other is looked at alone, upright
and turned, on canvases so small that it costs next to nothing: a detector sees a face best as it stands. Where that, or
a look at half the size at frames in which nobody stands upright, shows a face that is turned, the frame is looked at
turned by that much. What is found in a frame depends on that frame alone.
"""

from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

import numpy as np

from faceloom.canvases import ALONE_SCALE, alone, screening
from faceloom.faces import Face, Image
from faceloom.frame import Frame
from faceloom.geometry.boxes import iou
from faceloom.geometry.chips import patch_bounds
from faceloom.pipeline.looking import Looker, Sight, look
from faceloom.pipeline.uprightness import (
    NO_DOUBT,
    SAME_FACE_IOU,
    better,
    is_beyond_doubt,
    is_level,
    upright_score,
    uprightness,
)

SURE = 0.7
"""Score from which a face that is looked at alone stands as it was seen best (measured, docs/accuracy.md)."""


@dataclass(frozen=True, slots=True)
class _Stance:
    """How a face stands."""

    turned_deg: float
    is_sure: bool

    @property
    def is_upright(self) -> bool:
        return self.is_sure and not self.turned_deg

    @property
    def is_turned(self) -> bool:
        return self.is_sure and bool(self.turned_deg)


_UPRIGHT = _Stance(0.0, True)


def by_signs(looker: Looker, frames: Sequence[Frame]) -> list[Sequence[Face]]:
    """The faces of frames, which are looked at turned as far as there are signs that a face is."""
    found = looker.faces(frames)
    stances = _stances(looker, frames, found)
    found = _turned_alone(looker, frames, found, stances)
    rest = [i for i, some in enumerate(stances) if not any(stance.is_upright for stance in some)]
    turned = {i: _most_telling(found[i], stances[i]) for i in rest}
    found = _turned_whole(looker, frames, found, {i: degrees for i, degrees in turned.items() if degrees})
    rest = [i for i in rest if not any(face.turned_deg for face in found[i])]
    screened = dict(zip(rest, _screened(looker, [frames[i] for i in rest]), strict=True))
    return _turned_whole(looker, frames, found, {i: degrees for i, degrees in screened.items() if degrees})


def _stances(looker: Looker, frames: Sequence[Frame], found: Sequence[Sequence[Face]]) -> list[list[_Stance]]:
    """How each face of each frame stands."""
    in_doubt = [(i, face) for i, faces in enumerate(found) for face in faces if upright_score(face) < NO_DOUBT]
    told = iter(_told_alone(looker, [(frames[i].image, face) for i, face in in_doubt]))
    return [[next(told) if upright_score(face) < NO_DOUBT else _UPRIGHT for face in faces] for faces in found]


def _told_alone(looker: Looker, faces: Sequence[tuple[Image, Face]]) -> list[_Stance]:
    """How faces stand, each with its frame's pixels, by looks at each alone, upright and turned."""
    plugin = alone(looker.plugin)
    turns = (0.0, *looker.plugin.turns)
    squares = [
        patch_bounds(face.box, height=len(image), width=image.shape[1], scale=ALONE_SCALE) for image, face in faces
    ]
    views = [image[y0:y1, x0:x1] for (image, _), (x0, y0, x1, y1) in zip(faces, squares, strict=True)]
    scores = np.zeros((len(turns), len(faces)))
    for row, turned_deg in zip(scores, turns, strict=True):
        sights = look(plugin, looker.infer, views, turned_deg=turned_deg, batch=looker.batch)
        row[:] = [
            _score_of(face, sight, x=x0, y=y0)
            for (_, face), sight, (x0, y0, _, _) in zip(faces, sights, squares, strict=True)
        ]
    best, most = scores.argmax(axis=0).tolist(), scores.max(axis=0).tolist()
    return [_Stance(turns[which], score >= SURE) for which, score in zip(best, most, strict=True)]


def _score_of(face: Face, sight: Sight, *, x: int, y: int) -> float:
    """The score with which a face is seen upright in the pixels that begin at a place of its frame; 0 if it is not."""
    boxes, keypoints = sight.in_frame(np.arange(len(sight.candidates.scores)))
    same = iou(boxes + np.array([x, y, x, y], np.float32), face.box[None])[:, 0] > SAME_FACE_IOU
    scores = (
        float(sight.candidates.scores[i])
        for i in np.nonzero(same)[0]
        if keypoints is None or is_level(keypoints[i], turned_deg=sight.turned_deg)
    )
    return max(scores, default=0.0)


def _most_telling(faces: Sequence[Face], stances: Sequence[_Stance]) -> float:
    """By how much the face with the best score among those that are turned is; 0 if none is."""
    return next((stance.turned_deg for stance in stances if stance.is_turned), 0.0)


def _by_angle(turned: dict[int, float]) -> Iterator[tuple[float, list[int]]]:
    groups = defaultdict(list)
    for i, degrees in turned.items():
        groups[degrees].append(i)
    yield from sorted(groups.items())


def _turned_whole(
    looker: Looker, frames: Sequence[Frame], found: Sequence[Sequence[Face]], turned: dict[int, float]
) -> list[Sequence[Face]]:
    """The faces of frames in which none is known to stand upright, of which some are looked at turned by angles.

    What that finds takes the place of all.
    """
    answers = list(found)
    for degrees, group in _by_angle(turned):
        for i, seen_now in zip(group, looker.faces([frames[i] for i in group], turned_deg=degrees), strict=True):
            answers[i] = seen_now if is_beyond_doubt(seen_now) else better(found[i], seen_now)
    return answers


def _turned_alone(
    looker: Looker,
    frames: Sequence[Frame],
    found: Sequence[Sequence[Face]],
    stances: Sequence[Sequence[_Stance]],
) -> list[Sequence[Face]]:
    """The faces of frames; where some stand and some do not, the latter as they are seen turned."""
    answers = list(found)
    mixed = [i for i, some in enumerate(stances) if any(stance.is_upright for stance in some)]
    for degrees in looker.plugin.turns:
        lying = {
            i: [face for face, stance in zip(found[i], stances[i], strict=True) if stance == _Stance(degrees, True)]
            for i in mixed
        }
        group = [i for i in mixed if lying[i]]
        for i, seen_now in zip(group, looker.faces([frames[i] for i in group], turned_deg=degrees), strict=True):
            answers[i] = _replaced(answers[i], lying[i], seen_now)
    return answers


def _replaced(faces: Sequence[Face], lying: Sequence[Face], turned: Sequence[Face]) -> Sequence[Face]:
    """The faces of a frame with what a turned look sees better of those that lie, best score first."""
    answers = list(faces)
    for face in lying:
        same = [other for other in turned if iou(other.box[None], face.box[None])[0, 0] > SAME_FACE_IOU]
        best = max(same, key=upright_score, default=face)
        if upright_score(best) > upright_score(face) and face in answers and best not in answers:
            answers[answers.index(face)] = best
    answers.sort(key=lambda face: -face.score)
    return [replace(face, index=i) if face.index != i else face for i, face in enumerate(answers)]


def _screened(looker: Looker, frames: Sequence[Frame]) -> list[float]:
    """By how much the best of the faces that looks at half the size see upright is turned, for each frame; or 0."""
    if not frames:
        return []
    turns, small = looker.plugin.turns, replace(looker, plugin=screening(looker.plugin))
    scores = np.array([list(map(uprightness, small.faces(frames, turned_deg=degrees))) for degrees in turns])
    best, most = scores.argmax(axis=0).tolist(), scores.max(axis=0).tolist()
    return [turns[which] if score else 0.0 for which, score in zip(best, most, strict=True)]
