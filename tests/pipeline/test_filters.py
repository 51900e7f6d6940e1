import csv
import io
import json
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

import faceloom
from conftest import prepared
from faceloom.align import Limit
from faceloom.choices import Filter
from faceloom.cli.main import main
from faceloom.errors import RequestError
from faceloom.events import Event, Measuring
from faceloom.faces import Face, FrameId
from faceloom.formats.registry import format_named
from faceloom.geometry.boxes import iou
from faceloom.geometry.landmarks import extent
from faceloom.geometry.pose import MEAN_HEAD, fit_pose
from faceloom.mask.unet import UNet
from faceloom.models.weights import WeightCache
from faceloom.pipeline.faces import MaskStep
from faceloom.pipeline.filters import parse_filters, why_rejected
from faceloom.store.exports import export, read_lost
from ground_truth import fasseg, lfpw, menpo
from jobs import exported

ALL = parse_filters(list(Filter))


def turned(pitch: float, yaw: float, roll: float) -> NDArray[np.float64]:
    """The mean head, 80 pixels between the eyes."""
    turn = np.eye(3)
    for axis, degrees in ((0, -pitch), (1, -yaw), (2, roll)):
        turn = cv2.Rodrigues(np.radians(degrees) * np.eye(3)[axis])[0] @ turn
    return np.asarray(80 * (MEAN_HEAD @ turn.T)[:, :2] + [400, 300], np.float64)


def face(points: NDArray[np.float64], *, confidence: float = 1.0, box_scale: float = 1.0) -> Face:
    landmarks = points.astype(np.float32)
    box = extent(landmarks[None])[0]
    middle, half = (box[:2] + box[2:]) / 2, (box[2:] - box[:2]) / 2 * box_scale
    return Face(
        frame=FrameId("a", 0),
        index=0,
        box=np.concatenate([middle - half, middle + half]),
        score=1.0,
        landmarks=landmarks,
        confidence=confidence,
        pose=fit_pose(landmarks),
    )


def names(found: Face, limits: Sequence[Limit] = ALL) -> list[str]:
    """Of the filters that reject a face."""
    return [reason.partition(":")[0] for reason in (why_rejected(found, limits) or "").split("; ") if reason]


@given(st.floats(-35, 35), st.floats(-60, 60), st.floats(-50, 50))
def test_a_head_in_any_usual_pose_passes(pitch: float, yaw: float, roll: float) -> None:
    assert names(face(turned(pitch, yaw, roll))) == []


def test_each_filter_rejects_what_it_is_for() -> None:
    upright = turned(0, 0, 0)
    mixed, swapped = upright.copy(), upright.copy()
    mixed[48:68], mixed[17:27] = upright[48:68] - [0, 90], upright[17:27] - [0, -60]
    swapped[:] = upright * [-1, 1] + [800, 0]
    noisy = upright + np.random.default_rng(0).normal(0, 25, upright.shape)
    assert names(face(upright, confidence=0.2)) == ["confidence"]
    assert names(face(upright, box_scale=2.5)) == ["scale"]
    assert names(face(upright, box_scale=0.3)) == ["scale"]
    assert names(face(turned(0, 0, 130))) == ["roll"]
    assert "order" in names(face(mixed))
    assert "order" in names(face(swapped))
    assert "distance" in names(face(noisy))
    assert names(replace(face(upright), landmark_spread=0.2)) == ["spread"]
    assert names(replace(face(upright), landmark_spread=0.1)) == []


@pytest.mark.parametrize(
    ("asked", "roll", "passes"),
    [("roll", 55, True), ("roll=40", 55, False), ("roll", 65, False), ("roll=70", 65, True)],
)
def test_a_threshold_moves_its_filter_alone(asked: str, roll: float, passes: bool) -> None:
    assert (names(face(turned(0, 0, roll)), parse_filters([asked])) == []) is passes
    assert names(face(turned(0, 0, roll), confidence=0.0), parse_filters([asked])) == ([] if passes else ["roll"])


@pytest.mark.parametrize(
    "asked", ["rol", "roll=", "roll=x", "roll=0", "roll=181", "order=1", "scale=nan", "distance=inf"]
)
def test_a_filter_that_there_is_not_is_refused(asked: str) -> None:
    with pytest.raises(RequestError, match=asked.partition("=")[0]):
        parse_filters([asked])


def test_filters_without_an_aligner_are_refused(tmp_path: Path) -> None:
    with pytest.raises(RequestError, match="aligner"):
        faceloom.extract(tmp_path, tmp_path / "out", align=None, filter=["roll"])


def test_the_spread_of_one_aligner_is_refused(tmp_path: Path) -> None:
    with pytest.raises(RequestError, match="several aligners"):
        faceloom.extract(tmp_path, tmp_path / "out", align="facemesh", filter=["spread"])


def test_filters_are_no_setting_of_a_plugin(tmp_path: Path) -> None:
    with pytest.raises(RequestError, match="--filter"):
        faceloom.extract(tmp_path, tmp_path / "out", settings={"align/facemesh": {"filters": [["roll", "x"]]}})


def test_filters_are_not_measured_again(cache: WeightCache, tmp_path: Path) -> None:
    (tmp_path / "in").mkdir()
    cv2.imwrite(str(tmp_path / "in" / "grey.png"), np.full((64, 64, 3), 128, np.uint8))
    measured: list[Event] = []
    faceloom.extract(tmp_path / "in", tmp_path / "one", refeed=2)
    faceloom.extract(tmp_path / "in", tmp_path / "two", refeed=2, filter=["roll"], on_event=measured.append)
    assert not [event for event in measured if isinstance(event, Measuring)]
    faceloom.extract(tmp_path / "in", tmp_path / "three", refeed=3, filter=["roll"], on_event=measured.append)
    assert [event.stage for event in measured if isinstance(event, Measuring)] == ["align/facemesh"]


def test_a_rejected_face_costs_no_network_a_look() -> None:
    def never(_: object) -> dict[str, NDArray[np.float32]]:
        raise AssertionError

    rejected = replace(face(turned(0, 0, 0)), rejected="roll: 90")
    assert list(MaskStep("mask/unet", UNet(), never, 1).run([rejected])) == [rejected]


@pytest.fixture(scope="module")
def turned_folder(samples: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The crowd, and the portrait upright and turned by 30 degrees."""
    folder = tmp_path_factory.mktemp("filters") / "in"
    folder.mkdir()
    image = cv2.imread(str(samples / "portrait.png"))
    assert image is not None
    height, width = image.shape[:2]
    turn = cv2.getRotationMatrix2D((width / 2, height / 2), -30, 1)
    cv2.imwrite(str(folder / "turned.png"), cv2.warpAffine(image, turn, (width, height)))
    cv2.imwrite(str(folder / "upright.png"), image)
    return folder


def test_rejected_faces_are_rows_with_a_reason_and_the_others_are_as_without(
    turned_folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    faceloom.extract(turned_folder, tmp_path / "all", size=64)
    command = ["extract", str(turned_folder), "--out", str(tmp_path / "some"), "--size", "64", "--quiet"]
    assert main([*command, "--filter", "roll=20", "--filter", "order"]) == 0
    everything = list(map(json.loads, exported(tmp_path / "all").splitlines()))
    text = io.StringIO()
    export(tmp_path / "some", text, to="jsonl", frames=False, rejected=True)
    some = list(map(json.loads, text.getvalue().splitlines()))
    rejected = [line for line in some if "rejected" in line]
    assert [line["source"] for line in rejected] == ["turned.png"]
    assert rejected[0]["rejected"].startswith("roll: 3")
    assert (rejected[0]["masks"], rejected[0]["chip"]) == ({}, None)
    left_out = {"rejected", "masks", "chip"}
    assert [{k: line[k] for k in line.keys() - left_out} for line in some] == [
        {k: line[k] for k in line.keys() - left_out} for line in everything
    ]
    passed = [line for line in some if "rejected" not in line]
    assert passed == [line for line in everything if line["source"] == "upright.png"]
    assert passed == list(map(json.loads, exported(tmp_path / "some").splitlines()))
    assert sorted(path.parent.name for path in (tmp_path / "some" / "chips").rglob("*.jpg")) == ["upright.png"]
    capsys.readouterr()
    assert main(["show", str(tmp_path / "some")]) == 0
    assert "rejected  1 more faces, without chips: roll 1" in capsys.readouterr().out
    text = io.StringIO()
    export(tmp_path / "some", text, to="wider", frames=False)
    assert text.getvalue().splitlines()[:2] == ["turned.png", "0"]
    with pytest.raises(RequestError, match="rejected"):
        export(tmp_path / "some", text, to="wider", frames=False, rejected=True)
    assert "rejected faces" in read_lost(tmp_path / "some", format_named("wider"))
    text = io.StringIO()
    export(tmp_path / "some", text, to="csv", frames=False, rejected=True)
    assert [bool(row["rejected"]) for row in csv.DictReader(io.StringIO(text.getvalue()))] == [True, False]


def test_another_threshold_is_another_configuration(turned_folder: Path, tmp_path: Path) -> None:
    faceloom.extract(turned_folder, tmp_path / "out", chips=False, filter=["roll=20"])
    with pytest.raises(RequestError, match="filters"):
        faceloom.extract(turned_folder, tmp_path / "out", chips=False, filter=["roll=21"])


@pytest.mark.parametrize("align", [["facemesh"], ["facemesh", "facemesh_v2"]], ids=" ".join)
def test_default_thresholds_keep_annotated_faces(align: list[str], cache: WeightCache, shared: Path) -> None:
    for name in align:
        prepared(cache, name)
    filters = [one for one in Filter if one is not Filter.SPREAD or len(align) > 1]
    paths = [item.path for item in (*lfpw(shared), *menpo(shared))]
    truths = [extent(item.landmarks[None]) for item in (*lfpw(shared), *menpo(shared))]
    paths += [item.path for item in fasseg(shared)][:10]
    frames = faceloom.stream(paths, mask=(), detect_size=4096, align=align, filter=filters)
    for number, frame in enumerate(frames):
        boxes = np.stack([found.box for found in frame.faces])
        best = int(iou(boxes, truths[number]).argmax()) if number < len(truths) else 0
        assert frame.faces[best].rejected is None
