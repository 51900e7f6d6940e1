from collections.abc import Sequence

import numpy as np
import onnx
import pytest
from hypothesis import given
from hypothesis import strategies as st
from onnx import helper

from faceloom.errors import WeightsError
from faceloom.models.catalog import CATALOG
from faceloom.models.dynamic import free_axes
from faceloom.models.rewrites import rewrite
from faceloom.models.weights import WeightCache
from onnx_files import Floats, answers, network, session_of

channel_numbers = st.integers(1, 20)


def noise(*shape: int, seed: int = 0) -> Floats:
    return np.random.default_rng(seed).uniform(-1, 1, shape).astype(np.float32)


def kinds(model: onnx.ModelProto) -> list[str]:
    return [node.op_type for node in model.graph.node]


def assert_same_answers(one: onnx.ModelProto, other: onnx.ModelProto, image: Floats, *, atol: float) -> None:
    names = [[output.name for output in model.graph.output] for model in (one, other)]
    assert names[0] == names[1]
    pairs = zip(answers(session_of(one), image), answers(session_of(other), image), strict=True)
    for ours, theirs in pairs:
        np.testing.assert_allclose(ours, theirs, rtol=0, atol=atol)


def prelu(slopes: Floats, *, channels: int) -> onnx.ModelProto:
    nodes = [helper.make_node("PRelu", ["image", "slope"], ["out"])]
    return network(nodes, channels=channels, slope=slopes)


@given(channel_numbers, st.integers(0, 99))
def test_a_prelu_keeps_its_values(channels: int, seed: int) -> None:
    model = prelu(2 * noise(channels, 1, 1, seed=seed), channels=channels)
    rewritten = rewrite(model)
    assert "PRelu" not in kinds(rewritten)
    assert_same_answers(rewritten, model, noise(2, channels, 6, 5, seed=seed + 1), atol=1e-6)


def test_a_prelu_with_one_slope_for_all_channels_is_left() -> None:
    model = prelu(noise(1), channels=3)
    assert rewrite(model) == model


def pad(before: Sequence[int], after: Sequence[int], *, channels: int = 3, mode: str = "constant") -> onnx.ModelProto:
    nodes = [helper.make_node("Pad", ["image", "pads"], ["out"], mode=mode)]
    return network(nodes, channels=channels, pads=np.array([*before, *after], np.int64))


@given(channel_numbers, st.integers(0, 20), st.integers(0, 20))
def test_added_channels_are_zeros_and_the_others_stay_as_they_are(channels: int, before: int, after: int) -> None:
    rewritten = rewrite(pad([0, before, 0, 0], [0, after, 0, 0], channels=channels))
    assert kinds(rewritten) == ["Conv"]
    image = noise(2, channels, 6, 5)
    expected = np.pad(image, ((0, 0), (before, after), (0, 0), (0, 0)))
    np.testing.assert_array_equal(answers(session_of(rewritten), image)[0], expected)


@pytest.mark.parametrize(
    "model",
    [
        pad([0, 0, 1, 0], [0, 2, 0, 0]),
        pad([0, -1, 0, 0], [0, 2, 0, 0]),
        pad([0, 1, 0, 0], [0, 0, 0, 0], mode="edge"),
        pad([0, 0, 0, 0], [0, 1 << 40, 0, 0]),
    ],
    ids=["rows", "channels taken away", "edges", "more channels than memory holds"],
)
def test_a_pad_of_another_kind_is_left(model: onnx.ModelProto) -> None:
    assert rewrite(model) == model


def heads(channels: Sequence[int], *, sides: Sequence[int], opset: int = 13) -> onnx.ModelProto:
    """Heads of so many channels over an image of four, each a convolution and a depthwise one of this side."""
    nodes: list[onnx.NodeProto] = []
    constants: dict[str, Floats] = {}
    for i, (count, side) in enumerate(zip(channels, sides, strict=True)):
        constants |= {f"w{i}": noise(count, 4, 1, 1, seed=i), f"b{i}": noise(count, seed=i)}
        constants |= {f"v{i}": noise(count, 1, side, side, seed=i), f"c{i}": noise(count, seed=i)}
        pads = [side // 2] * 4
        nodes.append(helper.make_node("Conv", ["image", f"w{i}", f"b{i}"], [f"all{i}"]))
        nodes.append(helper.make_node("Conv", [f"all{i}", f"v{i}", f"c{i}"], [f"head{i}"], group=count, pads=pads))
    return network(nodes, channels=4, opset=opset, **constants)


@given(st.lists(st.integers(1, 11), min_size=2, max_size=5))
def test_heads_of_one_image_become_one_and_answer_the_same(channels: list[int]) -> None:
    model = heads(channels, sides=[3] * len(channels))
    rewritten = rewrite(model)
    assert kinds(rewritten).count("Conv") == 2
    assert_same_answers(rewritten, model, noise(2, 4, 6, 5), atol=1e-5)


def test_weights_of_merged_heads_are_not_kept_twice() -> None:
    model = heads([1, 2], sides=[3, 3])
    names = [tensor.name for tensor in rewrite(model).graph.initializer]
    assert not set(names) & {tensor.name for tensor in model.graph.initializer}


def heads_of_which_one_also_answers_its_middle() -> onnx.ModelProto:
    model = heads([1, 2], sides=[3, 3])
    model.graph.output.append(helper.make_tensor_value_info("all0", onnx.TensorProto.FLOAT, None))
    return model


@pytest.mark.parametrize(
    "model",
    [
        heads([5], sides=[3]),
        heads([1, 2], sides=[1, 3]),
        heads([1, 2], sides=[3, 3], opset=9),
        heads_of_which_one_also_answers_its_middle(),
    ],
    ids=["alone", "of different sides", "in an old file", "read elsewhere"],
)
def test_heads_that_cannot_be_one_are_left(model: onnx.ModelProto) -> None:
    assert rewrite(model) == model


def test_the_network_that_was_given_is_left_as_it_was() -> None:
    model = prelu(noise(3, 1, 1), channels=3)
    before = model.SerializeToString(deterministic=True)
    rewrite(model)
    assert model.SerializeToString(deterministic=True) == before


def test_what_the_detector_answers_stays_the_same(cache: WeightCache) -> None:
    try:
        model = onnx.load(str(cache.pull(CATALOG["yunet"])))
    except WeightsError as error:
        pytest.skip(f"the weights cannot be had here: {error}")
    freed = free_axes(model, CATALOG["yunet"].dynamic, name="yunet")
    rewritten = rewrite(freed)
    assert len(kinds(rewritten)) < len(kinds(freed))
    assert_same_answers(rewritten, freed, 127 + 127 * noise(2, 3, 64, 96), atol=1e-5)
