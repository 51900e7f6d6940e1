import itertools
from collections.abc import Sequence

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from faceloom.faces import Face, FrameId, Sighting
from faceloom.geometry.affine import Points, apply
from faceloom.geometry.landmarks import MEAN_FACE, outer_eye_distance
from faceloom.pipeline.several import with_sighting

FACE = Face(frame=FrameId("a.jpg", 0), index=0, box=np.array([0, 0, 9, 9], np.float32), score=1.0)
STAGES = ("align/a", "align/b", "align/c")
MEAN = MEAN_FACE.astype(np.float32)


def sightings(count: int, seed: int) -> dict[str, Sighting]:
    """What aligners found, each a little beside the mean face."""
    chance = np.random.default_rng(seed)
    return {
        stage: Sighting(
            landmarks=(100 * MEAN + 300 + chance.normal(0, 5, MEAN.shape)).astype(np.float32),
            confidence=float(chance.uniform()),
        )
        for stage in STAGES[:count]
    }


def agreed(found: dict[str, Sighting], order: Sequence[str] = ()) -> Face:
    face = FACE
    for stage in order or found:
        face = with_sighting(face, found[stage], stage=stage, aligners=frozenset(found))
    return face


def points_of(face: Face) -> Points:
    assert face.landmarks is not None
    return face.landmarks


@given(st.integers(2, 3), st.integers(0, 999))
def test_landmarks_are_the_mean_bit_for_bit_whichever_aligner_was_last(count: int, seed: int) -> None:
    found = sightings(count, seed)
    faces = [agreed(found, order) for order in itertools.permutations(found)]
    expected = np.mean([one.landmarks for one in found.values()], axis=0, dtype=np.float64)
    np.testing.assert_allclose(points_of(faces[0]), expected, atol=1e-4)
    for face in faces[1:]:
        np.testing.assert_array_equal(points_of(face), points_of(faces[0]))
        assert (face.landmark_spread, face.confidence) == (faces[0].landmark_spread, faces[0].confidence)


def test_until_the_last_aligner_has_looked_a_face_has_no_landmarks_and_then_nothing_else_is_kept() -> None:
    found = sightings(2, 0)
    first, second = found
    face = with_sighting(FACE, found[first], stage=first, aligners=frozenset(found))
    assert (face.landmarks, face.confidence, face.landmark_spread) == (None, None, None)
    assert list(face.sightings) == [first]
    face = with_sighting(face, found[second], stage=second, aligners=frozenset(found))
    assert face.landmarks is not None
    assert not face.sightings


def test_the_least_confidence_counts() -> None:
    found = sightings(3, 1)
    assert agreed(found).confidence == min(one.confidence for one in found.values())


def test_the_spread_of_aligners_that_agree_is_zero() -> None:
    one = sightings(1, 0)[STAGES[0]]
    assert agreed({STAGES[0]: one, STAGES[1]: one}).landmark_spread == 0


def test_the_spread_is_the_distance_of_two_in_distances_of_the_eyes_however_large_the_face_is() -> None:
    points = 100 * MEAN
    step = 0.1 * float(outer_eye_distance(points))
    other = points + np.array([0.6, 0.8], np.float32) * step
    for scale in (1, 7):
        found = {
            stage: Sighting(landmarks=scale * landmarks, confidence=1.0)
            for stage, landmarks in zip(STAGES, (points, other), strict=False)
        }
        np.testing.assert_allclose(agreed(found).landmark_spread or 0, 0.1, rtol=1e-4)


@given(st.integers(0, 999))
def test_a_mean_in_the_chip_is_the_mean_in_the_frame(seed: int) -> None:
    found = sightings(2, seed)
    to_chip = np.array([[0.3, -0.4, 20], [0.4, 0.3, -10]])
    in_chip = {stage: Sighting(landmarks=apply(to_chip, one.landmarks), confidence=1.0) for stage, one in found.items()}
    np.testing.assert_allclose(points_of(agreed(in_chip)), apply(to_chip, points_of(agreed(found))), atol=1e-3)


def test_landmarks_that_all_coincide_have_a_spread_too() -> None:
    nowhere = Sighting(landmarks=np.zeros((68, 2), np.float32), confidence=1.0)
    face = agreed(dict.fromkeys(STAGES[:2], nowhere))
    assert face.landmark_spread == 0
