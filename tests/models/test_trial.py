"""Files of a user's own: what of them can be freed, found by trying."""

from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper

from faceloom.errors import WeightsError
from faceloom.models.signature import read_signature, read_tried
from faceloom.models.trial import prepare
from faceloom.models.weights import WeightCache, own_file
from faceloom.stage import PinnedFile
from onnx_files import answers, head, session_of

ALL = ("batch", "height", "width")


def of(nodes: list[onnx.NodeProto], shape: list[int | str], **constants: object) -> bytes:
    """A network over `image` of a shape that answers `out`."""
    graph = helper.make_graph(
        nodes,
        "network",
        [helper.make_tensor_value_info("image", TensorProto.FLOAT, shape)],
        [helper.make_tensor_value_info("out", TensorProto.FLOAT, None)],
        [numpy_helper.from_array(np.asarray(value), name) for name, value in constants.items()],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 13)], ir_version=8)
    return bytes(model.SerializeToString())


def with_priors() -> bytes:
    """A constant for each pixel of a canvas of 48 x 64: no other canvas is possible."""
    priors = np.random.default_rng(0).uniform(size=(1, 3, 48, 64)).astype(np.float32)
    return of([helper.make_node("Add", ["image", "priors"], ["out"])], [1, 3, 48, 64], priors=priors)


def folded() -> bytes:
    """All pictures of a batch in one row, by a shape that no rewriting mends."""
    nodes = [
        helper.make_node("Concat", ["one", "rest"], ["shape"], axis=0),
        helper.make_node("Reshape", ["image", "shape"], ["out"]),
    ]
    return of(nodes, [1, 3, 48, 64], one=np.array([1]), rest=np.array([-1, 3]))


def mixed() -> bytes:
    """Each picture's answer depends on those beside it, though all shapes are right."""
    nodes = [
        helper.make_node("ReduceMean", ["image"], ["mean"], axes=[0, 1, 2, 3], keepdims=1),
        helper.make_node("Sub", ["image", "mean"], ["out"]),
    ]
    return of(nodes, ["n", 3, 48, 64])


def input_of(model: onnx.ModelProto) -> list[int | None]:
    ((_, shape),) = read_signature(model)[0].items()
    return shape


def test_whatever_can_be_freed_is() -> None:
    model = prepare(head().SerializeToString(), file="head.onnx", axes=ALL)
    assert input_of(model) == [None, 3, None, None]
    assert read_tried(model) == ([256, 320], {"out": [1, 256 * 320, 2]})


def test_a_canvas_that_cannot_be_freed_stays_and_the_batch_is_freed() -> None:
    model = prepare(with_priors(), file="priors.onnx", axes=ALL)
    assert input_of(model) == [None, 3, 48, 64]
    assert read_tried(model) == ([48, 64], {"out": [1, 3, 48, 64]})


@pytest.mark.parametrize("content", [folded(), mixed()], ids=["folded", "mixed"])
def test_a_network_that_mixes_its_pictures_gets_one_at_a_time(content: bytes) -> None:
    model = prepare(content, file="some.onnx", axes=ALL)
    assert input_of(model)[0] == 1


def test_pictures_get_what_they_get_alone() -> None:
    session = session_of(prepare(with_priors(), file="priors.onnx", axes=ALL))
    images = np.random.default_rng(1).uniform(0, 255, (3, 3, 48, 64)).astype(np.float32)
    alone = np.concatenate([answers(session, image[None])[0] for image in images])
    np.testing.assert_array_equal(answers(session, images)[0], alone)


def test_a_network_of_squares_is_tried_on_squares() -> None:
    content = of([helper.make_node("Identity", ["image"], ["out"])], ["n", 3, "s", "s"])
    assert read_tried(prepare(content, file="some.onnx", axes=["batch"])) == ([256, 256], {"out": [1, 3, 256, 256]})


def test_a_network_that_cannot_be_run_is_refused_with_the_reason() -> None:
    wrong = of([helper.make_node("Add", ["image", "other"], ["out"])], [1, 3, 48, 64], other=np.ones(5, np.float32))
    with pytest.raises(WeightsError, match=r"some\.onnx cannot be run"):
        prepare(wrong, file="some.onnx", axes=ALL)


def test_a_network_of_another_kind_of_numbers_is_refused() -> None:
    graph = helper.make_graph(
        [helper.make_node("Identity", ["image"], ["out"])],
        "halves",
        [helper.make_tensor_value_info("image", TensorProto.FLOAT16, ["n", 3, 8, 8])],
        [helper.make_tensor_value_info("out", TensorProto.FLOAT16, None)],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 13)], ir_version=8)
    with pytest.raises(WeightsError, match="float16"):
        prepare(model.SerializeToString(), file="halves.onnx", axes=["batch"])


def test_the_cache_tells_what_was_found(tmp_path: Path) -> None:
    (tmp_path / "priors.onnx").write_bytes(with_priors())
    pinned = PinnedFile(name="own", file="", sha256="", size_bytes=0, licence="", places=(), dynamic=ALL)
    cache = WeightCache(folder=tmp_path / "cache")
    found = cache.signature(own_file(tmp_path / "priors.onnx", pinned))
    assert found.inputs == {"image": (None, 3, 48, 64)}
    assert (found.tried, found.answered) == ((48, 64), {"out": (1, 3, 48, 64)})
