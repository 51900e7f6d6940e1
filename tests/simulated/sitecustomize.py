"""Makes cards of the engine of the CPU, in every process that has this folder on its path.

A network's answers are those of ONNX Runtime on the CPU. What it holds of the card is made up, and kept to: the size of
its file, and of each call a multiple of what goes in. The file `orders` in a card's folder has it fail.
"""

import json
import os
import signal
import subprocess
import sys
import threading
import time
import weakref
from contextlib import suppress
from pathlib import Path
from typing import Any

import numpy as np
import pynvml  # type: ignore[import-not-found]  # the one beside this
from numpy.typing import NDArray

from faceloom.engines import runtime as runtimes
from faceloom.engines import start
from faceloom.engines.engine import Engine, Network
from faceloom.engines.runtime import ON_CPU, Runtime
from faceloom.engines.turns import Turns
from faceloom.errors import DeviceLostError
from faceloom.memory import devices
from faceloom.stage import Tensors
from faceloom.version import version_of

CONTEXT_BYTES = 96 << 20
"""Of a card, by a process that has run anything on it."""
CALL_FACTOR = 4
"""Bytes that a call holds, for each byte that goes in."""

_start_engine = start.start_engine


def start_engine(runtime: Runtime, *, arena_bytes: int = 0, weights_bytes: int = 0) -> Engine:
    """A simulated card's engine, or the true one."""
    if runtime.kind != "cuda":
        return _start_engine(runtime, arena_bytes=arena_bytes, weights_bytes=weights_bytes)
    return SimulatedEngine(runtime, arena_bytes=arena_bytes)


def version(package: str) -> str | None:
    """Whether a package is installed; the one that drives cards is."""
    return "1.0" if package == "onnxruntime-gpu" else version_of(package)


class SimulatedEngine:
    """The CPU's engine, which counts what it would hold of a card."""

    version = "simulated 1.0"

    def __init__(self, wanted: Runtime, *, arena_bytes: int) -> None:
        self._host = _start_engine(ON_CPU)
        self._arena_bytes = arena_bytes
        (device,) = (device for device in devices.find_devices() if device.name == wanted.device)
        self._card = next(card for card in pynvml.cards() if f"GPU-{card.name}" == device.uuid)
        self.total_bytes = device.total_bytes
        self._weights = 0
        self._block = 0
        self.turns = Turns()
        self._settings = json.loads((self._card / "card.json").read_text())
        self.peak_bytes = 0

    @property
    def memory(self) -> "SimulatedEngine":
        return self

    @property
    def held_bytes(self) -> int:
        return self._weights + self._block

    @property
    def free_bytes(self) -> int:
        self._tell()  # to ask makes a context
        return self.total_bytes - int(pynvml.held_bytes(self._card))

    @property
    def pinned_bytes(self) -> int:
        return 0

    @property
    def busy_s(self) -> float:
        return self.turns.busy_s

    def reset_peak(self) -> None:
        self.peak_bytes = self.held_bytes

    def load(self, path: Path, network: str = "") -> Network:
        size = path.stat().st_size
        self._take(weights=size)
        loaded = self._loaded(path, network)
        weakref.finalize(loaded, self._give_back, size)
        return loaded

    def _loaded(self, path: Path, network: str) -> Network:
        items = self._settings.get("items")
        if "call_s" in self._settings:
            return WaitingNetwork(self, path, self._settings)
        loaded = self._host.load(path, network)
        return RecordingNetwork(self, loaded, Path(items) / path.stem) if items else SimulatedNetwork(self, loaded)

    def reserve(self, size_bytes: int) -> None:
        self._take(block=size_bytes)

    def shrink(self) -> None:
        self._host.shrink()
        self._block = 0
        self._tell()

    def call(self, inputs: Tensors) -> None:
        """What a call does to the card."""
        self._obey()
        self._take(block=CALL_FACTOR * sum(values.nbytes for values in inputs.values()))

    def _take(self, *, weights: int = 0, block: int = 0) -> None:
        more = weights + max(0, block - self._block)
        held = self.held_bytes + more
        if (self._arena_bytes and held > self._arena_bytes) or more > self.free_bytes:
            raise MemoryError(f"simulated card: {more} bytes more are not to be had")
        self._weights += weights
        self._block = max(self._block, block)
        self.peak_bytes = max(self.peak_bytes, held)
        self._tell()

    def _give_back(self, size: int) -> None:
        self._weights -= size
        self._tell()

    def _tell(self) -> None:
        (self._card / str(os.getpid())).write_text(str(CONTEXT_BYTES + self.held_bytes))

    def _obey(self) -> None:
        """Does once, or as often as it says, or always, what somebody has written down for this card."""
        file = self._card / "orders"
        with suppress(FileNotFoundError):
            order, _, times = file.read_text().partition(" ")
            if not order:  # it is being written
                return
            if times != "always":
                left = int(times or 1) - 1
                file.write_text(f"{order} {left}") if left > 0 else file.unlink()
            if order == "die":
                os.kill(os.getpid(), signal.SIGKILL)
            if order == "fail":
                raise DeviceLostError("simulated card: unspecified launch failure")
            if order == "refuse":
                raise MemoryError("simulated card: out of memory")


class SimulatedNetwork:
    """A network whose calls the card counts."""

    def __init__(self, card: SimulatedEngine, network: Network) -> None:
        self._card = card
        self._network = network

    def __call__(self, inputs: Tensors) -> Tensors:
        with self._card.turns.place(), self._card.turns.turn():
            self._card.call(inputs)
            return self._network(inputs)


class RecordingNetwork(SimulatedNetwork):
    """A network that keeps one item of each shape that it was given, the last one."""

    def __init__(self, card: SimulatedEngine, network: Network, items: Path) -> None:
        super().__init__(card, network)
        self._items = items

    def __call__(self, inputs: Tensors) -> Tensors:
        for name, values in inputs.items():
            np.savez(_item(self._items, values), allow_pickle=False, **{name: values[:1]})
        return super().__call__(inputs)


class WaitingNetwork:
    """A network that waits as long as a card would take, and says what the network says to the item that was kept.

    Another process computes that once, so that the host has to itself what a card leaves it.
    """

    def __init__(self, card: SimulatedEngine, file: Path, settings: dict[str, Any]) -> None:
        self._card = card
        self._file = file
        self._settings = settings
        self._answers: dict[tuple[int, ...], Tensors] = {}
        self._computing = threading.Lock()

    def __call__(self, inputs: Tensors) -> Tensors:
        (values,) = inputs.values()
        with self._computing:
            if values.shape not in self._answers:
                self._answers[values.shape] = self._answer(values)
        with self._card.turns.place(), self._card.turns.turn():
            self._card.call(inputs)
            time.sleep(self._settings["call_s"] + self._settings["megapixel_s"] * values.size / 3e6)
        return self._answers[values.shape]

    def _answer(self, values: NDArray[Any]) -> Tensors:
        item = _item(Path(self._settings["items"]) / self._file.stem, values)
        said = item.with_name(f"{len(values)}-{item.name}")
        if not said.exists():
            subprocess.run([sys.executable, "-c", ANSWER, self._file, item, str(len(values)), said], check=True)
        with np.load(said) as answers:
            found: dict[str, NDArray[Any]] = dict(answers)
        return found


def _item(folder: Path, values: NDArray[Any]) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    return folder / f"{'x'.join(map(str, values.shape[1:]))}.npz"


ANSWER = """
import sys
from pathlib import Path
import numpy as np
from faceloom.engines.onnx import OnnxEngine
_, network, item, count, said = sys.argv
inputs = {name: np.repeat(values, int(count), axis=0) for name, values in np.load(item).items()}
np.savez(said, **OnnxEngine().load(Path(network))(inputs))
"""


if os.environ.get(pynvml.FOLDER):
    start.start_engine = start_engine
    start.start_trial = start_engine
    vars(runtimes)["version_of"] = version
