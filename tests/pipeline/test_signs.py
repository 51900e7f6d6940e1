"""`--rotate auto`: what shows signs of being turned is looked at turned, and nothing else."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image as Pictures

import faceloom
from faceloom.api import extract
from faceloom.canvases import largest_canvas, looks_a_frame, plain
from faceloom.cli.results import _told
from faceloom.detect import Detector
from faceloom.detect.centerface import CenterFace
from faceloom.detect.yunet import YuNet
from faceloom.engines.engine import Network
from faceloom.faces import FrameId, Image
from faceloom.frame import Frame
from faceloom.geometry.affine import apply
from faceloom.geometry.boxes import iou
from faceloom.orders.flows import make_flow
from faceloom.pipeline.detecting import DetectStep
from faceloom.store.summary import read_summary
from turned_pictures import apart, box_around, canvases_of, detected, nearest, read, turned, values

Load = Callable[[str], Network]
QUARTERS = (90, 180, 270)
DETECTORS = [
    YuNet(turns=(90.0, 180.0, 270.0), turns_by_signs=True),
    CenterFace(turns=(90.0, 180.0, 270.0), turns_by_signs=True),
]


@pytest.fixture(scope="module")
def portraits(shared: Path) -> list[Image]:
    return [read(path) for path in sorted((shared / "lfw_subset_krasserm").rglob("*.jpg"))[::3]]


@pytest.fixture(scope="module")
def upright(portraits: list[Image]) -> list[Frame]:
    return list(faceloom.stream(portraits, mask=()))


def test_no_upright_face_changes(portraits: list[Image], upright: list[Frame]) -> None:
    for before, after in zip(upright, faceloom.stream(portraits, mask=(), rotate="auto"), strict=True):
        assert values(before.faces) == values(after.faces)
        for face, same in zip(before.faces, after.faces, strict=True):
            np.testing.assert_array_equal(face.landmarks, same.landmarks)


@pytest.mark.parametrize("degrees", QUARTERS)
def test_portraits_that_are_turned_have_the_landmarks_of_upright_ones(
    degrees: int, portraits: list[Image], upright: list[Frame]
) -> None:
    both = [turned(image, degrees) for image in portraits]
    frames = faceloom.stream([image for image, _ in both], mask=(), rotate="auto")
    errors = []
    for frame, before, (_, around) in zip(frames, upright, both, strict=True):
        for face in before.faces:
            assert face.landmarks is not None
            truth = apply(around, face.landmarks)
            errors.append(min((apart(one.landmarks, truth) for one in frame.faces), default=100.0))
    assert np.mean(np.array(errors) < 2) >= 0.95


@pytest.mark.parametrize("plugin", DETECTORS)
@pytest.mark.parametrize("degrees", QUARTERS)
def test_beside_upright_faces_one_that_is_turned_is_looked_at_alone(
    plugin: Detector, degrees: int, portraits: list[Image], network: Load
) -> None:
    there, around = turned(portraits[1], degrees)
    infer = network(plugin.weights.name)
    without = replace(plugin, turns=(), turns_by_signs=False)
    before, stood, as_it_is = detected(
        without, infer, [np.hstack([portraits[0], there]), portraits[1], portraits[0]], batch=1
    )
    (after,) = detected(plugin, infer, [np.hstack([portraits[0], there])], batch=1)
    beside = portraits[0].shape[1]
    expected = box_around(stood[0].box, around) + np.array([beside, 0, beside, 0], np.float32)
    is_seen = any(iou(face.box[None], expected[None])[0, 0] > 0.3 for face in before)  # else there is no sign of it
    assert is_seen or isinstance(plugin, CenterFace) or degrees != 180
    if is_seen:
        found = nearest(after, expected)
        assert found.turned_deg == degrees
        assert iou(found.box[None], expected[None])[0, 0] > 0.9
    left = [face for face in before if face.box[2] < beside]
    assert as_it_is
    assert [one[:3] for one in values(left)] == [one[:3] for one in values([f for f in after if f.box[2] < beside])]


@pytest.mark.parametrize("plugin", DETECTORS)
def test_what_is_found_depends_on_the_frame_alone(plugin: Detector, portraits: list[Image], network: Load) -> None:
    nobody = np.full(portraits[0].shape, 120, np.uint8)
    turns = [turned(image, degrees)[0] for image, degrees in zip(portraits[:6], (0, 90, 180, 270, 180, 0), strict=True)]
    images = [turns[0], nobody, *turns[1:], np.ascontiguousarray(np.hstack(turns[:2])[:, :250])]
    alone = detected(plugin, network(plugin.weights.name), images, batch=1)
    for batch in (2, 3, 8):
        together = detected(plugin, network(plugin.weights.name), images, batch=batch)
        assert list(map(values, together)) == list(map(values, alone))
    assert not alone[1]


def test_no_call_is_larger_than_what_is_planned(portraits: list[Image], network: Load) -> None:
    shapes: list[tuple[int, ...]] = []

    def infer(inputs: Any) -> Any:
        shapes.append(canvases_of(inputs))
        return network("yunet")(inputs)

    plugin = replace(DETECTORS[0], longest_side=160)
    images = [portraits[0], np.zeros((20, 30, 3), np.uint8), turned(portraits[1], 90)[0], np.zeros_like(portraits[0])]
    frames = [Frame(id=FrameId("call", i), time=None, image=image) for i, image in enumerate(images)]
    DetectStep("detect/yunet", plugin, infer, 2).run(frames)
    most = max(np.prod(largest_canvas(plugin, *image.shape[:2])) for image in images)
    assert max(np.prod(shape[2:]) for shape in shapes) == most
    assert max(shape[0] for shape in shapes) <= 2


def test_looks_by_signs_are_expected_to_be_fewer_than_in_every_turn() -> None:
    every = YuNet(turns=(90.0, 180.0, 270.0))
    by_signs = replace(every, turns_by_signs=True)
    assert 1 < looks_a_frame(by_signs, 1080, 1920) < looks_a_frame(every, 1080, 1920)
    assert plain(by_signs, (576, 1024)) == plain(every, (576, 1024))
    assert make_flow({"rotate": "auto"}).describe()["detect/yunet"]["turns_by_signs"] is True
    assert "turns_by_signs" not in make_flow({"rotate": 90}).describe()["detect/yunet"]


def test_a_result_folder_tells_how_many_faces_are_turned_and_what_networks_were_given(
    portraits: list[Image], tmp_path: Path
) -> None:
    media = tmp_path / "media"
    media.mkdir()
    for name, degrees in (("stands", 0), ("lies", 90)):
        Pictures.fromarray(turned(portraits[0], degrees)[0]).save(media / f"{name}.png")
    extract(media, tmp_path / "faces", rotate="auto", size=64)
    summary = read_summary(tmp_path / "faces")
    assert summary["turned"] == 1
    looks = summary["runs"][0]["summary"]["images"]["detect/yunet"]
    assert looks > 2 * 2
    told = _told(summary, tmp_path)
    assert "turned    1 face by more than 45 degrees" in told
    assert f"detect/yunet {looks}" in told
