import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from faceloom.models.weights import WeightCache
from faceloom.orders.flows import make_flow

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
    whole = measured(weights, 0)
    assert max(map(int, whole["batch_s"])) == 16
    room = whole["process_bytes"] + whole["weights_bytes"] + whole["fixed_bytes"] + 6 * whole["item_bytes"]
    largest = 0
    for _ in range(3):  # a busy machine may have one process hold more than another
        bounded = measured(weights, room)
        assert bounded["peak_bytes"] <= room
        largest = max(largest, *map(int, bounded["batch_s"]))
        if largest >= 4:
            break
    assert largest == 4
