"""Footprints of a flow's stages: found where they were measured before, measured otherwise, guessed if need be."""

import hashlib
import inspect
import platform
from dataclasses import asdict, replace
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

from faceloom.detect import Detector
from faceloom.errors import StageError
from faceloom.memory.footprints import Footprint, FootprintCache
from faceloom.models.weights import RECIPE
from faceloom.run.crew import Crew
from faceloom.run.events import NOT_MEASURED, Measuring, Notice, OnEvent
from faceloom.run.job import Order
from faceloom.run.looking import largest_canvas, plain
from faceloom.run.messages import Guess, Measure, Measured
from faceloom.stage import Stage
from faceloom.version import VERSION

_PACKAGES = (
    "onnxruntime",
    "onnxruntime-gpu",
    "torch",
    "numpy",
    "opencv-python-headless",
    "opencv-python",
    "av",
    "pillow",
    "simplejpeg",
)
_CPU_INFO = Path("/proc/cpuinfo")


class Profiler:
    """Knows what the stages of an order cost on this machine."""

    def __init__(self, order: Order, crew: Crew, on_event: OnEvent) -> None:
        self._order = order
        self._crew = crew
        self._on_event = on_event
        self._cache = FootprintCache(folder=order.footprints)
        self._machine = _machine()

    def find(self, largest: tuple[int, int]) -> dict[str, Footprint]:
        """Those that have been measured, by stage name, for frames whose canvas is that of `largest`."""
        found = {stage.name: self._cache.find(self._traits(stage, largest)) for stage in self._order.flow.networks}
        return {name: footprint for name, footprint in found.items() if footprint is not None}

    def measure(self, largest: tuple[int, int], *, limit_bytes: int, again: bool = False) -> dict[str, Footprint]:
        """All of them: what has not been measured is measured now, and what cannot be is guessed.

        Raises:
            FaceloomError: a stage cannot be loaded, or breaks its contract.
        """
        known = {} if again else self.find(largest)
        return {
            stage.name: known.get(stage.name) or self._measure(stage, largest, limit_bytes)
            for stage in self._order.flow.networks
        }

    def guess(self, largest: tuple[int, int]) -> dict[str, Footprint]:
        """All of them, without running a network: what has not been measured is guessed."""
        known = self.find(largest)
        return {stage.name: known.get(stage.name) or self._guess(stage, largest) for stage in self._order.flow.networks}

    def _measure(self, stage: Stage, largest: tuple[int, int], limit_bytes: int) -> Footprint:
        self._on_event(Measuring(stage=stage.name))
        weights = self._order.weights[stage.name]
        shape = network_shape(stage, largest)
        self._crew.dismiss()
        self._crew.hire(1)
        (scratch,) = self._crew.members
        scratch.send(
            Measure(
                stage=_as_measured(stage, shape),
                weights=weights,
                frame_shape=shape,
                limit_bytes=max(1, limit_bytes),
                runtime=self._order.runtime,
            )
        )
        _, _, answer = self._crew.receive()
        self._crew.dismiss()
        if isinstance(answer, Measured):
            self._cache.keep(self._traits(stage, largest), answer.footprint)
            return answer.footprint
        why = getattr(answer, "reason", "") or "no reason given"
        self._on_event(
            Notice(kind=NOT_MEASURED, text=f"{stage.name} cannot be measured ({why}); guessing what it needs")
        )
        return self._guess(stage, largest)

    def _guess(self, stage: Stage, largest: tuple[int, int]) -> Footprint:
        self._crew.hire(1)
        (scratch,) = self._crew.members
        scratch.send(
            Guess(stage=stage, weights=self._order.weights[stage.name], frame_shape=network_shape(stage, largest))
        )
        _, _, answer = self._crew.receive()
        self._crew.dismiss()
        if not isinstance(answer, Measured):
            raise StageError(f"{stage.name} cannot be looked at: {getattr(answer, 'reason', answer)}", stage=stage.name)
        return answer.footprint

    def _traits(self, stage: Stage, largest: tuple[int, int]) -> dict[str, Any]:
        """Everything that what a stage costs depends on."""
        weights = stage.weights
        assert weights is not None
        shape = network_shape(stage, largest)
        return {
            "stage": stage.name,
            "code": _code_sha256(stage),
            "options": _as_measured(stage, shape).plugin.options,
            "weights": weights.sha256,
            "recipe": RECIPE,
            "shape": shape,
            "runtime": asdict(self._order.runtime),
            "threads": 1,
            **self._machine,
        }


def network_shape(stage: Stage, frame: tuple[int, int]) -> tuple[int, int]:
    """Height and width of the largest canvas that a detector makes of a frame; no other stage depends on frames."""
    plugin = stage.plugin
    return largest_canvas(plugin, *frame) if isinstance(plugin, Detector) else (0, 0)


def _as_measured(stage: Stage, shape: tuple[int, int]) -> Stage:
    """The stage with nothing but one look at a canvas of this shape: a frame's other looks are no larger."""
    return replace(stage, plugin=plain(stage.plugin, shape)) if isinstance(stage.plugin, Detector) else stage


def _code_sha256(stage: Stage) -> str:
    """Of the plugin's own file: a plugin that is being written is measured again."""
    try:
        return hashlib.sha256(Path(inspect.getfile(type(stage.plugin))).read_bytes()).hexdigest()
    except (OSError, TypeError):
        return ""


def _machine() -> dict[str, Any]:
    return {
        "packages": {name: _version(name) for name in _PACKAGES},
        "faceloom": VERSION,
        "python": platform.python_version(),
        "cpu": _cpu_model(),
        # Not platform.platform(), which asks another program what the processor is called.
        "system": " ".join((platform.system(), platform.release(), platform.machine())),
    }


def _version(name: str) -> str | None:
    try:
        return version(name)
    except PackageNotFoundError:
        return None


def _cpu_model() -> str:
    try:
        lines = _CPU_INFO.read_text().splitlines()
    except OSError:
        return platform.processor() or platform.machine()
    return next((line.partition(":")[2].strip() for line in lines if line.startswith("model name")), platform.machine())
