import ctypes
import sys
from collections.abc import Callable, Mapping
from types import ModuleType
from typing import Any

import onnxruntime
import pytest

from faceloom.diagnosis import engines
from faceloom.diagnosis.engines import check_cards, check_onnx, check_torch, check_wheels
from faceloom.diagnosis.findings import Finding, Verdict
from faceloom.engines import runtime

Install = Callable[[Mapping[str, str]], None]


@pytest.fixture
def install(monkeypatch: pytest.MonkeyPatch) -> Install:
    """Makes exactly these distributions seem installed."""

    def pretend(versions: Mapping[str, str]) -> None:
        monkeypatch.setattr(engines, "version_of", versions.get)
        monkeypatch.setattr(runtime, "version_of", versions.get)

    return pretend


@pytest.fixture
def nvml(monkeypatch: pytest.MonkeyPatch) -> None:
    """A driver of one card that knows CUDA 12.4."""
    module: Any = ModuleType("pynvml")
    module.NVMLError = type("NVMLError", (Exception,), {})
    module.nvmlInit = module.nvmlShutdown = lambda: None
    module.nvmlSystemGetCudaDriverVersion = lambda: 12040
    module.nvmlDeviceGetCount = lambda: 1
    module.nvmlDeviceGetHandleByIndex = lambda i: i
    module.nvmlDeviceGetName = lambda handle: "Simulated"
    module.nvmlDeviceGetUUID = lambda handle: "GPU-1"
    module.nvmlDeviceGetMemoryInfo = lambda handle: type("Memory", (), {"total": 8 << 30, "free": 5 << 30})
    monkeypatch.setitem(sys.modules, "pynvml", module)
    monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)


@pytest.fixture
def broken_cuda(monkeypatch: pytest.MonkeyPatch) -> None:
    """An onnxruntime-gpu for CUDA 12 whose sessions quietly come out on the CPU."""
    real = onnxruntime.InferenceSession

    def on_cpu(path: str, options: Any, providers: Any) -> Any:
        return real(path, onnxruntime.SessionOptions(), providers=["CPUExecutionProvider"])

    providers = ["CUDAExecutionProvider", "CPUExecutionProvider"]
    monkeypatch.setattr(onnxruntime, "get_available_providers", lambda: providers)
    monkeypatch.setattr(onnxruntime, "cuda_version", "12.8")
    monkeypatch.setattr(onnxruntime, "preload_dlls", lambda: None)
    monkeypatch.setattr(onnxruntime, "create_and_register_allocator_v2", lambda *_: None)
    monkeypatch.setattr(onnxruntime, "InferenceSession", on_cpu)


def loadable(monkeypatch: pytest.MonkeyPatch, *, but: str) -> None:
    real = ctypes.CDLL

    def load(name: str | None) -> Any:
        if name and but in name:
            raise OSError(f"{name}: cannot open shared object file")
        return object() if name else real(name)

    monkeypatch.setattr(ctypes, "CDLL", load)


def of_cuda() -> Finding:
    (found,) = (finding for finding in check_onnx() if "on cuda" in finding.found)
    return found


def test_one_wheel_is_right(install: Install) -> None:
    install({"onnxruntime": "1.31"})
    (finding,) = check_wheels()
    assert finding.verdict is Verdict.OK


def test_two_wheels_clash_and_the_fix_keeps_the_one_that_drives_more(install: Install) -> None:
    install({"onnxruntime": "1.31", "onnxruntime-gpu": "1.30"})
    (finding,) = check_wheels()
    assert finding.verdict is Verdict.WRONG
    assert "onnxruntime 1.31, onnxruntime-gpu 1.30" in finding.found
    assert finding.fix == "pip uninstall -y onnxruntime && pip install --force-reinstall --no-deps onnxruntime-gpu"


@pytest.mark.usefixtures("broken_cuda", "nvml")
def test_a_session_that_came_out_on_the_cpu_is_wrong_and_the_missing_library_is_named(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    loadable(monkeypatch, but="cudnn")
    found = of_cuda()
    assert found.verdict is Verdict.WRONG
    assert "not on CUDAExecutionProvider" in found.found
    assert "CUDA 12.8 and cuDNN 9, and libcudnn.so.9 cannot be loaded" in found.found
    assert "onnxruntime-gpu[cuda,cudnn]" in found.fix


@pytest.mark.usefixtures("broken_cuda", "nvml")
def test_a_driver_that_is_too_old_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(onnxruntime, "cuda_version", "13.0")
    loadable(monkeypatch, but="nothing")
    found = of_cuda()
    assert "built for CUDA 13.0, and the driver knows CUDA 12.4" in found.found
    assert "update the NVIDIA driver" in found.fix


@pytest.mark.usefixtures("broken_cuda")
def test_no_driver_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "pynvml", None)
    loadable(monkeypatch, but="nothing")
    assert "no NVIDIA driver answers" in of_cuda().found


@pytest.mark.usefixtures("broken_cuda", "nvml")
def test_the_cpu_beside_a_broken_card_is_still_well() -> None:
    verdicts = {finding.found.partition(" on ")[2].partition(":")[0]: finding.verdict for finding in check_onnx()}
    assert verdicts["cpu"] is Verdict.OK


@pytest.mark.usefixtures("nvml")
def test_a_card_that_nothing_drives_comes_with_what_would(install: Install) -> None:
    install({"onnxruntime": "1.31"})
    (finding,) = check_cards()
    assert "nothing installed drives it" in finding.found
    assert "faceloom[torch]" in finding.fix
    assert "onnxruntime-gpu" in finding.fix


@pytest.mark.usefixtures("nvml")
@pytest.mark.parametrize("wheel", [{"onnxruntime-gpu": "1.31"}, {"torch": "2.13.0+cu128"}])
def test_a_card_that_an_engine_drives_needs_nothing(install: Install, wheel: Mapping[str, str]) -> None:
    install(wheel)
    (finding,) = check_cards()
    assert not finding.fix


def test_without_pytorch_there_is_nothing_to_say_of_it(install: Install) -> None:
    install({"onnxruntime": "1.31"})
    assert not list(check_torch())


@pytest.mark.usefixtures("nvml")
def test_a_pytorch_for_cards_that_drives_none_says_what_the_driver_knows(monkeypatch: pytest.MonkeyPatch) -> None:
    torch = pytest.importorskip("torch", reason="PyTorch is not installed")
    monkeypatch.setattr(torch.version, "cuda", "13.0")
    (finding,) = check_torch()
    assert "built for 13.0 and drives no card: the driver knows CUDA 12.4" in finding.found
