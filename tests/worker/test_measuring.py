import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from faceloom.memory.ceilings import ProcessCeiling
from faceloom.models.weights import WeightCache
from faceloom.orders.flows import make_flow
from faceloom.worker import measuring

_MEASURE = """
import json, sys
from pathlib import Path
from faceloom.memory.ceilings import ProcessCeiling
from faceloom.memory.usage import peak_bytes
from faceloom.orders.flows import make_flow
from faceloom.worker import measuring, timing
from faceloom.messages import Measure
timing._WORTH_IT = 1e9  # every batch seems to gain, as it may on a busy machine
weights, limit = Path(sys.argv[1]), int(sys.argv[2])
(stage, *_) = make_flow({}).networks
ceiling = ProcessCeiling(limit)
request = Measure(stage=stage, weights=weights, frame_shape=(704, 1024), worker_bytes=limit)
found = measuring.measure(request, ceiling)
print(json.dumps({**found.to_json(), "peak_bytes": max(peak_bytes(), ceiling.peak_bytes)}))
"""


def measured(weights: Path, limit_bytes: int) -> dict[str, Any]:
    """The detector's footprint, and the most that its scratch process has held."""
    command = [sys.executable, "-c", _MEASURE, str(weights), str(limit_bytes)]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    told: dict[str, Any] = json.loads(done.stdout)
    return told


@pytest.mark.skipif(sys.platform != "linux", reason="held bytes are read from the process file system")
def test_measuring_stays_below_the_ceiling_however_much_larger_batches_seem_to_gain(cache: WeightCache) -> None:
    detector = make_flow({}).networks[0]
    assert detector.weights
    weights = cache.prepare(detector.weights)
    largest = 0
    for _ in range(3):  # what an item takes differs by a quarter from process to process: room for 6 may be for 8
        whole = measured(weights, 0)
        assert max(map(int, whole["batch_s"])) == 16
        room = whole["process_bytes"] + whole["weights_bytes"] + whole["fixed_bytes"] + 6 * whole["item_bytes"]
        bounded = measured(weights, room)
        assert bounded["peak_bytes"] <= room
        most = max(map(int, bounded["batch_s"]))
        known = bounded["process_bytes"] + bounded["weights_bytes"] + bounded["fixed_bytes"]
        assert known + most * bounded["item_bytes"] <= room
        largest = max(largest, most)
        if largest >= 4:
            break
    assert 4 <= largest < 16


_REFUSED_BY_OPENCV = """
import cv2
from faceloom.worker import measuring
whole = measuring.network_step
def step(stage, network, *, batch):
    if batch > 1:
        error = cv2.error("Failed to allocate 861184 bytes")
        error.code = -4
        raise error
    return whole(stage, network, batch=batch)
measuring.network_step = step
"""


def test_a_batch_that_another_library_gets_no_memory_for_is_one_that_does_not_fit(cache: WeightCache) -> None:
    detector = make_flow({}).networks[0]
    assert detector.weights
    command = [sys.executable, "-c", _REFUSED_BY_OPENCV + _MEASURE, str(cache.prepare(detector.weights)), "0"]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    assert list(json.loads(done.stdout)["batch_s"]) == ["1"]


class ScriptedArena:
    """An engine and its memory: what calls of a batch hold is written down, by how much was reserved for them."""

    def __init__(self, held: dict[int, dict[str, int]]) -> None:
        self._held = held
        self._bare = {kinds["bare"] for kinds in held.values()}
        self._kind = "bare"
        self.held_bytes = 0

    @property
    def peak_bytes(self) -> int:
        return self.held_bytes

    def shrink(self) -> None:
        self.held_bytes, self._kind = 0, "bare"

    def reset_peak(self) -> None: ...

    def reserve(self, size_bytes: int) -> None:
        self._kind = "ample" if size_bytes in self._bare else "tight"

    def call(self, batch: int) -> None:
        self.held_bytes = self._held[batch][self._kind]


@pytest.mark.parametrize(("tight", "expected"), [(94, 94), (74, 104)], ids=["as ever", "just fits by chance"])
def test_what_just_fits_by_chance_says_nothing_of_larger_batches(tight: int, expected: int) -> None:
    arena: Any = ScriptedArena(
        {1: {"bare": 37, "ample": 53, "tight": 48}, 2: {"bare": 72, "ample": 104, "tight": tight}}
    )
    held = measuring._held(arena, arena, arena.call, (1, 2), ProcessCeiling(0))
    assert {batch: one.peak_bytes for batch, one in held.items()} == {1: 48, 2: expected}
