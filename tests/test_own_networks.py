"""Networks from a user's own files, held against the plugins that were made for the very same ones."""

import json
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import onnx
import pytest
from numpy.typing import NDArray
from onnx import TensorProto, helper, numpy_helper

from faceloom.align import Aligner
from faceloom.api import extract, stream
from faceloom.cli.main import main
from faceloom.errors import RequestError, WeightsError
from faceloom.faces import Face
from faceloom.geometry.landmarks import MEAN_FACE
from faceloom.models.catalog import CATALOG
from faceloom.models.weights import WeightCache, own_file
from faceloom.options.calls import StreamOptions
from faceloom.orders.flows import make_flow
from faceloom.stage import Tensors
from ground_truth import Landmarked, dlib_faces, landmark_error, lfpw, recall_and_precision
from jobs import exported
from onnx_files import session_of
from yolo_files import FIVE, HALF_PX, picture, yolo

LOGITS: dict[str, Any] = {"answers": "logits"}


@pytest.fixture(scope="module")
def unet(cache: WeightCache) -> Path:
    """The prepared network of `mask/unet`: RGB in 0..1, one logit a pixel."""
    try:
        return cache.prepare(CATALOG["unet"])
    except WeightsError as error:
        pytest.skip(str(error))


def faces(samples: Path, options: StreamOptions) -> tuple[Face, ...]:
    """Of the two front rows of the crowd."""
    crowd = cv2.imread(str(samples / "crowd.jpg"), cv2.IMREAD_COLOR_RGB)
    assert crowd is not None
    (frame,) = stream([np.asarray(crowd[400:], np.uint8)], **options)
    assert frame.problem is None
    return frame.faces


def test_a_mask_by_an_own_file_is_that_of_the_plugin_made_for_it(unet: Path, samples: Path) -> None:
    theirs = faces(samples, {"mask": ["unet"]})
    ours = faces(samples, {"mask": ["onnx"], "weights": {"mask/onnx": unet}, "settings": {"mask/onnx": LOGITS}})
    assert len(ours) > 5
    for face, other in zip(ours, theirs, strict=True):
        np.testing.assert_array_equal(face.masks["onnx"], other.masks["unet"])


def test_the_command_takes_options_of_plugins(unet: Path, samples: Path, tmp_path: Path) -> None:
    command = [
        sys.executable,
        "-m",
        "faceloom.cli.main",
        "extract",
        samples / "portrait.png",
        "--out",
        tmp_path / "out",
    ]
    chosen = ["--mask", "onnx", "--weights", f"mask/onnx={unet}", "--set", "mask/onnx.answers=logits", "--json"]
    done = subprocess.run([*map(str, command), *chosen], capture_output=True, text=True, check=True)
    assert json.loads(done.stdout)["faces"] == 1
    with pytest.raises(RequestError, match="logits"):
        extract(samples / "portrait.png", tmp_path / "out", mask=["onnx"], weights={"mask/onnx": unet})


def own_detector(path: Path, *, unit: str) -> Path:
    """A network that answers a box around the pixels of full red, in pixels or as a share, and its score."""
    nodes = [
        helper.make_node("Slice", ["image", "zero", "one", "axis"], ["red"]),  # (B, 1, H, W)
        helper.make_node("ReduceMax", ["red"], ["score_"], axes=[2, 3], keepdims=0),  # (B, 1)
        helper.make_node("Identity", ["score_"], ["scores"]),
        helper.make_node("ReduceMax", ["red"], ["columns"], axes=[1, 2], keepdims=0),  # (B, W)
        helper.make_node("ReduceMax", ["red"], ["rows"], axes=[1, 3], keepdims=0),  # (B, H)
    ]
    for side, letter in (("columns", "x"), ("rows", "y")):
        nodes += [
            helper.make_node("ArgMax", [side], [f"{letter}0i"], axis=1, keepdims=1),
            helper.make_node("ArgMax", [side], [f"{letter}1i"], axis=1, keepdims=1, select_last_index=1),
            helper.make_node("Cast", [f"{letter}0i"], [f"{letter}0"], to=TensorProto.FLOAT),
            helper.make_node("Cast", [f"{letter}1i"], [f"{letter}1"], to=TensorProto.FLOAT),
        ]
    nodes.append(helper.make_node("Concat", ["x0", "y0", "x1", "y1"], ["corners"], axis=1))
    if unit == "share":
        nodes += [
            helper.make_node("Shape", ["red"], ["shape"]),
            helper.make_node("Gather", ["shape", "order"], ["whole"], axis=0),
            helper.make_node("Cast", ["whole"], ["sides_now"], to=TensorProto.FLOAT),
            helper.make_node("Div", ["corners", "sides_now"], ["scaled"]),
        ]
    else:
        nodes.append(helper.make_node("Identity", ["corners"], ["scaled"]))
    nodes.append(helper.make_node("Unsqueeze", ["scaled", "axis"], ["boxes"]))
    constants = [
        helper.make_tensor(name, TensorProto.INT64, [len(values)], values)
        for name, values in (("zero", [0]), ("one", [1]), ("axis", [1]), ("order", [3, 2, 3, 2]))
    ]
    graph = helper.make_graph(
        nodes,
        "red",
        [helper.make_tensor_value_info("image", TensorProto.FLOAT, ["n", 3, "h", "w"])],
        [
            helper.make_tensor_value_info("boxes", TensorProto.FLOAT, None),
            helper.make_tensor_value_info("scores", TensorProto.FLOAT, None),
        ],
        constants,
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 13)], ir_version=8)
    path.write_bytes(model.SerializeToString())
    return path


@pytest.mark.parametrize("unit", ["px", "share"])
def test_a_detector_of_ones_own_finds_what_it_answers(unit: str, tmp_path: Path, cache: WeightCache) -> None:
    path = own_detector(tmp_path / "red.onnx", unit=unit)
    image = np.full((200, 300, 3), 40, np.uint8)
    image[50:91, 120:181, 0] = 255
    blank = np.zeros((64, 64, 3), np.uint8)
    options: StreamOptions = {
        "detect": "onnx",
        "align": None,
        "weights": {"detect/onnx": path},
        "settings": {"detect/onnx": {"scale": 1 / 255, "unit": unit}},
    }
    found, nothing = stream([image, blank], **options)
    np.testing.assert_allclose(found.faces[0].box, [120, 50, 180, 90], atol=1e-3)
    assert nothing.faces == ()


@pytest.mark.parametrize("layout", ["yolov5", "yolov8"])
def test_a_detector_of_one_canvas_sees_frames_of_any_size(layout: str, tmp_path: Path) -> None:
    path = yolo(tmp_path / "yolo.onnx", layout=layout, size=(320, 640))
    large = picture((640, 1280), [(2 * 304, 2 * 176), (2 * 80, 2 * 48)], block=64)  # half of it is the canvas
    small, blank = picture((200, 300), [(112, 80)]), np.zeros((500, 100, 3), np.uint8)
    frames = list(stream([large, small, blank], detect="onnx", align=None, weights={"detect/onnx": path}))
    assert [frame.problem for frame in frames] == [None] * 3
    found = [sorted((tuple(face.box.tolist()) for face in frame.faces), reverse=True) for frame in frames]
    assert found[0] == [pytest.approx((528.5, 272.5, 688.5, 432.5)), pytest.approx((80.5, 16.5, 240.5, 176.5))]
    assert found[1] == [pytest.approx((72, 40, 152, 120))]
    assert found[2] == []
    keypoints = frames[1].faces[0].keypoints
    assert keypoints is not None
    np.testing.assert_allclose(keypoints, FIVE + np.array([112, 80]), atol=1e-4)


def test_a_network_of_one_image_is_planned_and_run_with_one(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = yolo(tmp_path / "yolo.onnx", layout="yolov8", size=(320, 640), takes_many=False)
    for i in range(6):
        cv2.imwrite(str(tmp_path / f"{i}.png"), picture((320, 640), [(80 + 64 * i, 176)]))
    chosen = ["--detect", "onnx", "--weights", f"detect/onnx={path}", "--align", "none"]
    pictures = [str(tmp_path / f"{i}.png") for i in range(6)]
    assert batches(["plan", *pictures, "--json", *chosen], capsys) == [1]  # guessed
    assert main(["extract", *pictures, "--out", str(tmp_path / "out"), "--size", "64", "--json", *chosen]) == 0
    assert json.loads(capsys.readouterr().out)["faces"] == 6
    boxes = [json.loads(line)["box"] for line in exported(tmp_path / "out").splitlines()]
    assert [box[0] for box in boxes] == [80 + 64 * i - HALF_PX for i in range(6)]
    assert batches(["plan", *pictures, "--json", *chosen], capsys) == [1]  # measured


def batches(arguments: list[str], capsys: pytest.CaptureFixture[str]) -> list[int]:
    """Of the stages of a plan of one pass."""
    assert main(arguments) == 0
    (phase,) = json.loads(capsys.readouterr().out)["phases"]
    return [stage["batch"] for stage in phase["stages"]]


def test_a_turned_frame_lies_within_the_only_canvas(tmp_path: Path) -> None:
    path = yolo(tmp_path / "yolo.onnx", layout="yolov8", size=(320, 640))
    upright = picture((600, 300), [(112, 80)])
    (frame,) = stream([upright], detect="onnx", align=None, rotate="90", weights={"detect/onnx": path}, min_score=0.4)
    assert frame.problem is None


def test_tiles_that_do_not_lie_within_the_only_canvas_are_refused(tmp_path: Path) -> None:
    path = yolo(tmp_path / "yolo.onnx", layout="yolov8", size=(320, 640))
    options: StreamOptions = {"detect": "onnx", "align": None, "tiles": 320, "weights": {"detect/onnx": path}}
    with pytest.raises(RequestError, match="at most 320"):
        make_flow({**options, "tiles": 512})
    # In the middle of a tile each, and too small in the frame as a whole.
    image = picture((1280, 1280), [(x, y) for x in (352, 832) for y in (352, 1072)])
    (frame,) = stream([image], **options)
    assert len(frame.faces) == 4


def test_a_network_that_answers_something_else_is_refused_with_what_it_answers(shared: Path) -> None:
    yunet = shared.parent / "weights/yunet_n_dynamic.onnx"
    with pytest.raises(WeightsError, match=r"cls_8 .*of no known layout.*for detect/yunet"):
        make_flow({"detect": "onnx", "weights": {"detect/onnx": yunet}})
    with pytest.raises(WeightsError, match="12 outputs, not one"):
        make_flow({"mask": ["onnx"], "weights": {"mask/onnx": yunet}})
    with pytest.raises(WeightsError, match=r"0 of these hold points, 5, 68, 98, 106, 468, 478 of them"):
        make_flow({"align": "onnx", "weights": {"align/onnx": yunet}})


REAL = {
    "scrfd_2.5g_kps": (1.0, 0.955),
    "scrfd_500m_bnkps": (1.0, 0.977),
    "retinaface_mbnet0.25": (1.0, 0.977),
    "ultraface_rfb_640": (1.0, 0.977),
}
"""Recall and precision that are asked at an IoU of 0.5, of the order of YuNet's .977/.955 and CenterFace's 1/.977."""


@pytest.mark.parametrize("name", REAL)
def test_an_own_detector_finds_the_faces_that_people_marked(name: str, shared: Path) -> None:
    marked = dlib_faces(shared)
    weights = {"detect/onnx": shared.parent / f"weights/{name}.onnx"}
    frames = list(stream([path for path, _ in marked], detect="onnx", align=None, weights=weights))
    assert [frame.problem for frame in frames] == [None] * len(marked)
    found = [[face.box for face in frame.faces] for frame in frames]
    recall, precision = REAL[name]
    assert recall_and_precision(found, [boxes for _, boxes in marked]) >= (recall, precision)


@pytest.mark.parametrize("name", ["scrfd_2.5g_kps", "scrfd_500m_bnkps", "retinaface_mbnet0.25"])
def test_keypoints_of_own_detectors_lie_where_yunets_lie(name: str, shared: Path) -> None:
    paths = [path for path, _ in dlib_faces(shared)]
    weights = {"detect/onnx": shared.parent / f"weights/{name}.onnx"}
    known = stream(paths, detect="yunet", align=None)
    own = stream(paths, detect="onnx", align=None, weights=weights)
    apart = [
        keypoints_apart(face, min(others.faces, key=lambda other: np.abs(other.box - face.box).max()))
        for frame, others in zip(known, own, strict=True)
        for face in frame.faces
    ]
    assert np.median(apart) < 0.07  # 0.052 for each of the three; a wrong order, or a wrong unit, is beyond 0.3


def keypoints_apart(face: Face, other: Face) -> float:
    """Mean distance over the width of the box."""
    assert face.keypoints is not None
    assert other.keypoints is not None
    return float(np.linalg.norm(face.keypoints - other.keypoints, axis=1).mean() / (face.box[2] - face.box[0]))


PFLD = {"order": "bgr", "second_scale": 1.15}
"""What `align/pfld` says of the same network."""


def landmarked(pictures: Sequence[Landmarked], options: StreamOptions) -> list[Face]:
    frames = stream([item.path for item in pictures], **options)
    return [face for frame in frames for face in frame.faces]


def same_landmarks(ours: Sequence[Face], theirs: Sequence[Face]) -> None:
    """To a thousandth of a pixel, which is what exports keep."""
    assert len(ours) == len(theirs) > 3
    for face, other in zip(ours, theirs, strict=True):
        assert face.landmarks is not None
        assert other.landmarks is not None
        assert np.abs(face.landmarks - other.landmarks).max() < 1e-3
        assert face.confidence == pytest.approx(other.confidence, abs=1e-5)


def test_an_own_aligner_of_98_points_finds_what_the_plugin_for_it_finds(shared: Path) -> None:
    pictures = lfpw(shared)
    path = shared.parent / "weights/PFLD_GhostOne_112_1_opt_sim.onnx"
    options: StreamOptions = {"align": "onnx", "weights": {"align/onnx": path}, "settings": {"align/onnx": PFLD}}
    same_landmarks(landmarked(pictures, options), landmarked(pictures, {"align": "pfld"}))


def test_an_own_aligner_is_good_without_any_setting(shared: Path) -> None:
    path = shared.parent / "weights/PFLD_GhostOne_112_1_opt_sim.onnx"
    error = landmark_error(lfpw(shared), align="onnx", weights={"align/onnx": path})
    assert error < 5  # as with RGB and one look in docs/accuracy.md, 4.4 to 4.8 %


@pytest.mark.parametrize("is_prepared", [True, False], ids=["onnx", "tflite"])
def test_an_own_face_mesh_finds_what_the_plugin_for_it_finds(
    shared: Path, cache: WeightCache, *, is_prepared: bool
) -> None:
    try:
        path = cache.prepare(CATALOG["facemesh"]) if is_prepared else cache.pull(CATALOG["facemesh"])
    except WeightsError as error:
        pytest.skip(str(error))
    options: StreamOptions = {"align": "onnx", "weights": {"align/onnx": path}}
    theirs: StreamOptions = {"align": "facemesh", "settings": {"align/facemesh": {"two_looks": True}}}
    same_landmarks(landmarked(lfpw(shared), options), landmarked(lfpw(shared), theirs))


def own_aligner(path: Path, points: NDArray[np.float32], shape: Sequence[int]) -> Path:
    """A network that answers the same points to every chip."""
    nodes = [
        helper.make_node("ReduceMean", ["image"], ["mean"], axes=[1, 2, 3], keepdims=0),
        helper.make_node("Mul", ["mean", "nothing"], ["zero"]),
        helper.make_node("Reshape", ["zero", "column"], ["zeros"]),
        helper.make_node("Add", ["zeros", "points"], ["row"]),
        helper.make_node("Reshape", ["row", "shape"], ["answer"]),
    ]
    constants = {
        "nothing": np.zeros(1, np.float32),
        "column": np.array([-1, 1]),
        "points": points.reshape(1, -1),
        "shape": np.array([-1, *shape]),
    }
    graph = helper.make_graph(
        nodes,
        "points",
        [helper.make_tensor_value_info("image", TensorProto.FLOAT, ["n", 3, 96, 96])],
        [helper.make_tensor_value_info("answer", TensorProto.FLOAT, None)],
        [numpy_helper.from_array(value, name) for name, value in constants.items()],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 13)], ir_version=8)
    path.write_bytes(model.SerializeToString())
    return path


@pytest.mark.parametrize("unit", ["share", "px", "centred"])
@pytest.mark.parametrize("shape", [(68, 2), (136,), (68, 3), (204,)])
def test_an_own_aligner_may_answer_in_any_unit_and_shape(
    unit: str, shape: tuple[int, ...], tmp_path: Path, cache: WeightCache
) -> None:
    pixels = (MEAN_FACE * 20 + 48).astype(np.float32)
    side, first = {"share": (96, 0), "px": (1, 0), "centred": (48, 1)}[unit]
    told = (pixels / side - first).astype(np.float32)
    if np.prod(shape) == 3 * 68:
        told = np.hstack([told, np.full((68, 1), 5, np.float32)])
    path = own_aligner(tmp_path / "points.onnx", told, shape)
    options: StreamOptions = {
        "align": "onnx",
        "weights": {"align/onnx": path},
        "settings": {"align/onnx": {"unit": unit}},
    }
    plugin = make_flow(options).stages[1].plugin
    assert isinstance(plugin, Aligner)
    session = session_of(onnx.load(str(cache.prepare(own_file(path, plugin.weights)))))

    def infer(inputs: Tensors) -> Tensors:
        names = [output.name for output in session.get_outputs()]
        return dict(zip(names, session.run(names, dict(inputs)), strict=True))

    found = plugin.align(infer, np.zeros((3, 96, 96, 3), np.uint8))
    np.testing.assert_allclose(found.landmarks, np.stack([pixels] * 3), atol=1e-4)


@pytest.mark.parametrize(
    ("settings", "wrong"),
    [
        ({"scheme": "wflw"}, "98 points, and there are 68"),
        ({"scheme": "menpo"}, "scheme"),
        ({"unit": "inches"}, "unit"),
        ({"order": "grb"}, "order"),
        ({"mean": [1.0]}, "three numbers"),
    ],
)
def test_settings_that_fit_no_network_of_points_are_refused(
    settings: dict[str, Any], wrong: str, tmp_path: Path
) -> None:
    path = own_aligner(tmp_path / "points.onnx", np.zeros((68, 2), np.float32), (68, 2))
    with pytest.raises(RequestError, match=wrong):
        make_flow({"align": "onnx", "weights": {"align/onnx": path}, "settings": {"align/onnx": settings}})


@pytest.mark.parametrize(
    "settings",
    [
        {"detect/yunet": {"max_iou": "much"}},
        {"detect/yunet": {"colour": 3}},
        {"detect/centerface": {"max_iou": 0.4}},
    ],
)
def test_settings_that_no_plugin_takes_are_refused(settings: dict[str, dict[str, Any]]) -> None:
    with pytest.raises(RequestError):
        make_flow({"settings": settings})


def test_settings_are_those_of_the_plugin() -> None:
    flow = make_flow({"settings": {"detect/yunet": {"max_iou": 1}}})
    assert flow.stages[0].plugin.options["max_iou"] == 1.0
    assert isinstance(flow.describe()["detect/yunet"]["max_iou"], float)
