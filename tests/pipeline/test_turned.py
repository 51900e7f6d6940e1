"""`--rotate`: faces that lie or stand on their heads, in real pictures whose landmarks are known."""

import functools
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image as Pictures

import faceloom
from faceloom.align import Aligner, Square
from faceloom.align.facemesh import FaceMesh
from faceloom.align.pfld import Pfld
from faceloom.api import extract
from faceloom.canvases import largest_canvas, looks_a_frame, plain
from faceloom.detect.yunet import YuNet
from faceloom.engines.engine import Network
from faceloom.errors import BudgetError, RequestError
from faceloom.faces import FrameId, Image
from faceloom.frame import Frame
from faceloom.geometry.affine import Points, apply
from faceloom.geometry.boxes import iou
from faceloom.orders.flows import make_flow
from faceloom.pipeline.aligning import AlignStep
from faceloom.pipeline.detecting import DetectStep
from ground_truth import lfpw
from jobs import exported
from turned_pictures import apart, box_around, canvases_of, detected, nearest, read, turned, values

Load = Callable[[str], Network]
DETECTORS = ("yunet", "centerface")


@pytest.fixture(scope="module")
def pictures(shared: Path) -> list[Image]:
    return [read(item.path) for item in lfpw(shared)[::2]]


@pytest.fixture(scope="module")
def truths(shared: Path) -> list[Points]:
    return [item.landmarks for item in lfpw(shared)[::2]]


@pytest.fixture(scope="module")
def upright(pictures: list[Image]) -> Callable[[str, str], list[Frame]]:
    """What a detector and an aligner find in the pictures as they are."""
    return functools.cache(lambda detect, align: list(faceloom.stream(pictures, detect=detect, align=align, mask=())))


@pytest.fixture(scope="module")
def people(shared: Path) -> list[Image]:
    """Five portraits of one size."""
    paths = sorted((shared / "lfw_subset_krasserm").rglob("*.jpg"))[::20]
    return [read(path) for path in paths][:5]


@pytest.mark.parametrize("align", ["facemesh", "pfld"])
@pytest.mark.parametrize("detect", DETECTORS)
@pytest.mark.parametrize("degrees", [90, 180, 270])
def test_faces_turned_by_quarters_are_what_they_are_upright(
    detect: str,
    align: str,
    degrees: int,
    pictures: list[Image],
    truths: list[Points],
    upright: Callable[[str, str], list[Frame]],
) -> None:
    both = [turned(image, degrees) for image in pictures]
    frames = list(faceloom.stream([image for image, _ in both], detect=detect, align=align, mask=(), rotate=90))
    for frame, before, (_, around), truth in zip(frames, upright(detect, align), both, truths, strict=True):
        assert len(frame.faces) == len(before.faces)
        for face in before.faces:
            found = nearest(frame.faces, box_around(face.box, around))
            assert iou(found.box[None], box_around(face.box, around)[None])[0, 0] > 0.99
            assert found.score == pytest.approx(face.score, abs=0.01)
            assert face.keypoints is not None
            assert face.landmarks is not None
            assert found.keypoints is not None
            np.testing.assert_allclose(found.keypoints, apply(around, face.keypoints), atol=0.2)
            assert apart(found.landmarks, apply(around, face.landmarks)) < 0.3
        face = nearest(before.faces, np.concatenate([truth.min(axis=0), truth.max(axis=0)]))
        found = nearest(frame.faces, box_around(face.box, around))
        assert apart(found.landmarks, apply(around, truth)) < apart(face.landmarks, truth) + 0.1


@pytest.mark.parametrize("degrees", [90, 180, 270])
@pytest.mark.parametrize("plugin", [FaceMesh(), Pfld()])
def test_without_keypoints_the_angle_of_the_look_turns_the_crop(
    plugin: Aligner, degrees: int, pictures: list[Image], network: Load
) -> None:
    align = AlignStep("align", plugin, network(plugin.weights.name), 1)
    (upright,) = detected(YuNet(), network("yunet"), pictures[:1], batch=1)
    image, around = turned(pictures[0], degrees)
    (lying,) = detected(YuNet(turns=(90.0, 180.0, 270.0)), network("yunet"), [image], batch=1)
    (face,), (same,) = (align.run([replace(faces[0], keypoints=None)]) for faces in (upright, lying))
    assert face.landmarks is not None
    assert apart(same.landmarks, apply(around, face.landmarks)) < 0.3


@given(st.floats(20, 90), st.floats(20, 90), st.floats(-0.5, 0.5), st.sampled_from([90, 180, 270]))
def test_a_raised_crop_is_raised_towards_the_hair(width: float, height: float, raised: float, degrees: int) -> None:
    crop = Square(scale=1.0, turned=False, raised=raised)
    box = np.array([[100, 50, 100 + width, 50 + height]], np.float32)
    (above,) = crop.around(box, np.zeros(1))
    assert above[1] == pytest.approx(50 - raised * height, abs=1e-3)
    around = turned(np.zeros((300, 400, 3), np.uint8), degrees)[1]
    (lying,) = crop.around(box_around(box[0], around)[None], np.radians([float(degrees)]))
    np.testing.assert_allclose(lying, box_around(above, around), atol=1e-2)


@pytest.mark.parametrize("degrees", [45, 120, 315])
def test_faces_turned_by_exact_angles_keep_their_landmarks(
    degrees: int, pictures: list[Image], truths: list[Points]
) -> None:
    upright = faceloom.stream(pictures, mask=())
    both = [turned(image, degrees) for image in pictures]
    frames = faceloom.stream([image for image, _ in both], mask=(), rotate=f"0,{degrees}")
    for frame, before, (_, around), truth in zip(frames, upright, both, truths, strict=True):
        there = apply(around, truth)
        face = nearest(frame.faces, np.concatenate([there.min(axis=0), there.max(axis=0)]))
        stood = nearest(before.faces, np.concatenate([truth.min(axis=0), truth.max(axis=0)]))
        assert apart(face.landmarks, there) < apart(stood.landmarks, truth) + 1
        middle, expected = (box.reshape(2, 2).mean(axis=0) for box in (face.box, stood.box))
        sides, stood_sides = (sorted((box[2:] - box[:2]).tolist()) for box in (face.box, stood.box))
        assert np.linalg.norm(middle - apply(around, expected)) < 0.05 * stood_sides[1]
        assert sides == pytest.approx(stood_sides, rel=0.1)


@pytest.mark.parametrize("orientation", [3, 6, 8])
def test_turned_by_exif_is_upright_and_upright_pixels_that_exif_turns_are_not(
    orientation: int, pictures: list[Image], tmp_path: Path
) -> None:
    degrees = {3: 180, 6: 90, 8: 270}[orientation]  # by which a reader turns the pixels clockwise
    for name, image in (("undone", turned(pictures[0], -degrees)[0]), ("lying", pictures[0])):
        exif = Pictures.Exif()
        exif[0x0112] = orientation
        Pictures.fromarray(image).save(tmp_path / f"{name}.png", exif=exif)
    plain_frame, undone, lying = faceloom.stream(
        [pictures[0], tmp_path / "undone.png", tmp_path / "lying.png"], mask=(), rotate=90
    )
    (face,), (same,), (turned_face,) = plain_frame.faces, undone.faces, lying.faces
    np.testing.assert_array_equal(same.box, face.box)
    np.testing.assert_array_equal(same.landmarks, face.landmarks)
    around = turned(pictures[0], degrees)[1]
    assert face.landmarks is not None
    assert iou(turned_face.box[None], box_around(face.box, around)[None])[0, 0] > 0.99
    assert apart(turned_face.landmarks, apply(around, face.landmarks)) < 0.3


def test_upright_faces_of_a_batch_stay_as_they_are_byte_for_byte(people: list[Image], network: Load) -> None:
    nobody = np.random.default_rng(0).integers(0, 256, people[0].shape, np.uint8)
    images = [people[0], people[1], nobody, people[2]]
    plugin = YuNet()
    without = detected(plugin, network("yunet"), images, batch=4)
    with_turns = detected(replace(plugin, turns=(90.0, 180.0, 270.0, 45.0)), network("yunet"), images, batch=4)
    assert list(map(values, with_turns)) == list(map(values, without))
    assert [bool(faces) for faces in without] == [True, True, False, True]


def test_the_right_box_goes_to_the_right_frame_whatever_the_batch(people: list[Image], network: Load) -> None:
    nobody = np.full(people[0].shape, 120, np.uint8)
    images = [
        people[0],
        turned(people[1], 180)[0],
        nobody,
        turned(people[2], 270)[0],
        people[3],
        turned(people[4], 90)[0],
    ]
    plugin = YuNet(turns=(90.0, 180.0, 270.0))
    alone = detected(plugin, network("yunet"), images, batch=1)
    for batch in (2, 3, 6):
        assert list(map(values, detected(plugin, network("yunet"), images, batch=batch))) == list(map(values, alone))
    best = [faces[0].turned_deg if faces else None for faces in alone]
    assert best == [0, 180, None, 270, 0, 90]
    for i, image in ((1, people[1]), (3, people[2]), (5, people[4])):
        (upright,) = detected(YuNet(), network("yunet"), [image], batch=1)
        expected = box_around(upright[0].box, turned(image, round(alone[i][0].turned_deg))[1])
        assert iou(alone[i][0].box[None], expected[None])[0, 0] > 0.99


def test_no_call_is_larger_than_the_batch_nor_than_the_largest_canvas(people: list[Image], network: Load) -> None:
    plugin = YuNet(turns=(45.0, 90.0, 180.0, 270.0), longest_side=160)
    shapes: list[tuple[int, ...]] = []

    def infer(inputs: Any) -> Any:
        shapes.append(canvases_of(inputs))
        return network("yunet")(inputs)

    images = [np.full((rows, 200, 3), 120, np.uint8) for rows in (140, 141, 142, 150)]
    frames = [Frame(id=FrameId("batch", i), time=None, image=image) for i, image in enumerate(images)]
    assert len({DetectStep("detect/yunet", plugin, infer, 3).group(frame) for frame in frames}) == 1
    DetectStep("detect/yunet", plugin, infer, 3).run(frames)
    most = max(np.prod(largest_canvas(plugin, *image.shape[:2])) for image in images)
    assert max(shape[0] for shape in shapes) == 3
    assert max(np.prod(shape[2:]) for shape in shapes) == most
    assert {shape[2:] for shape in shapes} > {(128, 160), (160, 128)}


def test_the_largest_canvas_is_that_of_the_turn_that_makes_one() -> None:
    wide = (1080, 1920)
    assert largest_canvas(YuNet(), *wide) == (576, 1024)
    assert np.prod(largest_canvas(YuNet(turns=(90.0,)), *wide)) == 576 * 1024
    assert largest_canvas(YuNet(turns=(45.0, 90.0)), *wide) == (1024, 1024)
    assert looks_a_frame(YuNet(), *wide) == 1
    assert 1 < looks_a_frame(YuNet(turns=(90.0,)), *wide) < 2
    measured = plain(YuNet(turns=(45.0,)), (1024, 1024))
    assert largest_canvas(measured, 1024, 1024) == (1024, 1024)
    assert not measured.turns


def test_turning_stays_within_the_smallest_budget_with_the_same_faces(
    pictures: list[Image], samples: Path, tmp_path: Path
) -> None:
    media = tmp_path / "media"
    media.mkdir()
    for degrees in (0, 45, 180):
        Pictures.fromarray(turned(pictures[0], degrees)[0]).save(media / f"turned_{degrees}.png")
    (media / "portrait.png").write_bytes((samples / "portrait.png").read_bytes())
    with pytest.raises(BudgetError) as refused:
        extract(media, tmp_path / "refused", size=64, memory="150MiB", rotate="180,45")
    assert refused.value.needed_bytes is not None
    memory = refused.value.needed_bytes + (4 << 20)
    ample = extract(media, tmp_path / "ample", size=64, rotate="180,45")
    tight = extract(media, tmp_path / "tight", size=64, memory=memory, rotate="180,45")
    assert ample.failed == tight.failed == 0
    assert tight.peak_bytes <= memory
    assert exported(tmp_path / "tight") == exported(tmp_path / "ample")


def test_samples_are_the_same_with_turns_and_without(samples: Path) -> None:
    media = [samples / "crowd.jpg", samples / "portrait.png"]
    without = faceloom.stream(media, align=None)
    with_turns = faceloom.stream(media, align=None, rotate=90)
    for before, after in zip(without, with_turns, strict=True):
        assert values(before.faces) == values(after.faces)


@pytest.mark.parametrize("text", ["0", "left", "45,"])
def test_what_is_no_angle_is_refused(text: str, samples: Path, tmp_path: Path) -> None:
    with pytest.raises(RequestError):
        extract(samples / "portrait.png", tmp_path / "out", rotate=text)


def test_a_folder_of_before_there_were_turns_can_be_gone_on_with() -> None:
    assert set(make_flow({}).describe()["detect/yunet"]) == {"min_score", "max_iou", "longest_side", "weights"}
    described = make_flow({"rotate": 90}).describe()["detect/yunet"]
    assert described["turns"] == (90, 180, 270)
