from pathlib import Path

import numpy as np
import pytest

from faceloom.api import extract, stream
from faceloom.errors import RequestError, WeightsError
from faceloom.identify.arcface import ArcFace
from faceloom.models.made import sha256_of
from faceloom.models.weights import WeightCache
from faceloom.orders.flows import make_flow
from faceloom.tensors import planes
from identify_stand_ins import write_arcface, write_sface
from jobs import installed_plugin


@pytest.fixture
def real(shared: Path) -> Path:
    return shared.parent / "weights/fr_feature.onnx"


def test_a_real_network_finds_what_a_plugin_made_for_it_finds(real: Path, samples: Path, tmp_path: Path) -> None:
    plugin = (Path(__file__).parents[2] / "benchmarks/plugins/identify_fr_feature.py").read_text()
    with installed_plugin(tmp_path, "identify/fr_feature", plugin):
        (theirs,) = stream(samples / "crowd.jpg", identify="fr_feature", mask=[], weights={"identify/fr_feature": real})
    (ours,) = stream(samples / "crowd.jpg", identify="arcface", mask=[], weights={"identify/arcface": real})
    assert len(ours.faces) > 5
    for face, other in zip(ours.faces, theirs.faces, strict=True):
        assert face.embedding is not None
        assert face.embedding.shape == (512,)
        np.testing.assert_array_equal(face.embedding, other.embedding)


def test_chips_have_the_size_that_the_network_takes(cache: WeightCache, tmp_path: Path, samples: Path) -> None:
    path = write_arcface(tmp_path / "net.onnx", shape=("n", 3, 160, 160), answer=("n", 3))
    plugin = make_flow({"identify": "arcface", "weights": {"identify/arcface": path}}).stages[-1].plugin
    assert plugin.configuration == {"input_size": 160, "input_name": "face"}
    (frame,) = stream(samples / "portrait.png", identify="arcface", mask=[], weights={"identify/arcface": path})
    assert frame.problem is None
    assert frame.faces[0].embedding is not None


def test_a_pixel_is_what_it_has_been_and_what_is_asked_for() -> None:
    images = np.random.default_rng(0).integers(0, 256, (2, 112, 112, 3), np.uint8)
    (usual,) = ArcFace().prepare(images).values()
    np.testing.assert_array_equal(usual, planes(images, scale=1 / 127.5) - np.float32(1))
    (asked,) = ArcFace(order="bgr", scale=1.0, mean=(1, 2, 3), deviation=(4, 5, 6)).prepare(images).values()
    mean, deviation = (np.array(one, np.float32)[:, None, None] for one in ((1, 2, 3), (4, 5, 6)))
    expected = (images[..., ::-1].transpose(0, 3, 1, 2).astype(np.float32) - mean) / deviation
    np.testing.assert_allclose(asked, expected, rtol=1e-6)


def test_pixels_are_part_of_the_configuration_only_where_they_were_asked_for() -> None:
    assert set(ArcFace().configuration) == {"input_size", "input_name"}
    assert ArcFace(order="bgr").configuration["order"] == "bgr"
    with pytest.raises(ValueError, match="order"):
        ArcFace(order="grb")


@pytest.mark.parametrize(
    ("shape", "answer", "why"),
    [
        ((1, 1, 112, 112), (1, 1), "not (images, 3, height, width)"),
        ((1, 3, 112, 96), (1, 3), "not (faces, 3, side, side)"),
        ((1, 3, 1024, 1024), (1, 3), "1024 pixels"),
    ],
)
def test_a_network_of_another_kind_is_refused_with_what_it_takes(
    tmp_path: Path, shape: tuple[int, ...], answer: tuple[int, ...], why: str
) -> None:
    path = write_arcface(tmp_path / "net.onnx", shape=shape, answer=answer)
    with pytest.raises(WeightsError) as error:
        make_flow({"identify": "arcface", "weights": {"identify/arcface": path}})
    assert why in str(error.value)
    assert str(path) in str(error.value)


def test_a_detector_is_no_identifier(shared: Path) -> None:
    path = shared.parent / "weights/yunet_n_dynamic.onnx"
    with pytest.raises(WeightsError, match="12 outputs"):
        make_flow({"identify": "arcface", "weights": {"identify/arcface": path}})


def test_a_file_that_is_no_network_is_refused(tmp_path: Path) -> None:
    (tmp_path / "net.onnx").write_text("not a network")
    with pytest.raises(WeightsError, match="not an ONNX file"):
        make_flow({"identify": "arcface", "weights": {"identify/arcface": tmp_path / "net.onnx"}})
    (tmp_path / "net.txt").write_text("not a network")
    with pytest.raises(RequestError, match="no weight file"):
        make_flow({"identify": "arcface", "weights": {"identify/arcface": tmp_path / "net.txt"}})
    with pytest.raises(WeightsError, match="cannot be read"):
        make_flow({"identify": "arcface", "weights": {"identify/arcface": tmp_path / "none.onnx"}})


def test_an_identifier_without_weights_says_how_to_name_them() -> None:
    with pytest.raises(RequestError, match="--weights identify/arcface=FILE"):
        make_flow({"identify": "arcface"})


def test_weights_for_a_stage_that_is_not_there_name_the_stages(tmp_path: Path) -> None:
    with pytest.raises(RequestError, match="detect/yunet"):
        make_flow({"weights": {"identify/arcface": tmp_path / "net.onnx"}})
    with pytest.raises(RequestError, match="runs no network"):
        make_flow({"weights": {"mask/extended": tmp_path / "net.onnx"}})


def test_a_folder_goes_on_with_the_same_weights_only(samples: Path, tmp_path: Path, cache: WeightCache) -> None:
    files = [write_sface(tmp_path / f"{seed}.onnx", seed=seed) for seed in (1, 2)]
    common = {"identify": "sface", "mask": [], "size": 64}
    extract(samples / "portrait.png", tmp_path / "out", **common, weights={"identify/sface": files[0]})  # type: ignore[arg-type]
    moved = files[0].rename(tmp_path / "moved.onnx")
    extract(samples / "portrait.png", tmp_path / "out", **common, weights={"identify/sface": moved})  # type: ignore[arg-type]
    with pytest.raises(RequestError, match=sha256_of(files[1])):
        extract(samples / "portrait.png", tmp_path / "out", **common, weights={"identify/sface": files[1]})  # type: ignore[arg-type]
