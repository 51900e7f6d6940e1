import itertools
from typing import Any

import numpy as np
import onnx
import pytest
from hypothesis import given
from hypothesis import strategies as st
from onnx import helper, numpy_helper

from faceloom.errors import WeightsError
from faceloom.models.bands import BANDS, in_bands
from faceloom.models.catalog import CATALOG
from faceloom.models.convert import convert
from faceloom.models.pixels import take_pixels
from faceloom.models.weights import WeightCache
from onnx_files import Floats, answers, network, session_of


def noise(*shape: int, seed: int = 0) -> Floats:
    return np.random.default_rng(seed).uniform(-1, 1, shape).astype(np.float32)


@st.composite
def layers(draw: st.DrawFn) -> list[tuple[str, int, int, int]]:
    """Operators with the side of their window, its step, and the padding."""
    windows = st.sampled_from([1, 2, 3, 5]).flatmap(
        lambda side: st.tuples(
            st.sampled_from(["Conv", "depthwise", "MaxPool", "AveragePool"]),
            st.just(side),
            st.sampled_from([1, 2]),
            st.integers(0, side // 2),
        )
    )
    drawn = draw(st.lists(windows | st.just(("Relu", 1, 1, 0)), max_size=4))
    return [("Conv", 3, 2, 1), *drawn, ("MaxPool", 2, 2, 0)]


def chain(asked: list[tuple[str, int, int, int]], *, opset: int = 13) -> onnx.ModelProto:
    """A network of these layers over four channels, and one that looks at all of what they answer."""
    nodes: list[onnx.NodeProto] = []
    constants: dict[str, Floats] = {}
    image = "image"
    for i, (kind, side, step, pad) in enumerate(asked):
        settings: dict[str, Any] = (
            {} if kind == "Relu" else {"kernel_shape": [side] * 2, "strides": [step] * 2, "pads": [pad] * 4}
        )
        weights = []
        if kind in {"Conv", "depthwise"}:
            each = 4 if kind == "Conv" else 1
            constants |= {f"w{i}": noise(4, each, side, side, seed=i), f"b{i}": noise(4, seed=i)}
            weights, settings = [f"w{i}", f"b{i}"], settings | {"group": 4 // each}
        operator = "Conv" if kind == "depthwise" else kind
        nodes.append(helper.make_node(operator, [image, *weights], [f"layer{i}"], **settings))
        image = f"layer{i}"
    nodes.append(helper.make_node("Mul", [image, image], ["out"]))
    return network(nodes, channels=4, opset=opset, **constants)


def free_sides(model: onnx.ModelProto) -> onnx.ModelProto:
    sides = model.graph.input[0].type.tensor_type.shape.dim
    sides[2].dim_param, sides[3].dim_param = "height", "width"
    return model


def rows_left(asked: list[tuple[str, int, int, int]], rows: int) -> int:
    for _, side, step, pad in asked:
        rows = (rows + 2 * pad - side) // step + 1 if rows + 2 * pad >= side else 0
        if rows < 1:
            return 0
    return rows


@given(layers(), st.integers(0, 150), st.integers(2, 5), st.integers(1, 2))
def test_bands_answer_what_the_whole_picture_gets(
    asked: list[tuple[str, int, int, int]], more_rows: int, bands: int, count: int
) -> None:
    least = next(rows for rows in itertools.count(1) if rows_left(asked, rows) >= 1)
    model = free_sides(chain(asked))
    cut = in_bands(model, bands=bands)
    assert cut is not None
    images = noise(count, 4, least + more_rows, least + 20, seed=7)
    for whole, in_parts in zip(answers(session_of(model), images), answers(session_of(cut), images), strict=True):
        np.testing.assert_allclose(in_parts, whole, rtol=1e-6, atol=1e-6)


@pytest.mark.parametrize("name", ["yunet", "yunet_n"])
def test_a_detector_answers_the_same_bits_in_bands(cache: WeightCache, name: str) -> None:
    pinned = CATALOG[name]
    try:
        content = cache.pull(pinned).read_bytes()
    except WeightsError as error:
        pytest.skip(f"the weights cannot be had here: {error}")
    model = take_pixels(convert(content, file=pinned.file, axes=list(pinned.dynamic)), pinned.pixels)
    cut = in_bands(model)
    assert cut is not None
    whole, in_parts = session_of(model), session_of(cut)
    for count, height, width in ((1, 288, 512), (2, 160, 96), (1, 64, 128), (1, 32, 32)):
        rows = np.random.default_rng(height).integers(0, 256, (count, 1, height, 3 * width), np.uint8)
        for one, other in zip(answers(whole, rows), answers(in_parts, rows), strict=True):
            np.testing.assert_array_equal(other, one)


def branches_of(model: onnx.ModelProto) -> list[list[str]]:
    (choice,) = [node for node in model.graph.node if node.op_type == "If"]
    graphs = {branch.name: branch.g for branch in choice.attribute}
    return [[node.op_type for node in graphs[name].node] for name in ("then_branch", "else_branch")]


def test_layers_are_cut_as_far_as_they_scale_down() -> None:
    asked = [("Conv", 3, 2, 1), ("Relu", 1, 1, 0), ("MaxPool", 2, 2, 0), ("Relu", 1, 1, 0), ("Conv", 3, 1, 1)]
    cut = in_bands(chain(asked))
    assert cut is not None
    in_parts, whole = branches_of(cut)
    assert whole == ["Conv", "Relu", "MaxPool", "Relu"]
    assert [in_parts.count(kind) for kind in ("Slice", "Conv", "MaxPool", "Concat")] == [BANDS, BANDS, BANDS, 1]
    assert [node.op_type for node in cut.graph.node][-2:] == ["Conv", "Mul"]


def read_twice() -> onnx.ModelProto:
    model = chain([("Conv", 3, 2, 1), ("Conv", 3, 2, 1)])
    model.graph.node[-1].input[1] = "layer0"
    return model


def turned() -> onnx.ModelProto:
    model = chain([("Conv", 3, 2, 1), ("Conv", 3, 2, 1)])
    model.graph.node.insert(0, helper.make_node("Transpose", ["image"], ["turned"], perm=[0, 1, 3, 2]))
    model.graph.node[1].input[0] = "turned"
    return model


def dilated() -> onnx.ModelProto:
    model = chain([("Conv", 3, 2, 1), ("Conv", 3, 2, 1)])
    model.graph.node[0].attribute.append(helper.make_attribute("dilations", [2, 2]))
    return model


def in_halves() -> onnx.ModelProto:
    """Pictures become float16, and so does all that is made of them."""
    model = chain([("Conv", 3, 2, 1), ("Conv", 3, 2, 1)])
    for tensor in model.graph.initializer:
        tensor.CopyFrom(numpy_helper.from_array(numpy_helper.to_array(tensor).astype(np.float16), tensor.name))
    half = helper.make_node("Cast", ["image"], ["halves"], to=onnx.TensorProto.FLOAT16)
    model.graph.node.insert(0, half)
    model.graph.node[1].input[0] = "halves"
    return model


@pytest.mark.parametrize(
    "model",
    [
        in_halves(),
        chain([("Conv", 3, 2, 1), ("Conv", 3, 1, 1)]),
        chain([("Conv", 3, 2, 1), ("Conv", 3, 2, 1)], opset=9),
        read_twice(),
        turned(),
        dilated(),
    ],
    ids=["in halves", "scales down by two", "in an old file", "read elsewhere", "turned first", "dilated"],
)
def test_other_networks_are_left(model: onnx.ModelProto) -> None:
    assert in_bands(model) is None


def test_the_network_that_was_given_is_left_as_it_was_before_it_was_cut() -> None:
    model = chain([("Conv", 3, 2, 1), ("Conv", 3, 2, 1)])
    before = model.SerializeToString(deterministic=True)
    assert in_bands(model) is not None
    assert model.SerializeToString(deterministic=True) == before


def test_weights_of_cut_layers_are_kept_once_a_branch_and_nowhere_else() -> None:
    cut = in_bands(chain([("Conv", 3, 2, 1), ("Conv", 3, 2, 1)]))
    assert cut is not None
    assert not cut.graph.initializer
    (choice,) = [node for node in cut.graph.node if node.op_type == "If"]
    for branch in choice.attribute:
        assert [numpy_helper.to_array(tensor).size for tensor in branch.g.initializer] == [144, 4, 144, 4]
