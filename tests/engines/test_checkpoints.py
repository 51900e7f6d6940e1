import json
import os
import pickle
import warnings
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from faceloom.align.fan import Fan
from faceloom.api import extract, plan
from faceloom.choices import EngineName
from faceloom.detect.s3fd import S3fd
from faceloom.engines.onnx import OnnxEngine
from faceloom.engines.runtime import Runtime
from faceloom.engines.start import start_engine
from faceloom.errors import RequestError, StageError
from faceloom.mask.bisenet import BiSeNet
from faceloom.models.made import sha256_of
from faceloom.stage import NetworkPlugin
from jobs import exported, installed_plugin

torch: Any = pytest.importorskip("torch", reason="PyTorch is not installed")
checkpoints: Any = pytest.importorskip("faceloom.engines.checkpoints")

RUNTIME = Runtime(engine=EngineName.TORCH)
PLUGINS = (S3fd(), Fan(), BiSeNet())


def checkpoint(folder: Path, plugin: NetworkPlugin) -> Path:
    """Random values under the keys of a plugin's network."""
    torch.manual_seed(0)
    state = dict(checkpoints.empty_network(plugin.network).to_empty(device="cpu").state_dict())
    for name, values in state.items():
        if values.is_floating_point():
            values.uniform_(0.5, 1.5) if "running_var" in name else values.normal_(0, 0.02)
        else:
            values.zero_()
    path = folder / "random.pth"
    torch.save(state, path)
    return path


@pytest.mark.parametrize("plugin", PLUGINS, ids=lambda plugin: type(plugin).__name__)
def test_a_plugins_network_runs_by_its_checkpoint(plugin: NetworkPlugin, tmp_path: Path) -> None:
    infer = start_engine(RUNTIME).load(checkpoint(tmp_path, plugin), plugin.network)
    images = np.random.default_rng(0).integers(0, 256, (2, 128, 128, 3), np.uint8)
    if isinstance(plugin, S3fd):
        assert len(plugin.detect(infer, images)) == 2
    elif isinstance(plugin, Fan):
        images = np.repeat(np.repeat(images, 2, 1), 2, 2)
        found = plugin.align(infer, images)
        assert ((found.landmarks >= 0) & (found.landmarks <= 255)).all()
    elif isinstance(plugin, BiSeNet):
        assert plugin.segment(infer, np.repeat(np.repeat(images, 4, 1), 4, 2)).shape == (2, 512, 512)


@pytest.mark.parametrize("plugin", PLUGINS, ids=lambda plugin: type(plugin).__name__)
def test_the_catalog_has_the_checkpoint_as_it_is_published(plugin: NetworkPlugin) -> None:
    weights = plugin.weights
    assert weights.places
    stated = weights.file.rpartition("-")[2].partition(".")[0]
    assert weights.sha256.startswith(stated) or type(plugin) is BiSeNet  # whose publisher states none


PLUGIN = """
    from dataclasses import dataclass
    from faceloom.mask import bisenet
    from faceloom.stage import PinnedFile

    @dataclass(frozen=True, kw_only=True)
    class Plugin(bisenet.BiSeNet):
        weights = PinnedFile(
            name="noise", file="noise.pth", sha256="{sha256}", size_bytes={size_bytes}, licence="none", places=()
        )
"""


@pytest.mark.slow
def test_a_flow_with_a_checkpoint_runs_by_pytorch(
    samples: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    weights = checkpoint(tmp_path, BiSeNet())
    plugin = PLUGIN.format(sha256=sha256_of(weights), size_bytes=weights.stat().st_size)
    monkeypatch.setenv("FACELOOM_WEIGHTS", os.pathsep.join([str(tmp_path), os.environ["FACELOOM_WEIGHTS"]]))
    with installed_plugin(tmp_path, "mask/noise", plugin):
        with pytest.raises(RequestError, match="mask/noise is a network of the engine torch"):
            extract(samples / "portrait.png", tmp_path / "out", mask=["noise"], engine="onnx")
        plan(samples / "portrait.png", mask=["noise"])  # by a guess, from the module
        summary = extract(samples / "portrait.png", tmp_path / "out", mask=["noise"])
    assert summary.failed == 0
    (face,) = (json.loads(line) for line in exported(tmp_path / "out").splitlines())
    assert face["masks"]["noise"]["size"] == 256


def test_a_checkpoint_of_another_network_is_refused(tmp_path: Path) -> None:
    path = checkpoint(tmp_path, PLUGINS[0])
    with pytest.raises(StageError, match="not a checkpoint"):
        start_engine(RUNTIME).load(path, Fan.network)


def test_onnxruntime_refuses_a_checkpoint(tmp_path: Path) -> None:
    with pytest.raises(StageError, match="engine torch"):
        OnnxEngine().load(tmp_path / "any.pth", Fan.network)


class Net(torch.nn.Module):  # type: ignore[misc, name-defined, unused-ignore]
    def __init__(self) -> None:
        super().__init__()
        self.body = torch.nn.Sequential(torch.nn.Conv2d(3, 4, 3), torch.nn.BatchNorm2d(4))
        self.scale = torch.nn.Parameter(torch.rand(6, 2).T)

    def forward(self, x: Any) -> Any:
        return self.body(x).mean() * self.scale


def test_the_tensors_of_an_archive_of_torchscript_are_those_of_its_module(tmp_path: Path) -> None:
    net = Net()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        torch.jit.save(torch.jit.trace(net, torch.rand(1, 3, 8, 8)), tmp_path / "net.zip")
    read = checkpoints.read_state(tmp_path / "net.zip")
    assert read.keys() == net.state_dict().keys()
    for name, values in net.state_dict().items():
        assert torch.equal(read[name], values), name


class Attack:
    def __reduce__(self) -> Any:
        return os.system, ("touch attacked",)


@pytest.mark.parametrize("as_script", [False, True])
def test_a_checkpoint_that_would_act_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, as_script: bool
) -> None:
    monkeypatch.chdir(tmp_path)
    path = tmp_path / "attack.pth"
    if as_script:
        with zipfile.ZipFile(path, "w") as archive:
            archive.writestr("attack/data.pkl", pickle.dumps(Attack(), protocol=2))
            archive.writestr("attack/constants.pkl", b"")
    else:
        torch.save({"weight": Attack()}, path)
    with pytest.raises(StageError, match=r"no checkpoint that can be read"):
        checkpoints.read_state(path)
    assert not (tmp_path / "attacked").exists()


@pytest.mark.parametrize(
    "content", [b"", b"garbage", b"PK\x03\x04garbage", pickle.dumps({"a": 1}, 2), pickle.dumps([1], 2)]
)
def test_what_is_no_checkpoint_is_refused(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "odd.pth"
    path.write_bytes(content)
    with pytest.raises(StageError):
        checkpoints.read_state(path)


def test_a_checkpoint_of_other_things_than_tensors_is_refused(tmp_path: Path) -> None:
    torch.save({"epoch": 3}, tmp_path / "odd.pth")
    with pytest.raises(StageError, match="something else"):
        checkpoints.read_state(tmp_path / "odd.pth")
