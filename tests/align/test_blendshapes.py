"""`--attributes blendshapes`: the parts of an expression, beside landmarks that stay what they are."""

import json
import zipfile
from io import BytesIO
from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime
import pytest

import faceloom
from conftest import prepared
from faceloom.align import Aligner
from faceloom.align.facemesh_v2 import BLENDSHAPES
from faceloom.api import extract
from faceloom.engines.runtime import ON_CPU
from faceloom.engines.start import start_engine
from faceloom.errors import RequestError, WeightsError
from faceloom.faces import Face
from faceloom.models import bundles
from faceloom.models.catalog import CATALOG
from faceloom.models.weights import WeightCache
from faceloom.orders.flows import make_flow
from jobs import exported

NAME = "facemesh_v2_blendshapes"


@pytest.fixture(autouse=True)
def weights(cache: WeightCache) -> None:
    """Skips the test where the weights cannot be had."""
    for name in ("yunet", "facemesh_v2", NAME):
        prepared(cache, name)


def found(image: Any, **options: Any) -> Face:
    told = {"align": "facemesh_v2", "mask": (), "attributes": ["blendshapes"], **options}
    (frame,) = faceloom.stream([image], **told)
    return frame.faces[0]


def by_name(face: Face) -> dict[str, float]:
    assert face.blendshapes is not None
    assert face.blendshapes.shape == (52,)
    return dict(zip(BLENDSHAPES, face.blendshapes.tolist(), strict=True))


@pytest.mark.parametrize("options", [{}, {"realign": True, "refeed": 3}, {"align": ("facemesh", "facemesh_v2")}])
def test_a_smile_is_one_and_landmarks_stay_what_they_are(samples: Path, options: dict[str, Any]) -> None:
    face = found(samples / "portrait.png", **options)
    told = by_name(face)
    assert min(told["mouthSmileLeft"], told["mouthSmileRight"]) > 0.7
    assert max(told["jawOpen"], told["mouthFrownLeft"], told["mouthPucker"], told["eyeBlinkLeft"]) < 0.2
    same = found(samples / "portrait.png", **{**options, "attributes": ()})
    assert same.blendshapes is None
    np.testing.assert_array_equal(face.landmarks, same.landmarks)


def test_both_networks_in_one_answer_as_each_does_by_the_original_runtime(cache: WeightCache) -> None:
    interpreters = pytest.importorskip("ai_edge_litert.interpreter")
    content = cache.pull(CATALOG[NAME]).read_bytes()
    with zipfile.ZipFile(BytesIO(content)) as bundle:
        mesh, second = (
            interpreters.Interpreter(model_content=bundle.read(member), num_threads=1)
            for member in (bundles.MESH, bundles.BLENDSHAPES)
        )
    images = np.random.default_rng(3).random((2, 256, 256, 3)).astype(np.float32)
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    session = onnxruntime.InferenceSession(str(cache.prepare(CATALOG[NAME])), options)
    (blendshapes,) = session.run([bundles.OUTPUT], {"input_12": images.transpose(0, 3, 1, 2).copy()})
    for image, ours in zip(images, blendshapes, strict=True):
        points = run(mesh, image[None], lambda values: values.size == 3 * bundles.POINTS)
        given = points.reshape(bundles.POINTS, 3)[list(bundles.GIVEN), :2]
        theirs = run(second, given[None], lambda values: values.size == 52)
        np.testing.assert_allclose(ours, theirs.reshape(-1), atol=1e-4)


def run(interpreter: Any, given: Any, wanted: Any) -> Any:
    """The one output of a network that is wanted."""
    interpreter.allocate_tensors()
    interpreter.set_tensor(interpreter.get_input_details()[0]["index"], given)
    interpreter.invoke()
    outputs = [interpreter.get_tensor(one["index"]) for one in interpreter.get_output_details()]
    return next(values for values in outputs if wanted(values))


def test_faces_that_are_done_together_have_the_same_bits_as_one() -> None:
    (plugin,) = (
        stage.plugin for stage in make_flow({"align": "facemesh_v2", "attributes": ["blendshapes"]}).of("align")
    )
    assert isinstance(plugin, Aligner)
    assert plugin.max_batch == 1
    images = np.random.default_rng(1).integers(0, 255, (3, 256, 256, 3), np.uint8)
    infer = start_engine(ON_CPU).load(WeightCache.of_user().prepare(CATALOG[NAME]), "")
    many = plugin.align(infer, images).blendshapes
    each = [plugin.align(infer, images[i : i + 1]).blendshapes for i in range(3)]
    assert many is not None
    np.testing.assert_array_equal(many, np.concatenate([one for one in each if one is not None]))


def test_they_are_kept_and_told(samples: Path, tmp_path: Path) -> None:
    extract(samples / "portrait.png", tmp_path / "out", align="facemesh_v2", attributes=("blendshapes",), size=64)
    (line,) = map(json.loads, exported(tmp_path / "out").splitlines())
    live = found(samples / "portrait.png").blendshapes
    assert live is not None
    np.testing.assert_allclose(line["blendshapes"], live, atol=1e-4)
    (face,) = faceloom.open(tmp_path / "out").faces()
    np.testing.assert_allclose(by_name(face)["mouthSmileLeft"], live[BLENDSHAPES.index("mouthSmileLeft")], atol=1e-6)


def test_who_does_not_ask_has_the_network_without_them() -> None:
    (plain,) = make_flow({"align": "facemesh_v2"}).of("align")
    (asked,) = make_flow({"align": "facemesh_v2", "attributes": ["blendshapes"]}).of("align")
    assert plain.weights == CATALOG["facemesh_v2"]
    assert asked.weights == CATALOG[NAME]
    assert "blendshapes" not in plain.plugin.configuration
    with pytest.raises(RequestError, match="blendshapes are told by the aligner facemesh_v2"):
        make_flow({"attributes": ["blendshapes"]})


@pytest.mark.parametrize("content", [b"", b"PK\x05\x06" + bytes(18), b"no zip at all"])
def test_what_is_no_bundle_is_refused_by_name(content: bytes) -> None:
    with pytest.raises(WeightsError, match=r"mine\.task is no bundle of a face landmarker"):
        bundles.to_onnx(content, name="mine.task")
