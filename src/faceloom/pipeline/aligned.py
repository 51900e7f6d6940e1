"""Aligned faces: pictures that are chips already, of ours or anybody's, take the place of a detector."""

from collections.abc import Hashable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from faceloom.errors import MediaError
from faceloom.faces import Face, FrameId
from faceloom.frame import Frame
from faceloom.geometry.affine import Affine, Points, apply, compose, scaling
from faceloom.geometry.boxes import Boxes
from faceloom.geometry.chips import Framing, box_in_chip
from faceloom.geometry.landmarks import INNER, MEAN_FACE, box_like, five_keypoints
from faceloom.media.chip_files import read_chip_metadata
from faceloom.media.chunks import Span
from faceloom.media.sources import SourceKind
from faceloom.pipeline.faces import Failure, Seen, with_patches
from faceloom.pipeline.lanes import Final

_OFF = 0.02
"""By which share of a chip's side the middle of a face may be off the chip's."""


def told_by_chips(spans: Sequence[Span]) -> dict[FrameId, dict[str, Any]]:
    """What pictures say of their faces themselves, as far as they are chips of ours."""
    told: dict[FrameId, dict[str, Any]] = {}
    for span in spans:
        if span.source.kind is SourceKind.PICTURE:
            try:
                told[FrameId(span.source.name, 0)] = read_chip_metadata(span.source.path)
            except MediaError:
                continue  # any other picture
    return told


@dataclass(frozen=True, slots=True, kw_only=True)
class AlignedStep:
    """Gives each frame its one face: as its chip tells, or else where the crop has a mean face."""

    told: Mapping[FrameId, Mapping[str, Any]]
    framing: Framing
    """The square that pictures show which tell nothing."""
    gives_landmarks: bool
    """Whether faces come with landmarks, since no aligner will find them."""
    batch: int = 1
    together: int = 1
    stage: str = "patches"

    def group(self, item: Frame) -> Hashable:
        return None

    def failed(self, item: Frame, error: Exception) -> Failure:
        return Failure(frame=item.id, reason=str(error))

    def run(self, items: Sequence[Frame]) -> Sequence[Face | Final]:
        return [found for frame in items for found in self._found(frame)]

    def _found(self, frame: Frame) -> list[Face | Final]:
        height, width = frame.image.shape[:2]
        if height != width:
            raise MediaError(f"is {width} x {height} pixels, and an aligned face is a square: run without --aligned")
        face = _as_told(frame, self.told.get(frame.id, {})) or _as_usual(frame, self.framing)
        if not self.gives_landmarks:
            face = replace(face, landmarks=None)
        return [*with_patches([face], frame.image, scale=self.framing.patch_scale), Final(Seen.of(frame))]


def _as_told(frame: Frame, told: Mapping[str, Any]) -> Face | None:
    """The face that a chip tells of, in its own pixels; None if it tells of none that could be."""
    try:
        to_chip = np.asarray(_numbers(told["affine"], (2, 3)), np.float64)
        box, landmarks = _numbers(told["box"], (4,)), _numbers(told["landmarks"], (68, 2))
        score = float(told["score"])
    except (KeyError, TypeError, ValueError):
        return None
    to_chip = _resized(to_chip, landmarks, side=frame.image.shape[0])
    in_chip = apply(to_chip, landmarks)
    centre, sides = in_chip[INNER].mean(axis=0), np.ptp(in_chip, axis=0)
    is_inside = centre.min() >= 0 and centre.max() <= frame.image.shape[0] and sides.min() > 1
    if not (0 <= score <= 1 and is_inside and np.isfinite(in_chip).all()):
        return None
    face = _face(frame, box_in_chip(box, to_chip), in_chip, score=score)
    return replace(face, keypoints=five_keypoints(in_chip))


def _resized(to_chip: Affine, landmarks: Points, *, side: int) -> Affine:
    """The map to a chip that has been resized since.

    A chip is laid so that the mean of the inner landmarks is in its middle. Where it is elsewhere on the diagonal, its
    middle tells how large the chip once was; where it is anywhere else, the chip was a picture that lies as it is.
    """
    x, y = apply(to_chip, landmarks)[INNER].mean(axis=0).tolist()
    side_then = x + y + 1
    is_middle = side_then > 1 and abs(x - y) < _OFF * side_then and abs(side_then - side) > _OFF * side
    return compose(scaling(side / side_then, side / side_then), to_chip) if is_middle else to_chip


def _as_usual(frame: Frame, framing: Framing) -> Face:
    """A mean face, where a chip of this framing has it."""
    side = frame.image.shape[0]
    in_unit: Points = (MEAN_FACE * framing.eye_share).astype(np.float32)  # of an image of one pixel
    in_chip = apply(scaling(side, side), in_unit)
    return _face(frame, box_like(in_chip), in_chip, score=1.0)


def _face(frame: Frame, box: Boxes, landmarks: Points, *, score: float) -> Face:
    """The one face of a frame. Without keypoints an aligner looks for it first, in the square that the box tells."""
    return Face(frame=frame.id, index=0, box=box, score=score, time=frame.time, landmarks=landmarks)


def _numbers(value: Any, shape: tuple[int, ...]) -> Points:
    numbers = np.array(value, np.float32)
    if numbers.shape != shape or not np.isfinite(numbers).all():
        raise ValueError("not so many numbers")
    return numbers
