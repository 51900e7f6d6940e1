import importlib.util
from collections.abc import Callable, Mapping
from typing import Any

import pytest

from faceloom.choices import EngineName, Precision
from faceloom.engines import runtime
from faceloom.engines.runtime import Runtime, choose_runtime, drivable_kinds
from faceloom.errors import RequestError

Install = Callable[[Mapping[str, str]], None]


@pytest.fixture
def install(monkeypatch: pytest.MonkeyPatch) -> Install:
    """Makes exactly these distributions seem installed."""

    def pretend(versions: Mapping[str, str]) -> None:
        monkeypatch.setattr(runtime, "version_of", versions.get)
        spec = importlib.util.find_spec("json") if "torch" in versions else None
        monkeypatch.setattr(importlib.util, "find_spec", lambda name: spec)

    return pretend


PLAIN = {"onnxruntime": "1.31"}
GPU = {"onnxruntime-gpu": "1.31"}
TORCH = {"onnxruntime": "1.31", "torch": "2.13.0"}


@pytest.mark.parametrize(
    ("installed", "asked", "engine"),
    [
        (PLAIN, {}, EngineName.ONNX),
        (TORCH, {}, EngineName.ONNX),
        (TORCH, {"engine": "torch"}, EngineName.TORCH),
        (TORCH, {"device": "cuda:0"}, EngineName.TORCH),
        (TORCH, {"device": "mps"}, EngineName.TORCH),
        (GPU, {"device": "cuda:0"}, EngineName.ONNX),
        ({**GPU, **TORCH}, {"device": "cuda:1"}, EngineName.ONNX),
        ({**GPU, **TORCH}, {"device": "cuda:1", "precision": "fp16"}, EngineName.TORCH),
        ({**GPU, **TORCH}, {"device": "cuda:1", "checkpoints": ["align/fan"]}, EngineName.TORCH),
        (TORCH, {"checkpoints": ["align/fan"]}, EngineName.TORCH),
    ],
)
def test_the_engine_is_the_one_that_can_do_the_work(
    install: Install, installed: Mapping[str, str], asked: Mapping[str, Any], engine: EngineName
) -> None:
    install(installed)
    chosen = choose_runtime(**asked)
    assert chosen == Runtime(
        engine=engine, device=asked.get("device", "cpu"), precision=Precision(asked.get("precision", "fp32"))
    )


@pytest.mark.parametrize(
    ("installed", "asked", "words"),
    [
        (PLAIN, {"engine": "torch"}, r"faceloom\[torch\]"),
        (PLAIN, {"checkpoints": ["align/fan"]}, r"align/fan .*faceloom\[torch\]"),
        (PLAIN, {"device": "cuda:0"}, r"faceloom\[torch\]"),
        (TORCH, {"engine": "onnx", "checkpoints": ["align/fan"]}, "align/fan is a network of the engine torch"),
        (TORCH, {"engine": "onnx", "device": "cuda:0"}, "does not drive cuda"),
        (GPU, {"engine": "onnx", "device": "cuda:0", "precision": "fp16"}, "--engine torch"),
        (TORCH, {"precision": "fp16"}, "needs a card"),
        (TORCH, {"precision": "fp8"}, "fp32, tf32, fp16"),
        (TORCH, {"engine": "tensorflow"}, "onnx, torch"),
    ],
)
def test_an_engine_that_cannot_do_the_work_is_refused_with_what_would(
    install: Install, installed: Mapping[str, str], asked: Mapping[str, Any], words: str
) -> None:
    install(installed)
    with pytest.raises(RequestError, match=words):
        choose_runtime(**asked)


@pytest.mark.parametrize(
    ("installed", "kinds"),
    [
        (PLAIN, {"cpu"}),
        (GPU, {"cpu", "cuda"}),
        ({**PLAIN, "torch": "2.13.0+cpu"}, {"cpu"}),
        (TORCH, {"cpu", "cuda", "mps"}),
        ({"onnxruntime-directml": "1.24"}, {"cpu", "directml"}),
    ],
)
def test_what_is_installed_says_what_can_be_driven(
    install: Install, installed: Mapping[str, str], kinds: set[str]
) -> None:
    install(installed)
    assert drivable_kinds() == kinds


@pytest.mark.parametrize(("device", "kind", "number"), [("cpu", "cpu", 0), ("cuda:3", "cuda", 3), ("cuda", "cuda", 0)])
def test_a_device_has_a_kind_and_a_number(device: str, kind: str, number: int) -> None:
    chosen = Runtime(device=device)
    assert (chosen.kind, chosen.number) == (kind, number)
