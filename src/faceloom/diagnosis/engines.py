"""What `faceloom doctor` says of engines and cards: whether they run, what keeps them from it, and the fix."""

import ctypes
import importlib
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

from faceloom.diagnosis.findings import Finding, Verdict
from faceloom.version import version_of

_ENGINE_WHEELS = (
    "onnxruntime",
    "onnxruntime-gpu",
    "onnxruntime-rocm",
    "onnxruntime-migraphx",
    "onnxruntime-directml",
    "onnxruntime-openvino",
)
_CUDNN = 9  # since ONNX Runtime 1.19
_SWAP = "pip uninstall -y onnxruntime && pip install --force-reinstall --no-deps"


def check_wheels() -> Iterator[Finding]:
    """Several distributions of ONNX Runtime in one environment overwrite each other's files."""
    installed = [wheel for wheel in _ENGINE_WHEELS if version_of(wheel)]
    names = ", ".join(f"{wheel} {version_of(wheel)}" for wheel in installed)
    if len(installed) < 2:
        yield Finding(name="wheels", verdict=Verdict.OK, found=names or "no ONNX Runtime")
        return
    wanted = next((wheel for wheel in installed if wheel != "onnxruntime"), installed[0])
    others = " ".join(wheel for wheel in installed if wheel != wanted)
    yield Finding(
        name="wheels",
        verdict=Verdict.WRONG,
        found=f"{names} are one package under several names: the one installed last has overwritten the others' files",
        fix=f"pip uninstall -y {others} && pip install --force-reinstall --no-deps {wanted}",
    )


def check_onnx() -> Iterator[Finding]:
    """Runs a small network on every provider that claims to be there."""
    import onnxruntime

    from faceloom.engines.onnx import PROVIDERS

    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "probe.onnx"
        path.write_bytes(_probe_network())
        for kind, (provider, _) in PROVIDERS.items():
            if provider in onnxruntime.get_available_providers():
                yield _try_onnx(kind, path)


def _try_onnx(kind: str, path: Path) -> Finding:
    import numpy as np

    from faceloom.engines.runtime import Runtime
    from faceloom.engines.start import start_engine

    engine = start_engine(Runtime(device=kind))
    image = np.arange(16, dtype=np.float32).reshape(1, 1, 4, 4)
    try:
        answer = engine.load(path)({"image": image})["sum"]
    except Exception as error:  # whatever a provider raises that cannot start
        found = f"{engine.version} on {kind}: {str(error).splitlines()[0]}"
        why, fix = _cuda_trouble() if kind == "cuda" else ("", f"reinstall the wheel of ONNX Runtime for {kind}")
        return Finding(name="engine", verdict=Verdict.WRONG, found=f"{found}{why}", fix=fix)
    right = answer.shape == (1, 1, 2, 2) and answer[0, 0, 0, 0] == image[0, 0, :3, :3].sum()
    return Finding(
        name="engine",
        verdict=Verdict.OK if right else Verdict.WRONG,
        found=f"{engine.version} on {kind}: {'runs' if right else 'answers wrongly'}",
        fix="" if right else "reinstall onnxruntime",
    )


def _cuda_trouble() -> tuple[str, str]:
    """Why CUDA does not start, and the fix: a driver that is too old, a library that is not there."""
    import onnxruntime

    built_for = onnxruntime.cuda_version or "12"
    major = int(built_for.partition(".")[0])
    driver = driver_cuda()
    if driver is not None and driver[0] < major:
        knows = ".".join(map(str, driver))
        fix = f"update the NVIDIA driver, or install an onnxruntime-gpu that was built for CUDA {driver[0]}"
        return f"; it was built for CUDA {built_for}, and the driver knows CUDA {knows}", fix
    missing = [name for name in _libraries(major) if not _loads(name)]
    if missing:
        fix = "pip install 'onnxruntime-gpu[cuda,cudnn]', which brings them along"
        return f"; it was built for CUDA {built_for} and cuDNN {_CUDNN}, and {', '.join(missing)} cannot be loaded", fix
    if driver is None:
        return "; no NVIDIA driver answers", "install the NVIDIA driver, or run with --device cpu"
    return "", "see docs/gpu.md, or run with --device cpu"


def _libraries(cuda: int) -> tuple[str, ...]:
    if sys.platform == "win32":
        return f"cudart64_{cuda}.dll", f"cublasLt64_{cuda}.dll", f"cudnn64_{_CUDNN}.dll"
    return f"libcudart.so.{cuda}", f"libcublasLt.so.{cuda}", f"libcudnn.so.{_CUDNN}"


def _loads(library: str) -> bool:
    try:
        ctypes.CDLL(library)
    except OSError:
        return False
    return True


def driver_cuda() -> tuple[int, int] | None:
    """The newest CUDA that the NVIDIA driver knows; None if none answers."""
    try:
        nvml = importlib.import_module("pynvml")
        nvml.nvmlInit()
        try:
            number = int(nvml.nvmlSystemGetCudaDriverVersion())  # 12040 is 12.4
        finally:
            nvml.nvmlShutdown()
    except Exception:  # no binding, no driver, or one that is out of order
        return None
    return number // 1000, number % 1000 // 10


def check_torch() -> Iterator[Finding]:
    """What PyTorch drives, where it is installed."""
    if not version_of("torch"):
        return
    import torch

    built_for = torch.version.cuda or torch.version.hip
    if torch.cuda.is_available():
        names = [torch.cuda.get_device_name(i) for i in range(torch.cuda.device_count())]
        found = f"torch {torch.__version__} drives {', '.join(names)}"
        yield Finding(name="torch", verdict=Verdict.OK, found=found)
    elif built_for:
        driver = driver_cuda()
        knows = f"the driver knows CUDA {driver[0]}.{driver[1]}" if driver else "no NVIDIA driver answers"
        yield Finding(
            name="torch",
            verdict=Verdict.NOTE,
            found=f"torch {torch.__version__} was built for {built_for} and drives no card: {knows}",
            fix="update the driver, or install the build of PyTorch for it (pytorch.org/get-started)",
        )
    else:
        yield Finding(name="torch", verdict=Verdict.OK, found=f"torch {torch.__version__} on the CPU")


def check_cards() -> Iterator[Finding]:
    """The cards, and whether anything that is installed drives them."""
    from faceloom.engines.runtime import drivable_kinds
    from faceloom.memory.devices import find_devices, gpu_problem
    from faceloom.units import format_bytes

    cards = [device for device in find_devices() if device.kind != "cpu"]
    for card in cards:
        found = f"{card.name}: {card.label}, {format_bytes(card.free_bytes)} of {format_bytes(card.total_bytes)} free"
        if card.kind in drivable_kinds():
            yield Finding(name="gpu", verdict=Verdict.OK, found=found)
        else:
            fix = f"pip install 'faceloom[torch]', or {_SWAP} onnxruntime-gpu"
            yield Finding(name="gpu", verdict=Verdict.NOTE, found=f"{found}; nothing installed drives it", fix=fix)
    if not cards:
        yield Finding(name="gpu", verdict=Verdict.OK, found=f"none; running on the CPU ({gpu_problem()})")


def _probe_network() -> bytes:
    import numpy as np
    from onnx import TensorProto, helper, numpy_helper

    node = helper.make_node("Conv", ["image", "ones"], ["sum"])
    ones = numpy_helper.from_array(np.ones((1, 1, 3, 3), np.float32), "ones")
    values = [helper.make_tensor_value_info(name, TensorProto.FLOAT, ["n", 1, "h", "w"]) for name in ("image", "sum")]
    graph = helper.make_graph([node], "probe", values[:1], values[1:], [ones])
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 13)], ir_version=8)
    return bytes(model.SerializeToString())
