"""Faces get landmarks, and what follows from landmarks and patch alone: pose, sharpness, and whether to go on."""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from faceloom.align import Aligner, Alignment, Limit
from faceloom.faces import Face
from faceloom.geometry.affine import apply_each, invert, scale_of
from faceloom.geometry.boxes import Boxes
from faceloom.geometry.chips import box_to_chip, eye_angle
from faceloom.geometry.landmarks import eye_centres
from faceloom.geometry.pose import fit_pose
from faceloom.geometry.sharpness import sharpness
from faceloom.run.filters import why_rejected
from faceloom.run.steps import FaceStep


@dataclass(frozen=True)
class AlignStep(FaceStep):
    """Faces get landmarks, in one look or two."""

    plugin: Aligner

    def learn(self, faces: Sequence[Face]) -> Sequence[Face]:
        first = self.plugin.first_crop
        turns = np.radians([face.turned_deg for face in faces])
        angles = [
            eye_angle(face.keypoints) if first.turned and face.keypoints is not None else turn
            for face, turn in zip(faces, turns.tolist(), strict=True)
        ]
        boxes = np.stack([face.box for face in faces])
        found = self._look(faces, first.around(boxes, turns), scale=first.scale, angles=angles)
        second = self.plugin.second_crop
        if second is not None:
            angles = [eye_angle(eyes) for eyes in eye_centres(found.landmarks)] if second.turned else turns.tolist()
            found = self._look(faces, second.around(found.extent, turns), scale=second.scale, angles=angles)
        return [
            described(replace(face, landmarks=landmarks, confidence=float(confidence)), self.plugin.filters)
            for face, landmarks, confidence in zip(faces, found.landmarks, found.confidence, strict=True)
        ]

    def _look(self, faces: Sequence[Face], boxes: Boxes, *, scale: float, angles: Sequence[float]) -> Alignment:
        """What the network finds in squares laid around boxes (N, 4), in frame pixels."""
        size = self.plugin.input_size
        maps = [box_to_chip(box, scale=scale, angle=angle, size=size) for box, angle in zip(boxes, angles, strict=True)]
        answers = [self.plugin.align(self.infer, chips) for chips in self.calls(faces, maps, size=size)]
        chips_to_frame = np.stack([invert(chip) for chip in maps])
        return Alignment(
            landmarks=apply_each(chips_to_frame, np.concatenate([answer.landmarks for answer in answers])),
            confidence=np.concatenate([answer.confidence for answer in answers]),
            extent=_turned(np.concatenate([answer.extent for answer in answers]), chips_to_frame),
        )


def _turned(boxes: Boxes, maps: NDArray[np.float64]) -> Boxes:
    """Boxes (N, 4) of chips as boxes of the frame: a turned box is none, its middle and sides' lengths are kept."""
    middles = apply_each(maps, boxes.reshape(-1, 2, 2).mean(axis=1, keepdims=True))[:, 0]
    scales = np.array([[scale_of(one)] for one in maps], np.float32)
    halves = (boxes[:, 2:] - boxes[:, :2]) / 2 * scales
    return np.concatenate([middles - halves, middles + halves], axis=1)


def described(face: Face, limits: Sequence[Limit]) -> Face:
    """A face that has landmarks, with its pose, its sharpness if it has its pixels, and what filters have against it.

    Raises:
        DegeneratePointsError: all landmarks coincide.
    """
    landmarks, patch = face.landmarks, face.patch
    assert landmarks is not None
    face = replace(face, pose=fit_pose(landmarks))
    sharp = None
    if patch is not None:
        sharp = sharpness(patch.pixels, landmarks - np.array([patch.x, patch.y], np.float32))
    return replace(face, sharpness=sharp, rejected=why_rejected(face, limits))
