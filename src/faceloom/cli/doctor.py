"""`faceloom doctor`: whether this machine can do the work, and what to mend if not."""

import argparse
import importlib.metadata
import importlib.util
import json
import os
import platform
import shutil
import sys
import tempfile
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass
from enum import StrEnum
from pathlib import Path
from typing import Any

from faceloom.units import GIB, format_bytes

_LEAST_RAM_BYTES = GIB // 2
_LEAST_DISK_BYTES = GIB
_DECODERS = ("h264", "hevc", "vp8", "vp9", "av1", "mpeg4", "mpeg2video", "mjpeg", "gif")
_OPENCV_WHEELS = (
    "opencv-python",
    "opencv-python-headless",
    "opencv-contrib-python",
    "opencv-contrib-python-headless",
)
_ENGINE_WHEELS = ("onnxruntime", "onnxruntime-gpu", "onnxruntime-openvino", "onnxruntime-directml")


class Verdict(StrEnum):
    """How a check ended."""

    OK = "ok"
    NOTE = "note"
    WRONG = "WRONG"


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """One check: what was found, and what to do about it."""

    name: str
    verdict: Verdict
    found: str
    fix: str = ""


def add_parsers(commands: Any) -> None:
    """Adds this module's command."""
    parser = commands.add_parser(
        "doctor",
        help="check this machine: engine, codecs, cores, memory, cache, disk, GPU",
        description="Checks whether this machine can do the work, by doing a little of it, and says what to mend.",
    )
    parser.set_defaults(run=run)
    parser.add_argument("--json", action="store_true", help="print one JSON document")


def run(chosen: argparse.Namespace) -> int:
    """Prints every finding; 3 if something has to be mended first."""
    findings = [finding for check in _CHECKS for finding in _survive(check)]
    if chosen.json:
        print(json.dumps([asdict(finding) for finding in findings]))
    else:
        for finding in findings:
            print(f"{finding.verdict:<6} {finding.name:<10} {finding.found}")
            if finding.fix:
                print(f"{'':<17} -> {finding.fix}")
    return 3 if any(finding.verdict is Verdict.WRONG for finding in findings) else 0


def _survive(check: Callable[[], Iterator[Finding]]) -> list[Finding]:
    """A check that breaks is a finding, not the end of the others."""
    try:
        return list(check())
    except Exception as error:  # whatever a broken installation may raise
        name = check.__name__.removeprefix("_check_")
        return [
            Finding(
                name=name,
                verdict=Verdict.WRONG,
                found=f"{type(error).__name__}: {error}",
                fix="reinstall faceloom",
            )
        ]


def _check_python() -> Iterator[Finding]:
    found = f"{platform.python_version()} on {platform.system()} {platform.machine()}, {sys.executable}"
    yield Finding(name="python", verdict=Verdict.OK, found=found)
    if importlib.util.find_spec("pip") is None:
        fix = "python -m ensurepip (or put the weights into a folder and name it in FACELOOM_WEIGHTS)"
        yield Finding(
            name="pip",
            verdict=Verdict.NOTE,
            found="not in this environment: weights in wheels cannot be fetched",
            fix=fix,
        )


def _check_packages() -> Iterator[Finding]:
    for wheels, module in ((_OPENCV_WHEELS, "cv2"), (_ENGINE_WHEELS, "onnxruntime")):
        installed = [wheel for wheel in wheels if _version(wheel)]
        names = ", ".join(f"{wheel} {_version(wheel)}" for wheel in installed)
        if len(installed) > 1:
            fix = (
                f"pip uninstall {' '.join(installed)}, then install the one you want: they overwrite each other's files"
            )
            yield Finding(name="packages", verdict=Verdict.WRONG, found=f"{names} all provide {module}", fix=fix)
        else:
            yield Finding(name="packages", verdict=Verdict.OK, found=names)


def _check_engine() -> Iterator[Finding]:
    """Runs a small network on every provider that claims to be there."""
    import onnxruntime

    from faceloom.engines.onnx import PROVIDERS

    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "probe.onnx"
        path.write_bytes(_probe_network())
        for device, (provider, _) in PROVIDERS.items():
            if provider in onnxruntime.get_available_providers():
                yield _try_engine(device, path)


def _try_engine(device: str, path: Path) -> Finding:
    import numpy as np

    from faceloom.engines.runtime import Runtime
    from faceloom.engines.start import start_engine

    engine = start_engine(Runtime(device=device))
    image = np.arange(16, dtype=np.float32).reshape(1, 1, 4, 4)
    answer = engine.load(path)({"image": image})["sum"]
    right = answer.shape == (1, 1, 2, 2) and answer[0, 0, 0, 0] == image[0, 0, :3, :3].sum()
    verdict = Verdict.OK if right else Verdict.WRONG
    fix = "" if right else "reinstall onnxruntime"
    return Finding(
        name="engine",
        verdict=verdict,
        found=f"{engine.version} on {device}: {'runs' if right else 'answers wrongly'}",
        fix=fix,
    )


def _probe_network() -> bytes:
    import numpy as np
    from onnx import TensorProto, helper, numpy_helper

    node = helper.make_node("Conv", ["image", "ones"], ["sum"])
    ones = numpy_helper.from_array(np.ones((1, 1, 3, 3), np.float32), "ones")
    values = [helper.make_tensor_value_info(name, TensorProto.FLOAT, ["n", 1, "h", "w"]) for name in ("image", "sum")]
    graph = helper.make_graph([node], "probe", values[:1], values[1:], [ones])
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 13)], ir_version=8)
    return bytes(model.SerializeToString())


def _check_codecs() -> Iterator[Finding]:
    import av

    missing = [name for name in _DECODERS if name not in av.codecs_available]
    found = f"PyAV {av.__version__}: " + (
        f"no decoder for {', '.join(missing)}" if missing else "every common video codec"
    )
    yield Finding(name="codecs", verdict=Verdict.NOTE if missing else Verdict.OK, found=found)


def _check_cores() -> Iterator[Finding]:
    from faceloom.memory.cores import usable_cores

    yield Finding(name="cores", verdict=Verdict.OK, found=f"{usable_cores()} usable of {os.cpu_count()}")


def _check_memory() -> Iterator[Finding]:
    from faceloom.memory.ram import read_ram

    ram = read_ram()
    if ram is None:
        yield Finding(name="memory", verdict=Verdict.NOTE, found="this system does not tell how much memory is free")
        return
    limited = ", limited by a cgroup" if ram.is_limited else ""
    found = f"{format_bytes(ram.available_bytes)} free of {format_bytes(ram.total_bytes)}{limited}"
    short = ram.available_bytes < _LEAST_RAM_BYTES
    fix = (
        f"close other programs or raise the limit: the default flow takes about {format_bytes(_LEAST_RAM_BYTES)}"
        if short
        else ""
    )
    yield Finding(name="memory", verdict=Verdict.WRONG if short else Verdict.OK, found=found, fix=fix)


def _check_weights() -> Iterator[Finding]:
    from faceloom.api import make_flow
    from faceloom.models.weights import WeightCache

    cache = WeightCache.of_user()
    mirrors = f", also looking in {', '.join(map(str, cache.mirrors))}" if cache.mirrors else ""
    cache.folder.mkdir(parents=True, exist_ok=True)
    writable = os.access(cache.folder, os.W_OK)
    yield Finding(
        name="cache",
        verdict=Verdict.OK if writable else Verdict.WRONG,
        found=f"{cache.folder}{mirrors}" + ("" if writable else ", which cannot be written"),
        fix="" if writable else "make it writable, or name another folder in FACELOOM_CACHE",
    )
    missing = [
        stage.name for stage in make_flow({}).networks if stage.plugin.weights and not cache.find(stage.plugin.weights)
    ]
    if missing:
        found = f"of the default flow, not fetched yet: {', '.join(missing)}"
        yield Finding(
            name="weights",
            verdict=Verdict.NOTE,
            found=found,
            fix="faceloom pull (or let the first run fetch them)",
        )
    else:
        yield Finding(name="weights", verdict=Verdict.OK, found="the default flow's are on this machine")


def _check_disk() -> Iterator[Finding]:
    free = shutil.disk_usage(Path.cwd()).free
    short = free < _LEAST_DISK_BYTES
    fix = "free some space, or choose an --out on another disk" if short else ""
    found = f"{format_bytes(free)} free in the current folder"
    yield Finding(name="disk", verdict=Verdict.NOTE if short else Verdict.OK, found=found, fix=fix)


def _check_gpu() -> Iterator[Finding]:
    from faceloom.memory.devices import find_devices, gpu_problem

    cards = [device for device in find_devices() if device.kind != "cpu"]
    for card in cards:
        found = f"{card.name}: {card.label}, {format_bytes(card.free_bytes)} of {format_bytes(card.total_bytes)} free"
        yield Finding(name="gpu", verdict=Verdict.NOTE, found=f"{found}; this version runs on the CPU")
    if not cards:
        yield Finding(name="gpu", verdict=Verdict.OK, found=f"none; running on the CPU ({gpu_problem()})")


def _version(package: str) -> str | None:
    try:
        return importlib.metadata.version(package)
    except importlib.metadata.PackageNotFoundError:
        return None


_CHECKS = (
    _check_python,
    _check_packages,
    _check_engine,
    _check_codecs,
    _check_cores,
    _check_memory,
    _check_weights,
    _check_disk,
    _check_gpu,
)
