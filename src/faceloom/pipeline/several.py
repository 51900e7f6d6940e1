"""Several aligners on one face: what each has found becomes one answer, and how far they are apart is told with it."""

import itertools
from collections.abc import Mapping, Set
from dataclasses import replace

import numpy as np

from faceloom.faces import Face, Sighting
from faceloom.geometry.landmarks import outer_eye_distance

_LEAST_UNIT_PX = 1e-6
"""Stands for the distance of the eyes where both are at one place."""


def with_sighting(face: Face, sighting: Sighting, *, stage: str, aligners: Set[str]) -> Face:
    """Returns a face with what one of several aligners has found; once all have, with its landmarks.

    It is the same whichever of them was last.

    Args:
        face: with what others have found before.
        sighting: what this one has found.
        stage: this one's.
        aligners: the stages of all of them.
    """
    sightings = {**face.sightings, stage: sighting}
    return replace(face, sightings=sightings) if sightings.keys() < aligners else _agreed(face, sightings)


def _agreed(face: Face, sightings: Mapping[str, Sighting]) -> Face:
    """A face with the mean of what all have found, which is the same in a chip and in its frame.

    Each counts as much as the others: no weights that were tried, of aligners or of parts of the face, are better on
    all sets (docs/accuracy.md). Of confidences the least is taken, since an aligner without one says 1.
    """
    found = [sightings[stage] for stage in sorted(sightings)]  # in any order the last bit of a sum could be another
    points = np.stack([one.landmarks for one in found]).astype(np.float64)  # (A, 68, 2)
    mean = points.mean(axis=0)
    apart = [np.linalg.norm(one - other, axis=1).mean() for one, other in itertools.combinations(points, 2)]
    return replace(
        face,
        landmarks=mean.astype(np.float32),
        irises=next((one.irises for one in found if one.irises is not None), None),
        blendshapes=next((one.blendshapes for one in found if one.blendshapes is not None), None),
        confidence=min(one.confidence for one in found),
        landmark_spread=float(np.mean(apart)) / max(float(outer_eye_distance(mean)), _LEAST_UNIT_PX),
        sightings={},
    )
