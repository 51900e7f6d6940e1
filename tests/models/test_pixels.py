from typing import Any

import numpy as np
import onnx
import pytest
from hypothesis import given
from hypothesis import strategies as st
from onnx import helper

from faceloom.errors import WeightsError
from faceloom.models.catalog import CATALOG
from faceloom.models.pixels import take_pixels
from faceloom.models.signature import read_signature
from faceloom.tensors import BGR, RGB, planes, rows
from onnx_files import network, session_of


def of_planes(side: int, step: int, pads: tuple[int, int], *, others: Any = None) -> onnx.ModelProto:
    """A network whose first layer looks at planes through windows of this side."""
    weights = np.random.default_rng(side).normal(size=(4, 3, side, side)).astype(np.float32)
    settings = {"strides": [step] * 2, "pads": [*pads, *pads[::-1]], **(others or {})}
    nodes = [
        helper.make_node("Conv", ["image", "weights"], ["maps"], **settings),
        helper.make_node("Relu", ["maps"], ["out"]),
    ]
    return network(nodes, channels=3, weights=weights)


@given(st.integers(1, 5), st.integers(1, 2), st.tuples(*[st.integers(0, 2)] * 2), st.sampled_from(["rgb", "bgr"]))
def test_pixels_get_the_answer_of_their_planes(side: int, step: int, pads: tuple[int, int], order: str) -> None:
    model = of_planes(side, step, pads)
    images = np.random.default_rng(1).integers(0, 256, (2, 6, 5, 3), np.uint8)
    (expected,) = session_of(model).run(None, {"image": planes(images, order=RGB if order == "rgb" else BGR)})
    (answer,) = session_of(take_pixels(model, order)).run(None, {"pixels": rows(images)})
    np.testing.assert_allclose(answer, expected, rtol=0, atol=2e-3)  # of values up to some thousand


def test_what_goes_in_is_not_copied() -> None:
    images = np.zeros((2, 6, 5, 3), np.uint8)
    assert np.shares_memory(rows(images), images)
    assert rows(images).shape == (2, 1, 6, 15)


def test_a_signature_tells_of_the_images_that_pixels_show() -> None:
    model = of_planes(3, 2, (1, 1))
    assert read_signature(take_pixels(model, "rgb"))[0] == {"pixels": [None, 3, 6, 5]}
    for side, name in zip(model.graph.input[0].type.tensor_type.shape.dim[2:], ("height", "width"), strict=True):
        side.dim_param = name
    assert read_signature(take_pixels(model, "rgb"))[0] == {"pixels": [None, 3, None, None]}


def read_twice() -> onnx.ModelProto:
    model = of_planes(3, 2, (1, 1))
    model.graph.node.append(helper.make_node("Neg", ["image"], ["other"]))
    return model


@pytest.mark.parametrize(
    "model",
    [
        read_twice(),
        of_planes(3, 1, (1, 1), others={"dilations": [2, 2]}),
        network([helper.make_node("Relu", ["image"], ["out"])], channels=3),
    ],
    ids=["read twice", "dilated", "no convolution"],
)
def test_a_network_that_cannot_take_pixels_is_refused(model: onnx.ModelProto) -> None:
    with pytest.raises(ValueError, match="can take pixels"):
        take_pixels(model, "rgb")


def test_a_file_of_the_users_own_that_cannot_take_pixels_is_refused_by_its_name(cache, tmp_path) -> None:  # type: ignore[no-untyped-def]
    from faceloom.models.weights import WeightCache, own_file

    model = network([helper.make_node("Relu", ["image"], ["out"])], channels=3)
    path = tmp_path / "own.onnx"
    path.write_bytes(model.SerializeToString())
    with pytest.raises(WeightsError, match=r"own\.onnx.*pixels"):
        WeightCache(folder=tmp_path / "cache").prepare(own_file(path, CATALOG["yunet"]))
