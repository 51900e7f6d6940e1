"""Filters: they mark faces whose landmarks cannot be those of a face, each with its reason."""

import itertools
import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace

from faceloom.align import Limit
from faceloom.choices import Filter
from faceloom.errors import RequestError
from faceloom.faces import Face
from faceloom.geometry.affine import Points, apply, fit_similarity
from faceloom.geometry.borders import made_up_share
from faceloom.geometry.chips import square_to_chip
from faceloom.geometry.landmarks import INNER, MEAN_FACE, eye_centres
from faceloom.geometry.pose import distance_to_mean_head
from faceloom.job import Outputs

DEFAULTS: Mapping[Filter, float | None] = {
    # Measured, docs/accuracy.md.
    Filter.CONFIDENCE: 0.5,
    Filter.DISTANCE: 0.12,
    Filter.SCALE: 0.5,
    Filter.ROLL: 60.0,
    Filter.ORDER: None,
    Filter.QUALITY: 0.5,
    Filter.SPREAD: 0.15,
}
_MOST = {Filter.CONFIDENCE: 1.0, Filter.QUALITY: 1.0, Filter.SCALE: 1.0, Filter.ROLL: 180.0}
_ROWS = (("brows", slice(17, 27)), ("eyes", slice(36, 48)), ("nose", slice(31, 36)), ("mouth", slice(48, 60)))
_CHIN = 8


def parse_filters(asked: Sequence[str]) -> tuple[Limit, ...]:
    """Reads filters that are given by their names, or with a threshold as in `roll=45`.

    Raises:
        RequestError: there is no such filter, or its threshold cannot be that.
    """
    chosen: dict[Filter, float | None] = {}
    for text in asked:
        name, given, threshold = text.partition("=")
        if name not in set(Filter):
            raise RequestError(f"there is no filter {name!r}; there are: {', '.join(Filter)}")
        which = Filter(name)
        chosen[which] = _threshold(which, threshold) if given else DEFAULTS[which]
    return tuple((str(which), chosen[which]) for which in Filter if which in chosen)


def _threshold(which: Filter, text: str) -> float:
    most = _MOST.get(which, math.inf)
    if DEFAULTS[which] is None:
        raise RequestError(f"the filter {which} has no threshold: ask for --filter {which}")
    try:
        threshold = float(text)
    except ValueError:
        threshold = math.nan
    if not 0 < threshold <= most or math.isinf(threshold):
        wanted = "above 0" if math.isinf(most) else f"above 0 and at most {most:g}"
        raise RequestError(f"the threshold of the filter {which} is {text!r}, but has to be a number {wanted}")
    return threshold


def with_border(face: Face, outputs: Outputs) -> Face:
    """Returns a face with the share of its chip that lies beyond the frame, and the objection to too large a one.

    Raises:
        DegeneratePointsError: all landmarks coincide.
    """
    patch = face.patch
    if patch is None:
        return face
    height, width = patch.frame_shape
    to_chip = square_to_chip(_landmarks(face), size=1, framing=outputs.framing, frame_shape=patch.frame_shape)
    share = made_up_share(to_chip, size=1, height=height, width=width)
    reason = _beyond(share, outputs.max_border)
    objections = [one for one in (face.rejected, reason) if one]
    return replace(face, made_up=share, rejected="; ".join(objections) or None)


def _beyond(share: float, most: float | None) -> str | None:
    if most is None or share <= most:
        return None
    return f"border: {share:.2f} of the chip lies beyond the frame, more than {most:g}"


def why_rejected(face: Face, limits: Sequence[Limit]) -> str | None:
    """The objections of filters to a face with landmarks and a pose; each reason begins with the filter's name."""
    reasons = ((name, _CHECKS[Filter(name)](face, limit or 0.0)) for name, limit in limits)
    return "; ".join(f"{name}: {reason}" for name, reason in reasons if reason) or None


def _against_confidence(face: Face, least: float) -> str:
    found = 1.0 if face.confidence is None else face.confidence
    return f"{found:.2f}, less than {least:g}" if found < least else ""


def _against_distance(face: Face, most: float) -> str:
    found = distance_to_mean_head(_landmarks(face))
    return f"{found:.2f}, more than {most:g}" if found > most else ""


def _against_scale(face: Face, least: float) -> str:
    points, box = _landmarks(face), face.box
    side = float(max(box[2] - box[0], box[3] - box[1]))
    found = float((points.max(axis=0) - points.min(axis=0)).max()) / max(side, 1e-6)
    if found < least:
        return f"{found:.2f} of the box, less than {least:g}"
    return f"{found:.2f} of the box, more than {1 / least:g}" if found > 1 / least else ""


def _against_roll(face: Face, most: float) -> str:
    assert face.pose is not None
    roll = face.pose.roll
    return f"{roll:.0f} degrees, beyond {most:g}" if abs(roll) > most else ""


def _against_order(face: Face, _: float) -> str:
    """What is out of order, seen in the face's own upright frame."""
    points = _landmarks(face)
    upright = apply(fit_similarity(points[INNER], MEAN_FACE[INNER]), points)
    (left_eye, _), (right_eye, _) = eye_centres(upright).tolist()
    if left_eye >= right_eye or upright[48, 0] >= upright[54, 0]:
        return "left is right of right"
    rows = [*((name, float(upright[part, 1].mean())) for name, part in _ROWS), ("chin", float(upright[_CHIN, 1]))]
    for (above, high), (below, low) in itertools.pairwise(rows):
        if high >= low:
            return f"the {below} above the {above}"
    return ""


def _against_quality(face: Face, least: float) -> str:
    found = 1.0 if face.quality is None else face.quality
    return f"{found:.2f}, less than {least:g}" if found < least else ""


def _against_spread(face: Face, most: float) -> str:
    found = 0.0 if face.landmark_spread is None else face.landmark_spread
    return f"{found:.2f}, more than {most:g}" if found > most else ""


_CHECKS: Mapping[Filter, Callable[[Face, float], str]] = {
    Filter.CONFIDENCE: _against_confidence,
    Filter.DISTANCE: _against_distance,
    Filter.SCALE: _against_scale,
    Filter.ROLL: _against_roll,
    Filter.ORDER: _against_order,
    Filter.QUALITY: _against_quality,
    Filter.SPREAD: _against_spread,
}


def _landmarks(face: Face) -> Points:
    assert face.landmarks is not None
    return face.landmarks
