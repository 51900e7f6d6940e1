"""The footprints of a flow's stages: known from before, otherwise measured now, or guessed if need be."""

import hashlib
import inspect
import platform
import queue
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

from faceloom.align import Aligner
from faceloom.canvases import largest_canvas, plain
from faceloom.detect import Detector
from faceloom.errors import DeviceLostError, StageError
from faceloom.events import NOT_MEASURED, Measuring, Notice, OnEvent
from faceloom.job import Order
from faceloom.memory.footprints import Footprint, FootprintCache, on_a_card
from faceloom.memory.load import read_load
from faceloom.messages import Answer, Fatal, Guess, Lost, Measure, Measured
from faceloom.models.weights import RECIPE
from faceloom.stage import Stage
from faceloom.supervisor.workers import WorkerPool
from faceloom.targets import Target
from faceloom.units import MIB
from faceloom.version import VERSION, version_of

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


LIMIT_S = 600
"""Seconds within which a stage has to have been measured."""
_SMALL_BYTES = 128 * MIB
"""A network that fits on a card and holds more than this with one item is not measured on the host."""
_LOOK_AGAIN = 1.25
"""If a limit kept larger batches from being measured, a limit this many times as high is worth another measurement."""


class Profiler:
    """Knows what the stages of an order cost on one device of this machine."""

    def __init__(self, order: Order, target: Target, pool: WorkerPool, on_event: OnEvent) -> None:
        self._order = order
        self._target = target
        self._on_host = (
            Profiler(order, Target(runtime=target.on_host), pool, on_event) if target.on_host is not None else None
        )
        self._pool = pool
        self._on_event = on_event
        self._cache = FootprintCache(folder=order.footprints)
        self._machine = machine_traits() if target.node is None else target.node.machine

    def measure(
        self, largest: tuple[int, int], *, worker_bytes: int, device_bytes: int = 0, again: bool = False
    ) -> dict[str, Footprint]:
        """All of them, for frames whose canvas is that of `largest`: what has not been measured is measured now, and
        what cannot be is guessed.

        Args:
            worker_bytes: of the host's memory.
            device_bytes: of a device that has a memory of its own; 0 is no limit.

        Raises:
            FaceloomError: a stage cannot be loaded, or breaks its contract.
        """
        found = {}
        load = read_load()
        for stage in self._order.flow.networks:
            known = None if again else self._find(stage, largest)
            if known and known.limited_bytes and known.limited_bytes * _LOOK_AGAIN < device_bytes:
                known = None
            if known and known.is_rough(load):
                known = None
            own = known or self._measure(stage, largest, worker_bytes, device_bytes)
            host = self._on_host
            if host and _may_be_on_host(own, device_bytes):
                on_host = (None if again else host._find(stage, largest)) or host._measure(stage, largest, worker_bytes)
                own = replace(own, on_host=on_host)
            found[stage.name] = own
        return found

    def guess(self, largest: tuple[int, int]) -> dict[str, Footprint]:
        """Returns the footprints of all stages without running a network; what has not been measured is guessed."""
        found = {}
        for stage in self._order.flow.networks:
            on_host = self._on_host._known(stage, largest) if self._on_host else None
            found[stage.name] = replace(self._known(stage, largest), on_host=on_host)
        return found

    def _known(self, stage: Stage, largest: tuple[int, int]) -> Footprint:
        return self._find(stage, largest) or self._guess(stage, largest)

    def _find(self, stage: Stage, largest: tuple[int, int]) -> Footprint | None:
        return self._cache.find(self._traits(stage, largest))

    def _measure(self, stage: Stage, largest: tuple[int, int], worker_bytes: int, device_bytes: int = 0) -> Footprint:
        self._on_event(Measuring(stage=stage.name))
        weights = self._order.weights[stage.name]
        shape = network_shape(stage, largest)
        self._pool.stop()
        self._pool.start(1, on=self._target)
        (scratch,) = self._pool.workers
        scratch.send(
            Measure(
                stage=_as_measured(stage, shape),
                weights=weights,
                frame_shape=shape,
                worker_bytes=max(1, worker_bytes),
                runtime=self._target.inside,
                device_bytes=device_bytes,
            )
        )
        answer = self._answer(stage)
        if isinstance(answer, Measured):
            self._cache.keep(self._traits(stage, largest), answer.footprint)
            return answer.footprint
        if isinstance(answer, Fatal):
            raise answer.error
        if isinstance(answer, Lost):
            raise DeviceLostError(answer.reason, stage=stage.name)
        why = getattr(answer, "reason", "") or "no reason given"
        self._on_event(
            Notice(kind=NOT_MEASURED, text=f"{stage.name} cannot be measured ({why}); guessing what it needs")
        )
        return self._guess(stage, largest)

    def _answer(self, stage: Stage) -> Answer:
        """What the scratch process answers, which is ended then, or when it has taken longer than any network should.

        Raises:
            StageError: it has.
        """
        try:
            _, _, answer = self._pool.receive(within_s=LIMIT_S)
        except queue.Empty as error:
            message = f"{stage.name} has not been measured within {LIMIT_S} s: its network may never end"
            raise StageError(message, stage=stage.name) from error
        finally:
            self._pool.stop()
        return answer

    def _guess(self, stage: Stage, largest: tuple[int, int]) -> Footprint:
        self._pool.stop()
        self._pool.start(1)
        (scratch,) = self._pool.workers
        scratch.send(
            Guess(stage=stage, weights=self._order.weights[stage.name], frame_shape=network_shape(stage, largest))
        )
        answer = self._answer(stage)
        if not isinstance(answer, Measured):
            raise StageError(f"{stage.name} cannot be looked at: {getattr(answer, 'reason', answer)}", stage=stage.name)
        return on_a_card(answer.footprint) if self._target.has_memory else answer.footprint

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
            "runtime": asdict(self._target.inside),
            "threads": 1,
            **({"device": self._target.device.label} if self._target.has_memory else {}),
            **self._machine,
        }


def _may_be_on_host(own: Footprint, device_bytes: int) -> bool:
    """Whether it is worth knowing what a stage costs on the host instead: it is small, or too large for the device."""
    alone = own.weights_bytes + own.fixed_bytes + own.item_bytes
    return alone <= _SMALL_BYTES or 0 < device_bytes < own.process_bytes + alone


def network_shape(stage: Stage, frame: tuple[int, int]) -> tuple[int, int]:
    """Height and width of the largest canvas that a detector makes of a frame; no other stage depends on frames."""
    plugin = stage.plugin
    return largest_canvas(plugin, *frame) if isinstance(plugin, Detector) else (0, 0)


def _as_measured(stage: Stage, shape: tuple[int, int]) -> Stage:
    """The stage without what makes no difference to what it costs.

    Of a detector one look at a canvas of this shape is left, since a frame's other looks are no larger.
    """
    match stage.plugin:
        case Detector() as detector:
            return replace(stage, plugin=plain(detector, shape))
        case Aligner() as aligner:
            return replace(stage, plugin=replace(aligner, filters=()))
    return stage


def _code_sha256(stage: Stage) -> str:
    """The sha256 of the plugin's own file, so that a plugin that is being written is measured again."""
    try:
        return hashlib.sha256(Path(inspect.getfile(type(stage.plugin))).read_bytes()).hexdigest()
    except (OSError, TypeError):
        return ""


def machine_traits() -> dict[str, Any]:
    """What tells this machine from those on which a stage may cost something else."""
    return {
        "packages": {name: version_of(name) for name in _PACKAGES},
        "faceloom": VERSION,
        "python": platform.python_version(),
        "cpu": _cpu_model(),
        # Not platform.platform(), which asks another program what the processor is called.
        "system": " ".join((platform.system(), platform.release(), platform.machine())),
    }


def _cpu_model() -> str:
    try:
        lines = _CPU_INFO.read_text().splitlines()
    except OSError:
        return platform.processor() or platform.machine()
    return next((line.partition(":")[2].strip() for line in lines if line.startswith("model name")), platform.machine())
