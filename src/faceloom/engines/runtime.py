"""Runtimes: which engine runs the networks, on which device, in which arithmetic."""

import importlib.util
from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import TypeVar

from faceloom.choices import EngineName, Precision
from faceloom.errors import RequestError
from faceloom.version import version_of

Name = TypeVar("Name", bound=StrEnum)

CPU = "cpu"
ONNX_WHEELS = {
    "onnxruntime-gpu": "cuda",
    "onnxruntime-rocm": "rocm",
    "onnxruntime-migraphx": "rocm",
    "onnxruntime-directml": "directml",
    "onnxruntime-openvino": "openvino",
}
"""The distributions of ONNX Runtime that drive more than the CPU, with the kind of device that each adds."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Runtime:
    """One engine on one device."""

    engine: EngineName = EngineName.ONNX
    device: str = CPU
    """A device's name: `cpu`, `cuda:0`, `mps`."""
    precision: Precision = Precision.FP32

    @property
    def kind(self) -> str:
        """The device's name without its number."""
        return self.device.partition(":")[0]

    @property
    def number(self) -> int:
        """The device's number among those of its kind."""
        return int(self.device.partition(":")[2] or 0)


ON_CPU = Runtime()
"""The runtime that every installation has."""


def choose_runtime(
    engine: str | None = None, *, device: str = CPU, precision: str = Precision.FP32, checkpoints: Sequence[str] = ()
) -> Runtime:
    """Chooses the engine that a request means.

    Args:
        engine: `onnx` or `torch`; None for the one that can do the work, ONNX Runtime where both can.
        device: a device's name.
        precision: `fp32`, `tf32` or `fp16`.
        checkpoints: names of the stages whose networks only the engine `torch` runs.

    Raises:
        RequestError: an unknown engine or precision, or one that cannot do this work; the message says what would.
    """
    wanted = _named(EngineName, engine, "engine") if engine else None
    exactly = _named(Precision, precision, "precision")
    kind = device.partition(":")[0]
    chosen = wanted or _suitable(kind, exactly, checkpoints)
    if chosen is EngineName.ONNX:
        _refuse_onnx(kind, exactly, checkpoints)
    elif not has_torch():
        needed = f"{checkpoints[0]} is a network that" if checkpoints else "what is asked for"
        raise RequestError(f"{needed} needs PyTorch, which is not installed: pip install 'faceloom[torch]'")
    if kind == CPU and exactly is not Precision.FP32:
        raise RequestError(f"a precision of {exactly} needs a card; the CPU computes in {Precision.FP32}")
    return Runtime(engine=chosen, device=device, precision=exactly)


def drivable_kinds() -> frozenset[str]:
    """The kinds of device that an installed engine is made for; whether the driver fits shows only when it is used."""
    kinds = {CPU, *(kind for wheel, kind in ONNX_WHEELS.items() if version_of(wheel))}
    built_for = version_of("torch")
    if built_for and not built_for.endswith("+cpu"):
        kinds |= {"cuda", "mps"}
    return frozenset(kinds)


def has_torch() -> bool:
    """Whether PyTorch is installed; it is not imported for that."""
    return importlib.util.find_spec("torch") is not None


def _suitable(kind: str, precision: Precision, checkpoints: Sequence[str]) -> EngineName:
    needs_torch = checkpoints or precision is Precision.FP16 or not _onnx_drives(kind)
    return EngineName.TORCH if needs_torch else EngineName.ONNX


def _onnx_drives(kind: str) -> bool:
    return kind in {CPU, "coreml"} or any(version_of(wheel) for wheel, driven in ONNX_WHEELS.items() if driven == kind)


def _refuse_onnx(kind: str, precision: Precision, checkpoints: Sequence[str]) -> None:
    if checkpoints:
        message = f"{checkpoints[0]} is a network of the engine torch, and --engine onnx was chosen; leave it out"
        raise RequestError(message)
    if precision is Precision.FP16:
        raise RequestError(f"ONNX Runtime computes in the precision of the file; {precision} takes --engine torch")
    if not _onnx_drives(kind):
        message = f"the installed onnxruntime does not drive {kind}; see docs/gpu.md, or use --engine torch"
        raise RequestError(message)


def _named(names: type[Name], value: str, what: str) -> Name:
    try:
        return names(value)
    except ValueError as error:
        raise RequestError(f"there is no {what} {value!r}; there are: {', '.join(names)}") from error
