"""Aligning: faces get landmarks, and what follows from them and the patch, and whether to go on."""

import math
from collections.abc import Sequence
from dataclasses import dataclass, field, fields, replace

import numpy as np
from numpy.typing import NDArray

from faceloom.align import Aligner, Alignment, Limit
from faceloom.choices import Lighting
from faceloom.faces import Face, Sighting
from faceloom.geometry.affine import apply_each, invert, scale_of
from faceloom.geometry.boxes import Boxes
from faceloom.geometry.chips import box_to_chip, eye_angle
from faceloom.geometry.five import are_plausible, on_mean_face
from faceloom.geometry.landmarks import box_like, eye_centres
from faceloom.geometry.lighting import even
from faceloom.geometry.pose import fit_pose
from faceloom.geometry.quality import quality
from faceloom.geometry.sharpness import look_of
from faceloom.job import Outputs
from faceloom.pipeline.faces import FaceStep
from faceloom.pipeline.filters import why_rejected, with_border
from faceloom.pipeline.quality import signs_of
from faceloom.pipeline.several import with_sighting

_REACH = 0.05
"""How far squares are laid beside the first, over their sides, at most (measured, docs/accuracy.md)."""

_MOST_BESIDE, _MOST_LARGER, _MOST_TURNED_RAD = 0.1, 0.15, math.radians(8)
"""How far a square that keypoints have laid may lie beside what was found in it, over its side, be larger (a logarithm)
and be turned: beyond that another look pays (measured, docs/accuracy.md)."""
_NOWHERE = np.zeros((5, 2), np.float32)
"""Keypoints of a face that has none: no mean face lies on them."""


@dataclass(frozen=True, slots=True)
class _Squares:
    """The squares of frames that an aligner is given, one for each face."""

    boxes: Boxes
    """(N, 4) boxes in frame pixels, of which only the middles and the longer sides matter."""
    scale: float
    """The side of the square, as a multiple of the box's longer side."""
    angles: NDArray[np.float64]
    """(N,) by how many radians their upper edges are turned."""

    def beside(self, offset: NDArray[np.float64]) -> "_Squares":
        """Squares moved by shares (3,) of their sides to the right and down, and made larger by a logarithm."""
        sides = self.boxes[:, 2:] - self.boxes[:, :2]
        middles = (self.boxes[:, :2] + self.boxes[:, 2:]) / 2 + sides * offset[:2]
        halves = sides / 2 * np.exp(offset[2])
        return replace(self, boxes=np.concatenate([middles - halves, middles + halves], axis=1).astype(np.float32))

    def lie_around(self, found: Alignment) -> NDArray[np.bool_]:
        """(N,) whether each lies, stands and is as large as one would that is laid by what was found in it."""
        sides = (self.boxes[:, 2:] - self.boxes[:, :2]).max(axis=1)
        middles = np.abs(self.boxes.reshape(-1, 2, 2).mean(axis=1) - found.extent.reshape(-1, 2, 2).mean(axis=1))
        sizes = (found.extent[:, 2:] - found.extent[:, :2]).max(axis=1) / sides
        eyes = np.array([eye_angle(eyes) for eyes in eye_centres(found.landmarks)])
        turns = np.abs(np.angle(np.exp(1j * (eyes - self.angles))))
        near = middles.max(axis=1) < _MOST_BESIDE * sides
        return np.asarray(near & (np.abs(np.log(sizes)) < _MOST_LARGER) & (turns < _MOST_TURNED_RAD))

    def where(self, these: NDArray[np.bool_], others: "_Squares") -> "_Squares":
        """These squares where `these` (N,) says so, and for the faces in between the others, in order."""
        boxes, angles = self.boxes.copy(), self.angles.copy()
        boxes[~these], angles[~these] = others.boxes, others.angles
        return replace(self, boxes=boxes, angles=angles)


@dataclass(frozen=True)
class AlignStep(FaceStep):
    """Gives faces their landmarks, in one run of the network or more.

    The square of the run that counts is laid by the detector's five keypoints, or where these are not plausible, by
    what a run before it found in a square around the detector's box. Where a run shows that keypoints have laid its
    square beside the face, another follows.
    """

    plugin: Aligner
    outputs: Outputs = field(default_factory=Outputs)
    aligners: frozenset[str] = frozenset()
    """The stages of all aligners of the flow; it is alone if there are no others."""

    def learn(self, faces: Sequence[Face]) -> Sequence[Face]:
        squares, by_keypoints = self._laid(faces)
        found = self._look(faces, squares)
        squares, found = self._looked_again(faces, squares, found, by_keypoints & ~squares.lie_around(found))
        if self.plugin.realign:
            squares = self._by_landmarks(faces, found)
            found = self._look(faces, squares)
        found = self._averaged(faces, squares, found)
        sightings = [
            Sighting(
                landmarks=points,
                confidence=float(found.confidence[i]),
                irises=None if found.irises is None else found.irises[i],
                blendshapes=None if found.blendshapes is None else found.blendshapes[i],
            )
            for i, points in enumerate(found.landmarks)
        ]
        return [self._with(face, sighting) for face, sighting in zip(faces, sightings, strict=True)]

    def _with(self, face: Face, sighting: Sighting) -> Face:
        """A face with what was found of it, described once nobody else has to look."""
        if len(self.aligners) > 1:
            face = with_sighting(face, sighting, stage=self.stage, aligners=self.aligners)
        else:
            told = {field.name: getattr(sighting, field.name) for field in fields(Sighting)}
            face = replace(face, **told)
        return face if face.landmarks is None else self.describe(face)

    def describe(self, face: Face) -> Face:
        """Returns a face with what follows from its landmarks."""
        return with_border(described(face, self.plugin.filters), self.outputs)

    def _laid(self, faces: Sequence[Face]) -> tuple[_Squares, NDArray[np.bool_]]:
        """Squares that the network knows faces in, and which of them (N,) keypoints have laid."""
        plugin, none = self.plugin, np.zeros(len(faces), np.bool_)
        if plugin.second_square is None:
            return self._by_boxes(faces), none
        if plugin.five_square is None or not plugin.by_keypoints:
            return self._by_boxes_and_a_look(faces), none
        lain = on_mean_face(np.stack([_NOWHERE if face.keypoints is None else face.keypoints for face in faces]))
        squares = _Squares(plugin.five_square.around(lain), plugin.second_square.scale, lain.angles)
        plausible = are_plausible(lain, squares.boxes, np.stack([face.box for face in faces]))
        others = [face for face, sure in zip(faces, plausible.tolist(), strict=True) if not sure]
        return squares.where(plausible, self._by_boxes_and_a_look(others)) if others else squares, plausible

    def _looked_again(
        self, faces: Sequence[Face], squares: _Squares, found: Alignment, these: NDArray[np.bool_]
    ) -> tuple[_Squares, Alignment]:
        """Squares and answers, where these (N,) faces have had another look, laid by what was found of them."""
        others = [face for face, is_one in zip(faces, these.tolist(), strict=True) if is_one]
        if not others:
            return squares, found
        again = self._by_landmarks(others, _part(found, these))
        return squares.where(~these, again), _mixed(found, these, self._look(others, again))

    def _by_boxes_and_a_look(self, faces: Sequence[Face]) -> _Squares:
        return self._by_landmarks(faces, self._look(faces, self._by_boxes(faces)))

    def _by_boxes(self, faces: Sequence[Face]) -> _Squares:
        """Squares laid around the detector's boxes."""
        crop, angles = self.plugin.first_square, _turns(faces)
        boxes = crop.around(np.stack([face.box for face in faces]), angles)
        if crop.turned:
            angles = np.array(
                [
                    turn if face.keypoints is None else eye_angle(face.keypoints)
                    for face, turn in zip(faces, angles.tolist(), strict=True)
                ]
            )
        return _Squares(boxes, crop.scale, angles)

    def _by_landmarks(self, faces: Sequence[Face], found: Alignment) -> _Squares:
        """Squares laid around what a run found; for a network without a second square, as around a detector's box."""
        plugin, turns = self.plugin, _turns(faces)
        crop = plugin.second_square or plugin.first_square
        boxes = found.extent if plugin.second_square else np.stack([box_like(one) for one in found.landmarks])
        angles = np.array([eye_angle(eyes) for eyes in eye_centres(found.landmarks)]) if crop.turned else turns
        return _Squares(crop.around(boxes, turns), crop.scale, angles)

    def _averaged(self, faces: Sequence[Face], squares: _Squares, found: Alignment) -> Alignment:
        """What a run has found, or its mean with several on squares beside its own."""
        if self.plugin.refeed == 1:
            return found
        runs = [found, *(self._look(faces, squares.beside(offset)) for offset in offsets(self.plugin.refeed)[1:])]
        return Alignment(
            landmarks=_mean([one.landmarks for one in runs]),
            confidence=_mean([one.confidence for one in runs]),
            extent=found.extent,
            irises=_mean_of([one.irises for one in runs]),
            blendshapes=_mean_of([one.blendshapes for one in runs]),
        )

    def _look(self, faces: Sequence[Face], squares: _Squares) -> Alignment:
        """What the network finds in squares, in frame pixels."""
        size = self.plugin.input_size
        maps = [
            box_to_chip(box, scale=squares.scale, angle=angle, size=size)
            for box, angle in zip(squares.boxes, squares.angles.tolist(), strict=True)
        ]
        calls = (even(chips, Lighting(self.plugin.normalize)) for chips in self.calls(faces, maps, size=size))
        found = self.plugin.align_each(self.infer, calls)
        chips_to_frame = np.stack([invert(chip) for chip in maps])
        return Alignment(
            landmarks=apply_each(chips_to_frame, found.landmarks),
            confidence=found.confidence,
            extent=_turned(found.extent, chips_to_frame),
            irises=None if found.irises is None else apply_each(chips_to_frame, found.irises),
            blendshapes=found.blendshapes,
        )


def _part(found: Alignment, these: NDArray[np.bool_]) -> Alignment:
    """Of some faces."""
    return Alignment(
        landmarks=found.landmarks[these],
        confidence=found.confidence[these],
        extent=found.extent[these],
        irises=None if found.irises is None else found.irises[these],
        blendshapes=None if found.blendshapes is None else found.blendshapes[these],
    )


def _mixed(found: Alignment, these: NDArray[np.bool_], other: Alignment) -> Alignment:
    """What was found, of some faces the other."""
    landmarks, confidence, extent = found.landmarks.copy(), found.confidence.copy(), found.extent.copy()
    landmarks[these], confidence[these], extent[these] = other.landmarks, other.confidence, other.extent
    return Alignment(
        landmarks=landmarks,
        confidence=confidence,
        extent=extent,
        irises=_with_others(found.irises, these, other.irises),
        blendshapes=_with_others(found.blendshapes, these, other.blendshapes),
    )


def _with_others(
    found: NDArray[np.float32] | None, these: NDArray[np.bool_], other: NDArray[np.float32] | None
) -> NDArray[np.float32] | None:
    """What is told of each face, of these the other; None where nobody looks for it."""
    if found is None or other is None:
        return None
    mixed = found.copy()
    mixed[these] = other
    return mixed


def _mean_of(several: Sequence[NDArray[np.float32] | None]) -> NDArray[np.float32] | None:
    told = [one for one in several if one is not None]
    return _mean(told) if told else None


def _mean(several: Sequence[NDArray[np.float32]]) -> NDArray[np.float32]:
    return np.asarray(np.stack(several).mean(axis=0, dtype=np.float64), np.float32)


def offsets(count: int) -> NDArray[np.float64]:
    """(count, 3) where squares lie beside a first one, which is itself among them: right, down, logarithm of size.

    Spread evenly over a cube, in pairs that cancel out, and the same for every face: a sequence of Halton's needs no
    seed, so that nothing depends on the order of faces, nor on what an engine rounds.

    Source: Halton 1960, Numerische Mathematik 2, "On the efficiency of certain quasi-random sequences".
    """
    rows = np.zeros((count, 3))
    for i in range(1, count):
        sign = 1 if i % 2 else -1
        rows[i] = [sign * _REACH * (2 * _radical_inverse((i + 1) // 2, base) - 1) for base in (2, 3, 5)]
    return rows


def _radical_inverse(number: int, base: int) -> float:
    inverse, place = 0.0, 1.0
    while number:
        number, digit = divmod(number, base)
        place /= base
        inverse += digit * place
    return inverse


def _turns(faces: Sequence[Face]) -> NDArray[np.float64]:
    return np.radians([face.turned_deg for face in faces])


def _turned(boxes: Boxes, maps: NDArray[np.float64]) -> Boxes:
    """Boxes (N, 4) of chips as boxes of the frame: a turned box is none, its middle and sides' lengths are kept."""
    middles = apply_each(maps, boxes.reshape(-1, 2, 2).mean(axis=1, keepdims=True))[:, 0]
    scales = np.array([[scale_of(one)] for one in maps], np.float32)
    halves = (boxes[:, 2:] - boxes[:, :2]) / 2 * scales
    return np.concatenate([middles - halves, middles + halves], axis=1)


def described(face: Face, limits: Sequence[Limit]) -> Face:
    """Returns a face with its pose, sharpness and quality if it has pixels, and filters' objections; it has landmarks.

    Raises:
        DegeneratePointsError: all landmarks coincide.
    """
    landmarks, patch = face.landmarks, face.patch
    assert landmarks is not None
    face = replace(face, pose=fit_pose(landmarks))
    if patch is None:
        face = replace(face, sharpness=None, quality=None)
    else:
        look = look_of(patch.pixels, landmarks - np.array([patch.x, patch.y], np.float32))
        face = replace(face, sharpness=look.sharpness, quality=quality(signs_of(face, look)))
    objection = why_rejected(face, limits)
    return face if objection == face.rejected else replace(face, rejected=objection)
