import json
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper

from conftest import prepared
from faceloom.errors import StageError
from faceloom.memory.guess import ACTIVATIONS_FACTOR, guess_footprint
from faceloom.models.weights import WeightCache

NETWORKS = {
    "yunet": ("pixels", (1, 1, 640, 3 * 640)),
    "centerface": ("pixels", (1, 1, 640, 3 * 640)),
    "facemesh": ("input_1", (1, 3, 192, 192)),
    "pfld": ("input", (1, 3, 112, 112)),
    "unet": ("serving_default_image_input:0", (1, 3, 256, 256)),
}
MOST_TOO_MUCH = 20
UNKNOWN = "unknown.operators"
MEASURE = """
import json, sys
from pathlib import Path
import numpy as np
from faceloom.engines.onnx import OnnxEngine
from faceloom.memory.usage import held_bytes, peak_bytes, reset_peak

path, name, shape = sys.argv[1], sys.argv[2], json.loads(sys.argv[3])
engine = OnnxEngine()
network = engine.load(Path(path))
values = np.zeros(shape, np.uint8 if name == "pixels" else np.float32)
network({name: values})  # libraries set themselves up at first use
engine.shrink()
before = held_bytes()
reset_peak()
for _ in range(2):
    network({name: values.copy()})
print(peak_bytes() - before)
"""


def save(folder: Path, nodes: Sequence[onnx.NodeProto], *, weights: Sequence[onnx.TensorProto] = ()) -> Path:
    """A network from `x` (batch, 3, height, width) to `y`."""
    x = helper.make_tensor_value_info("x", TensorProto.FLOAT, ["batch", 3, "height", "width"])
    y = helper.make_tensor_value_info("y", TensorProto.FLOAT, None)
    graph = helper.make_graph(nodes, "test", [x], [y], weights)
    path = folder / "test.onnx"
    opsets = [helper.make_opsetid("", 13), helper.make_opsetid(UNKNOWN, 1)]
    onnx.save(helper.make_model(graph, opset_imports=opsets, ir_version=8), path)
    return path


def relu(source: str, target: str) -> onnx.NodeProto:
    return helper.make_node("Relu", [source], [target])


X = {"x": (1, 3, 10, 10)}
X_BYTES = 3 * 10 * 10 * 4


def live_bytes(path: Path) -> float:
    return guess_footprint(path, X).item_bytes / ACTIVATIONS_FACTOR


@pytest.mark.parametrize("name", NETWORKS)
def test_a_guess_is_enough_and_not_far_too_much(cache: WeightCache, name: str) -> None:
    path = prepared(cache, name)
    source, shape = NETWORKS[name]
    command = [sys.executable, "-c", MEASURE, str(path), source, json.dumps(shape)]
    measured = int(subprocess.run(command, capture_output=True, text=True, check=True).stdout)
    guess = guess_footprint(path, {source: shape})
    assert measured <= guess.item_bytes <= MOST_TOO_MUCH * measured
    assert 0.9 * path.stat().st_size < guess.weights_bytes <= path.stat().st_size + 1
    assert not guess.is_measured


def test_a_chain_holds_the_input_and_two_tensors_at_once(tmp_path: Path) -> None:
    path = save(tmp_path, [relu("x", "a"), relu("a", "b"), relu("b", "c"), relu("c", "y")])
    assert live_bytes(path) == 3 * X_BYTES


def test_a_tensor_lives_until_its_last_use(tmp_path: Path) -> None:
    nodes = [relu("x", "a"), relu("a", "b"), relu("b", "c"), helper.make_node("Add", ["a", "c"], ["y"])]
    assert live_bytes(save(tmp_path, nodes)) == 4 * X_BYTES  # x, a, b, c


def test_a_tensor_that_nobody_reads_lives_for_a_moment(tmp_path: Path) -> None:
    nodes = [relu("x", "unread"), relu("x", "a"), relu("a", "y")]
    assert live_bytes(save(tmp_path, nodes)) == 3 * X_BYTES


def test_the_input_size_counts_and_not_what_the_file_says(tmp_path: Path) -> None:
    path = save(tmp_path, [relu("x", "y")])
    model = onnx.load(path)
    model.graph.output[0].CopyFrom(helper.make_tensor_value_info("y", TensorProto.FLOAT, [1, 3, 2, 2]))
    onnx.save(model, path)
    assert live_bytes(path) == 2 * X_BYTES


def test_an_input_that_is_not_named_has_free_axes_of_one(tmp_path: Path) -> None:
    guess = guess_footprint(save(tmp_path, [relu("x", "y")]), {})
    assert guess.item_bytes == ACTIVATIONS_FACTOR * 2 * 3 * 4


def test_weights_count_apart_whether_stored_or_constant(tmp_path: Path) -> None:
    kernel = numpy_helper.from_array(np.zeros((8, 3, 3, 3), np.float32), "kernel")
    bias = numpy_helper.from_array(np.zeros((1, 8, 10, 10), np.float32))
    nodes = [
        helper.make_node("Conv", ["x", "kernel"], ["maps"], pads=[1, 1, 1, 1]),
        helper.make_node("Constant", [], ["bias"], value=bias),
        helper.make_node("Add", ["maps", "bias"], ["y"]),
    ]
    guess = guess_footprint(save(tmp_path, nodes, weights=[kernel]), X)
    assert guess.weights_bytes == (8 * 27 + 800) * 4
    assert guess.item_bytes == ACTIVATIONS_FACTOR * (X_BYTES + 2 * 800 * 4)
    assert guess.batch_s[1] == pytest.approx((800 * 27 + 800) / 1e10)


def test_weights_in_another_file_are_counted_without_it(tmp_path: Path) -> None:
    kernel = numpy_helper.from_array(np.zeros((64, 3, 3, 3), np.float32), "kernel")
    path = save(tmp_path, [helper.make_node("Conv", ["x", "kernel"], ["y"])], weights=[kernel])
    onnx.save(onnx.load(path), path, save_as_external_data=True, location="weights", size_threshold=0)
    (tmp_path / "weights").unlink()
    guess = guess_footprint(path, X)
    assert guess.weights_bytes == 64 * 27 * 4
    assert guess.item_bytes == ACTIVATIONS_FACTOR * (X_BYTES + 64 * 8 * 8 * 4)


def test_a_shape_that_the_graph_computes_is_found(tmp_path: Path) -> None:
    nodes = [
        helper.make_node("Shape", ["x"], ["sides"]),
        helper.make_node("Reshape", ["x", "sides"], ["y"]),
    ]
    assert live_bytes(save(tmp_path, nodes)) == 2 * X_BYTES + 4 * 8


def test_a_tensor_of_unknown_shape_counts_as_the_largest_known(tmp_path: Path) -> None:
    nodes = [
        helper.make_node("Concat", ["x", "x"], ["double"], axis=1),
        helper.make_node("Strange", ["double"], ["unknown"], domain=UNKNOWN),
        relu("unknown", "y"),
    ]
    assert live_bytes(save(tmp_path, nodes)) == X_BYTES + 2 * 2 * X_BYTES


def test_branches_count_with_what_they_hold_inside(tmp_path: Path) -> None:
    def branch(name: str, nodes: Sequence[onnx.NodeProto]) -> onnx.GraphProto:
        result = helper.make_tensor_value_info(f"{name} out", TensorProto.FLOAT, [1, 3, 10, 10])
        return helper.make_graph(nodes, name, [], [result])

    large = branch("large", [relu("a", "in"), relu("in", "in 2"), relu("in 2", "large out")])
    small = branch("small", [relu("a", "small out")])
    yes = numpy_helper.from_array(np.array(True), "yes")
    choice = helper.make_node("If", ["yes"], ["y"], then_branch=small, else_branch=large)
    path = save(tmp_path, [relu("x", "a"), choice], weights=[yes])
    assert live_bytes(path) == (3 + 2) * X_BYTES  # x, a, y and two inside


def test_a_damaged_graph_gives_a_guess_all_the_same(tmp_path: Path) -> None:
    nodes = [
        helper.make_node("ConvTranspose", [], ["a"]),
        helper.make_node("Conv", ["missing"], ["b", ""]),
        helper.make_node("Gemm", ["", "b"], []),
        relu("later", "y"),
        relu("x", "later"),
    ]
    assert guess_footprint(save(tmp_path, nodes), {**X, "other": (1,)}).item_bytes > 0


@pytest.mark.parametrize("content", [b"", b"hello world", b"PK\x03\x04" + bytes(100)])
def test_what_is_no_onnx_file_is_refused(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "network.onnx"
    path.write_bytes(content)
    with pytest.raises(StageError, match=r"network\.onnx cannot be read as ONNX") as caught:
        guess_footprint(path, {})
    assert caught.value.stage == "network"


def test_a_file_that_is_not_there_is_refused(tmp_path: Path) -> None:
    with pytest.raises(StageError):
        guess_footprint(tmp_path / "network.onnx", {})
