"""Networks from a user's own files, held against the plugins that were made for the very same ones."""

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from onnx import TensorProto, helper

from faceloom.api import extract, stream
from faceloom.errors import RequestError, WeightsError
from faceloom.faces import Face
from faceloom.models.catalog import CATALOG
from faceloom.models.weights import WeightCache
from faceloom.options.calls import StreamOptions
from faceloom.orders.flows import make_flow

LOGITS: dict[str, Any] = {"answers": "logits"}


@pytest.fixture(scope="module")
def unet(cache: WeightCache) -> Path:
    """The prepared network of `mask/unet`: RGB in 0..1, one logit a pixel."""
    try:
        return cache.prepare(CATALOG["unet"])
    except WeightsError as error:
        pytest.skip(str(error))


def faces(samples: Path, options: StreamOptions) -> tuple[Face, ...]:
    (frame,) = stream(samples / "crowd.jpg", **options)
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


def test_a_network_that_answers_something_else_is_refused_with_what_it_answers(shared: Path, tmp_path: Path) -> None:
    yunet = shared.parent / "weights/yunet_n_dynamic.onnx"
    with pytest.raises(WeightsError, match=r"cls_8.* no boxes and no scores"):
        make_flow({"detect": "onnx", "weights": {"detect/onnx": yunet}})
    with pytest.raises(WeightsError, match="12 outputs, not one"):
        make_flow({"mask": ["onnx"], "weights": {"mask/onnx": yunet}})


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
