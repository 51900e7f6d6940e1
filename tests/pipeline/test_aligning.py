from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, ClassVar

import cv2
import numpy as np
import pytest

import faceloom
from conftest import prepared
from faceloom.align import Aligner, Alignment, Square
from faceloom.align.facemesh import FaceMesh
from faceloom.api import extract
from faceloom.choices import Border
from faceloom.engines.engine import Network
from faceloom.errors import RequestError
from faceloom.faces import Face, Image, Images
from faceloom.flow import build_flow
from faceloom.geometry.affine import Points
from faceloom.geometry.boxes import iou
from faceloom.geometry.chips import PATCH_SCALE
from faceloom.geometry.landmarks import MEAN_FACE, extent, outer_eye_distance
from faceloom.messages import Guess
from faceloom.models.weights import WeightCache
from faceloom.pipeline.aligning import AlignStep, offsets
from faceloom.pipeline.faces import cut_kept_chip, with_patches
from faceloom.stage import Stage, Tensors
from faceloom.store.reading import read_faces
from faceloom.worker.measuring import guess
from ground_truth import lfpw, menpo
from jobs import exported

Load = Callable[[str], Network]


def read(path: Path) -> Image:
    return np.asarray(cv2.imread(str(path), cv2.IMREAD_COLOR_RGB), np.uint8)


def largest(images: Sequence[Image]) -> list[Face]:
    """The largest face of each."""
    frames = faceloom.stream(images, mask=(), detect_size=4096)
    return [max(frame.faces, key=lambda face: face.box[3] - face.box[1]) for frame in frames]


@pytest.fixture(scope="module")
def pictures(shared: Path) -> list[Image]:
    return [read(item.path) for item in lfpw(shared)]


@pytest.fixture(scope="module")
def faces(pictures: list[Image]) -> list[Face]:
    return largest(pictures)


def test_a_mirrored_picture_looks_and_tilts_the_other_way(pictures: list[Image], faces: list[Face]) -> None:
    for face, mirrored in zip(faces, largest([image[:, ::-1].copy() for image in pictures]), strict=True):
        assert face.pose is not None
        assert mirrored.pose is not None
        np.testing.assert_allclose(mirrored.pose, np.multiply(face.pose, (1, -1, -1)), atol=4)


def test_a_turned_picture_adds_to_roll(pictures: list[Image], faces: list[Face]) -> None:
    turned = []
    for image in pictures:
        height, width = image.shape[:2]
        turn = cv2.getRotationMatrix2D((width / 2, height / 2), -20, 1)  # counts against the clock
        turned.append(np.asarray(cv2.warpAffine(image, turn, (width, height), borderMode=cv2.BORDER_REFLECT), np.uint8))
    for face, other in zip(faces, largest(turned), strict=True):
        assert face.pose is not None
        assert other.pose is not None
        np.testing.assert_allclose(other.pose, np.add(face.pose, (0, 0, 20)), atol=4)


def test_each_blur_of_a_picture_is_less_sharp(pictures: list[Image], faces: list[Face]) -> None:
    for strength in (1, 2, 4):
        blurs = [np.asarray(cv2.GaussianBlur(image, (0, 0), strength), np.uint8) for image in pictures]
        blurred = largest(blurs)
        assert all((one.sharpness or 0) > (other.sharpness or 0) for one, other in zip(faces, blurred, strict=True))
        faces = blurred


def test_two_aligners_see_much_the_same_pose(pictures: list[Image], faces: list[Face], network: Load) -> None:
    network("pfld")  # or the test is skipped
    frames = faceloom.stream(pictures, mask=(), detect_size=4096, align="pfld")
    others = [max(frame.faces, key=lambda face: face.box[3] - face.box[1]) for frame in frames]
    poses, other_poses = (np.array([one.pose for one in found]) for found in (faces, others))
    assert (np.abs(poses - other_poses).mean(axis=0) < [6, 4, 2]).all()


def test_a_face_without_landmarks_has_neither(pictures: list[Image]) -> None:
    (frame,) = faceloom.stream(pictures[:1], align=None)
    assert frame.faces
    assert all(face.pose is None and face.sharpness is None for face in frame.faces)


@dataclass(frozen=True, kw_only=True)
class Dots(Aligner):
    """Says that the landmarks lie at the same places of every chip, whatever it shows."""

    weights = FaceMesh.weights
    input_size = 64
    first_square = Square(scale=1.5, turned=True)
    second_square: ClassVar[Square | None] = None

    def prepare(self, images: Images) -> Tensors:
        return {"count": np.array(len(images))}

    def decode(self, outputs: Tensors) -> Alignment:
        points = np.repeat((20 * MEAN_FACE + 31.5).astype(np.float32)[None], int(outputs["count"]), axis=0)
        return Alignment(landmarks=points, confidence=np.ones(len(points), np.float32), extent=extent(points))


@dataclass(frozen=True, kw_only=True)
class DotsTwice(Dots):
    """The same, in two looks."""

    second_square = Square(scale=1.3, turned=True)


OPTIONS: list[dict[str, Any]] = [
    {},
    {"refeed": 4},
    {"realign": True},
    {"normalize": "clahe"},
    {"realign": True, "refeed": 3, "normalize": "hist"},
    {"two_looks": True},
]


@pytest.mark.parametrize("options", OPTIONS)
@pytest.mark.parametrize("plugin", [Dots, DotsTwice])
def test_a_face_costs_as_many_looks_as_are_stated(
    plugin: type[Dots], options: dict[str, Any], faces: list[Face]
) -> None:
    asked: list[int] = []

    def count(inputs: Tensors) -> Tensors:
        asked.append(int(inputs["count"]))
        return inputs

    aligner = plugin(**options)
    AlignStep("align/dots", aligner, count, 2).run(faces)
    assert sum(asked) == aligner.looks * len(faces)
    assert max(asked) == 2


@pytest.mark.parametrize("options", OPTIONS)
def test_a_face_whose_keypoints_are_right_costs_as_many_looks_as_are_stated(
    options: dict[str, Any], faces: list[Face], network: Load
) -> None:
    asked: list[int] = []
    mesh = network("facemesh")

    def count(inputs: Tensors) -> Tensors:
        asked.append(len(inputs["input_1"]))
        return mesh(inputs)

    aligner = FaceMesh(**options)
    AlignStep("align/facemesh", aligner, count, 2).run(faces)
    assert sum(asked) == aligner.looks * len(faces)


def test_a_face_that_leans_more_than_its_keypoints_is_looked_at_again(pictures: list[Image], network: Load) -> None:
    """Detectors say of faces that lean that they stand: landmarks are those of two looks then, or nearly so."""
    step, twice = (
        AlignStep("align/facemesh", FaceMesh(two_looks=two), network("facemesh"), 2) for two in (False, True)
    )
    for image in pictures:
        height, width = image.shape[:2]
        turn = cv2.getRotationMatrix2D((width / 2, height / 2), -30, 1)
        (face,) = largest([np.asarray(cv2.warpAffine(image, turn, (width, height)), np.uint8)])
        assert face.keypoints is not None
        upright = replace(face, keypoints=_stood_up(face.keypoints))
        (one,), (other,) = step.run([upright]), twice.run([face])
        assert one.pose is not None
        assert other.pose is not None
        assert abs(one.pose.roll - other.pose.roll) < 6


def _stood_up(keypoints: Points) -> Points:
    """Turned by 30 degrees against the clock around their middle."""
    middle = keypoints.mean(axis=0)
    cos, sin = np.cos(np.pi / 6), np.sin(np.pi / 6)
    return np.asarray((keypoints - middle) @ np.array([[cos, -sin], [sin, cos]]) + middle, np.float32)


def test_faces_without_plausible_keypoints_are_looked_at_twice(faces: list[Face], network: Load) -> None:
    """Alone or between others, their landmarks are those of a network that knows no five keypoints."""
    by_five, by_looks = (
        AlignStep("align/facemesh", FaceMesh(two_looks=twice), network("facemesh"), 2) for twice in (False, True)
    )
    sure, unsure, odd, flat, away = faces[0], *(replace(face) for face in (faces[1], faces[2], faces[3], faces[4]))
    unsure = replace(unsure, keypoints=None)
    odd = replace(odd, keypoints=odd.keypoints[[2, 3, 0, 4, 1]])  # type: ignore[index]
    flat = replace(flat, keypoints=np.repeat(flat.box[None, :2], 5, axis=0))
    away = replace(away, keypoints=away.keypoints + 2 * (away.box[2] - away.box[0]))
    found = by_five.run([unsure, odd, sure, flat, away])
    twice = by_looks.run([unsure, odd, sure, flat, away])
    same = [np.array_equal(one.landmarks, other.landmarks) for one, other in zip(found, twice, strict=True)]  # type: ignore[arg-type]
    assert same == [True, True, False, True, True]


def test_an_average_over_pairs_of_squares_lies_where_the_first_one_does(faces: list[Face]) -> None:
    """The network sees nothing, so its landmarks are the squares; these are laid to an eighth of a pixel."""
    one, many = (AlignStep("align/dots", Dots(refeed=n), lambda t: t, 2).run(faces) for n in (1, 9))
    for first, averaged in zip(one, many, strict=True):
        assert first.landmarks is not None
        assert averaged.landmarks is not None
        side = float((first.box[2:] - first.box[:2]).max())
        apart = (first.landmarks - averaged.landmarks).mean(axis=0)
        assert np.abs(apart).max() < 0.2 + 0.002 * side  # sizes cancel out as logarithms, nearly


def test_squares_lie_evenly_around_the_first() -> None:
    rows = offsets(32)
    assert not rows[0].any()
    np.testing.assert_array_equal(rows[:9], offsets(9))
    np.testing.assert_allclose(rows[1:31:2] + rows[2:32:2], 0, atol=1e-12)
    assert len(np.unique(rows, axis=0)) == 32
    assert 0.04 < np.abs(rows).max() <= 0.05


@pytest.mark.parametrize("options", OPTIONS)
def test_landmarks_do_not_depend_on_batch_or_order(options: dict[str, Any], faces: list[Face], network: Load) -> None:
    aligner = FaceMesh(**options)
    infer = network("facemesh")
    together = AlignStep("align/facemesh", aligner, infer, 3).run(faces)
    alone = [AlignStep("align/facemesh", aligner, infer, 1).run([face])[0] for face in reversed(faces)][::-1]
    for one, other in zip(together, alone, strict=True):
        np.testing.assert_array_equal(one.landmarks, other.landmarks)
        assert (one.pose, one.sharpness, one.confidence) == (other.pose, other.sharpness, other.confidence)


@pytest.fixture(scope="module")
def annotated(shared: Path) -> tuple[list[Face], Points]:
    """Faces as detected, and their landmarks (N, 68, 2) by hand."""
    truths = [*lfpw(shared), *menpo(shared)]
    frames = faceloom.stream([truth.path for truth in truths], align=None, detect_size=4096)
    found = [
        max(frame.faces, key=lambda face: float(iou(face.box[None], extent(truth.landmarks[None]))[0, 0]))
        for frame, truth in zip(frames, truths, strict=True)
    ]
    return found, np.array([truth.landmarks for truth in truths])


def apart(points: Points, others: Points) -> float:
    """Mean distance of landmarks (N, 68, 2), over the distance of the others' outer corners of the eyes."""
    return float((np.linalg.norm(points - others, axis=2) / outer_eye_distance(others)[:, None]).mean())


def landmarks_of(faces: Sequence[Face]) -> Points:
    return np.array([face.landmarks for face in faces])


def test_refeed_and_realign_are_as_right_and_move_less_with_the_detection(
    annotated: tuple[list[Face], Points], network: Load
) -> None:
    found, true = annotated
    shifts = [np.float32(0.1) * (face.box[2] - face.box[0]) for face in found]
    off = [
        replace(face, box=face.box + shift, keypoints=face.keypoints + shift)
        for face, shift in zip(found, shifts, strict=True)
    ]
    errors, moves = [], []
    for options in ({}, {"refeed": 5}, {"realign": True}):
        step = AlignStep("align/facemesh", FaceMesh(**options), network("facemesh"), 1)
        points, moved = (landmarks_of(step.run(some)) for some in (found, off))
        errors.append(apart(points, true))
        moves.append(apart(moved, points))
    assert max(errors) < errors[0] + 0.003
    assert max(moves[1:]) < 0.9 * moves[0]


def test_one_look_by_keypoints_is_as_right_as_two_by_the_box(
    annotated: tuple[list[Face], Points], network: Load
) -> None:
    found, true = annotated
    steps = [AlignStep("align/facemesh", FaceMesh(two_looks=twice), network("facemesh"), 1) for twice in (False, True)]
    one, two = (apart(landmarks_of(step.run(found)), true) for step in steps)
    assert one < two + 0.003


def test_a_dark_picture_is_aligned_more_like_a_light_one_if_made_even(
    pictures: list[Image], faces: list[Face], network: Load
) -> None:
    dark = [
        with_patches([replace(face, patch=None)], np.asarray(image // 8, np.uint8), scale=PATCH_SCALE)[0]
        for face, image in zip(faces, pictures, strict=True)
    ]
    light = np.array([face.landmarks for face in faces])
    apart = []
    for normalize in ("none", "hist", "mean"):
        step = AlignStep("align/facemesh", FaceMesh(normalize=normalize), network("facemesh"), 1)
        apart.append(np.abs(np.array([face.landmarks for face in step.run(dark)]) - light).mean())
    assert max(apart[1:]) < apart[0]


def test_what_is_kept_is_as_it_was_whatever_the_aligner_sees(shared: Path, tmp_path: Path) -> None:
    path = lfpw(shared)[0].path
    extract(path, tmp_path / "out", normalize="hist", format="png", size=96, mask=(), detect_size=4096)
    image = read(path)
    rows = [row for row, _ in read_faces(tmp_path / "out")]
    assert rows
    for row in rows:
        assert row.frame_to_chip is not None
        face = Face(frame=row.frame, index=row.index, box=row.box, score=row.score)
        (cut_from,) = with_patches([face], image, scale=PATCH_SCALE)
        expected = cut_kept_chip(cut_from, row.frame_to_chip, size=96, border=Border.BLACK)
        np.testing.assert_array_equal(read(tmp_path / "out" / str(row.chip)), expected)


def test_results_do_not_depend_on_the_plan(samples: Path, tmp_path: Path) -> None:
    front = tmp_path / "front.png"
    cv2.imwrite(str(front), read(samples / "crowd.jpg")[400:, :800, ::-1])
    options: dict[str, Any] = {"refeed": 3, "realign": True, "normalize": "clahe", "filter": ["confidence"], "size": 64}
    extract(front, tmp_path / "one", threads=1, **options)
    extract(front, tmp_path / "two", threads=2, **options)
    assert exported(tmp_path / "one") == exported(tmp_path / "two")
    extract(front, tmp_path / "plain", size=64)
    assert exported(tmp_path / "plain") != exported(tmp_path / "one")


def test_what_was_not_asked_for_is_no_part_of_the_configuration() -> None:
    """So that folders of versions that did not have it are gone on with."""
    names = ["detect/yunet", "align/facemesh"]
    assert set(build_flow(names).describe()["align/facemesh"]) == {"weights"}
    chosen = build_flow(names, {"align/facemesh": {"refeed": 3, "realign": False}}).describe()["align/facemesh"]
    assert set(chosen) == {"weights", "refeed"}


@pytest.mark.parametrize(
    ("options", "why"),
    [
        ({"refeed": 0}, "1 to 32"),
        ({"refeed": 33}, "1 to 32"),
        ({"normalize": "bright"}, "clahe"),
        ({"align": None, "refeed": 2}, "aligner"),
        ({"align": None, "normalize": "hist"}, "aligner"),
    ],
)
def test_what_cannot_be_is_refused(options: dict[str, Any], why: str, tmp_path: Path) -> None:
    with pytest.raises(RequestError, match=why):
        extract(tmp_path, tmp_path / "out", **options)


def test_a_guess_counts_every_look(cache: WeightCache) -> None:
    weights = prepared(cache, "facemesh")
    seconds = [
        guess(Guess(stage=Stage(name="align/facemesh", plugin=plugin), weights=weights, frame_shape=(0, 0))).batch_s[1]
        for plugin in (FaceMesh(), FaceMesh(refeed=5, realign=True))
    ]
    assert seconds[1] == pytest.approx(6 * seconds[0])
